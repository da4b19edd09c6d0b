//! Clients that send as fast as the kernel takes it. The server's script does the checking.

use std::time::Instant;

use anyhow::Result;

use super::Role;
use crate::client::Link;
use crate::options::Options;
use crate::payload::Pattern;
use crate::swarm::Swarm;

/// Packets that a client writes at once.
const BLOCK: u32 = 500;

pub(crate) struct Flood {
    pattern: Pattern,
    /// Of each client: how many packets it has sent, and whether the kernel may take more.
    clients: Vec<(u32, bool)>,
    ends: bool,
}

impl Flood {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let clients = vec![(0, true); options.get("clients")?];
        Ok(Self { pattern: Pattern::new(options.get("size")?), clients, ends: false })
    }
}

impl Role for Flood {
    fn gathers(&self) -> usize {
        self.clients.len()
    }

    fn flushed(&mut self, link: &mut Link) {
        self.clients[link.index].1 = true;
    }

    fn tick(&mut self, swarm: &mut Swarm) -> Result<Option<Instant>> {
        if self.ends {
            return Ok(None);
        }
        for link in swarm.links() {
            let (sent, writable) = &mut self.clients[link.index];
            if *writable {
                for _ in 0..BLOCK {
                    link.send(self.pattern.packet(*sent));
                    *sent += 1;
                }
                *writable = link.flush()?;
            }
        }
        let writable = self.clients.iter().any(|(_, writable)| *writable);
        Ok(writable.then(Instant::now))
    }

    fn end(&mut self, swarm: &mut Swarm) -> Result<()> {
        self.ends = true;
        for link in swarm.links() {
            link.send(&self.clients[link.index].0.to_le_bytes());
            link.flush()?;
        }
        Ok(())
    }

    fn is_judged(&self) -> bool {
        true
    }
}
