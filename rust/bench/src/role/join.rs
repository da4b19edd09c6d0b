//! Clients that come, and go as soon as they have an id.

use std::time::Instant;

use anyhow::Result;

use super::Role;
use crate::client::Link;
use crate::options::Options;
use crate::swarm::Swarm;

pub(crate) struct Join {
    /// Clients that are on their way in at a time.
    at_once: usize,
    begun: bool,
    ends: bool,
    /// Those that are in.
    arrived: Vec<usize>,
}

impl Join {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let at_once = options.get("at_once")?;
        Ok(Self { at_once, begun: false, ends: false, arrived: Vec::new() })
    }
}

impl Role for Join {
    fn gathers(&self) -> usize {
        1
    }

    fn begin(&mut self, _swarm: &mut Swarm) -> Result<()> {
        self.begun = true;
        Ok(())
    }

    fn opened(&mut self, link: &mut Link) -> Result<()> {
        // The first one stays.
        if self.begun {
            self.arrived.push(link.index);
        }
        Ok(())
    }

    fn closed(&mut self, _opened: bool) -> Result<()> {
        // A server may be too slow: it has a limit for handshakes.
        Ok(())
    }

    fn tick(&mut self, swarm: &mut Swarm) -> Result<Option<Instant>> {
        self.arrived.drain(..).try_for_each(|index| swarm.leave(index))?;
        while !self.ends && swarm.opening() < self.at_once {
            swarm.open()?;
        }
        Ok(None)
    }

    fn end(&mut self, _swarm: &mut Swarm) -> Result<()> {
        self.ends = true;
        Ok(())
    }
}
