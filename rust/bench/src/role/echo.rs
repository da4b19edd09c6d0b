//! Clients whose packets come back: each must, in order and unchanged.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{FRAME, Role};
use crate::client::Link;
use crate::options::Options;
use crate::payload::Pattern;
use crate::swarm::Swarm;

pub(crate) struct Echo {
    /// Packets that each client keeps on their way.
    window: u32,
    /// Packets that each client sends.
    most: u32,
    /// Clients that send a packet each frame, in turn; with a window it is 0.
    active: usize,
    pattern: Pattern,
    /// Of each client: the number of the next packet to send and of the next to come back.
    counts: Vec<(u32, u32)>,
    missing: u64,
    came: u64,
    next_client: usize,
    next_frame: Option<Instant>,
    ends: bool,
}

impl Echo {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            window: options.get_or("window", 0)?,
            most: options.get_or("messages", u32::MAX)?,
            active: options.get_or("active", 0)?,
            pattern: Pattern::new(options.get("size")?),
            counts: vec![(0, 0); options.get("clients")?],
            missing: 0,
            came: 0,
            next_client: 0,
            next_frame: None,
            ends: false,
        })
    }

    fn send(&mut self, link: &mut Link) {
        let next = &mut self.counts[link.index].0;
        if *next < self.most {
            link.send(self.pattern.owned(*next, link.id));
            *next += 1;
            self.missing += 1;
        }
    }
}

impl Role for Echo {
    fn gathers(&self) -> usize {
        self.counts.len()
    }

    fn begin(&mut self, swarm: &mut Swarm) -> Result<()> {
        for link in swarm.links() {
            for _ in 0..self.window {
                self.send(link);
            }
            link.flush()?;
        }
        Ok(())
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        let expected = &mut self.counts[link.index].1;
        let index = *expected;
        *expected += 1;
        ensure!(
            payload == self.pattern.owned(index, link.id),
            "client {} got something else instead of packet {index}",
            link.index
        );
        self.missing -= 1;
        self.came += 1;
        if self.window > 0 && !self.ends {
            self.send(link);
        }
        Ok(())
    }

    fn tick(&mut self, swarm: &mut Swarm) -> Result<Option<Instant>> {
        if self.active == 0 || self.ends {
            return Ok(None);
        }
        let now = Instant::now();
        let mut due = self.next_frame.unwrap_or(now);
        while due <= now {
            for _ in 0..self.active {
                if let Some(link) = swarm.link(self.next_client) {
                    self.send(link);
                    link.flush()?;
                }
                self.next_client = (self.next_client + 1) % self.counts.len();
            }
            due += FRAME;
        }
        self.next_frame = Some(due);
        Ok(Some(due))
    }

    fn end(&mut self, _swarm: &mut Swarm) -> Result<()> {
        self.ends = true;
        Ok(())
    }

    fn missing(&self) -> u64 {
        self.missing
    }

    fn came(&self) -> u64 {
        self.came
    }
}
