//! Clients that take what the server sends: the same packets each frame.

use anyhow::{Result, ensure};

use super::Role;
use crate::client::Link;
use crate::options::Options;
use crate::payload::Pattern;

pub(crate) struct Sink {
    /// Packets in a frame.
    packets: u32,
    pattern: Pattern,
    /// Packets that each client has got.
    counts: Vec<u32>,
    missing: u64,
}

impl Sink {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let clients: usize = options.get("clients")?;
        let packets: u32 = options.get("packets")?;
        let frames = options.get::<u64>("frames")? + options.get::<u64>("warm")?;
        Ok(Self {
            packets,
            pattern: Pattern::new(options.get("size")?),
            counts: vec![0; clients],
            missing: frames * u64::from(packets) * clients as u64,
        })
    }
}

impl Role for Sink {
    fn gathers(&self) -> usize {
        self.counts.len()
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        let count = &mut self.counts[link.index];
        let index = *count % self.packets;
        *count += 1;
        ensure!(
            payload == self.pattern.packet(index),
            "client {} got something else instead of packet {index} of a frame",
            link.index
        );
        ensure!(self.missing > 0, "there are more packets than were sent");
        self.missing -= 1;
        Ok(())
    }

    fn missing(&self) -> u64 {
        self.missing
    }
}
