//! Clients that come, and go as soon as they have an id.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Map, Value};

use super::Role;
use crate::client::Link;
use crate::options::Options;
use crate::swarm::Swarm;

pub(crate) struct Join {
    /// Clients that stay, and are there before the others come. A server's ticket for TLS is good
    /// for one session: where sessions are continued, as many must stay as come at a time. Each who
    /// goes leaves a ticket for the next: it comes with the handshake, before the id.
    stay: usize,
    /// Clients that are on their way in at a time.
    at_once: usize,
    begun: bool,
    ends: bool,
    /// Those that are in.
    arrived: Vec<usize>,
    tickets: Option<Tickets>,
}

/// Clients offer to continue an earlier TLS session.
struct Tickets {
    /// The server gives some: nobody may make a full handshake.
    are_given: bool,
    offered: u32,
    taken: u32,
}

impl Join {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let tickets = (options.text("resume") == Some("yes")).then(|| Tickets {
            are_given: options.text("tickets") != Some("none"),
            offered: 0,
            taken: 0,
        });
        Ok(Self {
            stay: options.get("clients")?,
            at_once: options.get("at_once")?,
            begun: false,
            ends: false,
            arrived: Vec::new(),
            tickets,
        })
    }
}

impl Role for Join {
    fn gathers(&self) -> usize {
        self.stay
    }

    fn begin(&mut self, _swarm: &mut Swarm) -> Result<()> {
        self.begun = true;
        Ok(())
    }

    fn opened(&mut self, link: &mut Link) -> Result<()> {
        // The first ones stay.
        if !self.begun {
            return Ok(());
        }
        self.arrived.push(link.index);
        if let Some(tickets) = &mut self.tickets {
            let is_resumed = link.stream.is_resumed();
            ensure!(
                is_resumed || !tickets.are_given,
                "a client that could have continued a TLS session made a full handshake"
            );
            tickets.offered += 1;
            tickets.taken += u32::from(is_resumed);
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

    fn report(&mut self, report: &mut Map<String, Value>) {
        if let Some(tickets) = &self.tickets {
            let share = f64::from(tickets.taken) / f64::from(tickets.offered.max(1));
            report.insert("TLS sessions continued, %".to_owned(), (share * 100.0).into());
        }
    }
}
