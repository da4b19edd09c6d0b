//! Clients that come all at one instant, and stay.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value};

use super::{Role, percentile};
use crate::client::Link;
use crate::options::Options;
use crate::swarm::Swarm;

pub(crate) struct Crowd {
    size: usize,
    /// How long the server waits for all.
    limit: Duration,
    begun: Option<Instant>,
    /// When each came in, after the beginning.
    arrivals: Vec<Duration>,
}

impl Crowd {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            size: options.get("crowd")?,
            limit: Duration::from_millis(options.get("msec")?),
            begun: None,
            arrivals: Vec::new(),
        })
    }
}

impl Role for Crowd {
    fn gathers(&self) -> usize {
        1
    }

    fn begin(&mut self, swarm: &mut Swarm) -> Result<()> {
        self.begun = Some(Instant::now());
        (0..self.size).try_for_each(|_| swarm.open())
    }

    fn opened(&mut self, _link: &mut Link) -> Result<()> {
        self.arrivals.extend(self.begun.map(|begun| begun.elapsed()));
        Ok(())
    }

    fn closed(&mut self, _opened: bool) -> Result<()> {
        // It counts as not come.
        Ok(())
    }

    fn report(&mut self, report: &mut Map<String, Value>) {
        // Who did not come took at least the limit.
        self.arrivals.resize(self.size, self.limit);
        for (name, share) in [("half", 0.5), ("9 in 10", 0.9), ("all", 1.0)] {
            let time = percentile(&mut self.arrivals, share).as_secs_f64() * 1000.0;
            report.insert(format!("ms until {name} are in"), time.into());
        }
    }
}
