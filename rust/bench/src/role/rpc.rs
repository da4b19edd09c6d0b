//! Clients that call an @rpc method through SceneMultiplayer and are called back.
//!
//! The first byte of a packet has the command in its lower half, and in the upper how long the
//! names in it are. Until both sides have agreed on a number for a node, calls carry its path.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::{Role, percentile};
use crate::client::Link;
use crate::options::Options;
use crate::swarm::Swarm;

/// A call of method 0 (`ping`; `pong` is 1) of a node named in full behind it, with one argument, an
/// integer of 32 bits that follows.
const FULL_CALL: &[u8] = &[0x20, 12, 0, 0, 0x80, 0, 1, 0x82];
const PATH: &[u8] = b"Game\0";
/// The same for the node with number 1.
const SHORT_CALL: &[u8] = &[0x00, 1, 0, 1, 0x82];
/// Agrees on number 1 for the node of the server's packet.
const CONFIRM_PATH: &[u8] = &[2, 1, 1, 0, 0, 0];
const COMMAND: u8 = 0x0f;
/// A number with which the engine needs all 32 bits.
const FIRST: u32 = 1_000_000;
/// Not a multiple of a frame: the calls come at all times of one.
const PERIOD: Duration = Duration::from_micros(23_700);

pub(crate) struct Rpc {
    callers: Vec<Caller>,
    /// From a call to its answer.
    times: Vec<Duration>,
    missing: u64,
    ends: bool,
}

#[derive(Clone, Default)]
struct Caller {
    next: u32,
    /// When the call was made that has no answer yet.
    called: Option<Instant>,
    due: Option<Instant>,
    /// The server knows the node by its number.
    is_short: bool,
}

impl Rpc {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let callers = vec![Caller { next: FIRST, ..Caller::default() }; options.get("clients")?];
        Ok(Self { callers, times: Vec::new(), missing: 0, ends: false })
    }
}

impl Role for Rpc {
    fn gathers(&self) -> usize {
        self.callers.len()
    }

    fn begin(&mut self, _swarm: &mut Swarm) -> Result<()> {
        let now = Instant::now();
        let gap = PERIOD / self.callers.len() as u32;
        for (index, caller) in (0..).zip(&mut self.callers) {
            caller.due = Some(now + gap * index);
        }
        Ok(())
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        let caller = &mut self.callers[link.index];
        match payload.first().map(|first| first & COMMAND) {
            Some(0) => {
                let called = caller.called.take().context("an answer to no call")?;
                let number = caller.next.to_le_bytes();
                let is_answer = payload.windows(4).any(|window| window == number);
                ensure!(
                    is_answer,
                    "client {} got something else instead of its answer",
                    link.index
                );
                caller.next += 1;
                self.times.push(called.elapsed());
                self.missing -= 1;
            }
            // The server's number for the node. With the same packet we name it too.
            Some(1) => {
                link.send(CONFIRM_PATH);
                link.send(payload);
            }
            Some(2) => caller.is_short = true,
            // Who else is there.
            Some(7) => (),
            _ => bail!("SceneMultiplayer sent something unknown"),
        }
        Ok(())
    }

    fn tick(&mut self, swarm: &mut Swarm) -> Result<Option<Instant>> {
        if self.ends {
            return Ok(None);
        }
        let now = Instant::now();
        let mut next = now + PERIOD;
        for (index, caller) in self.callers.iter_mut().enumerate() {
            let Some(due) = caller.due else {
                continue;
            };
            // One that has no answer yet calls later.
            if due <= now
                && caller.called.is_none()
                && let Some(link) = swarm.link(index)
            {
                link.send(&call(caller.is_short, caller.next));
                link.flush()?;
                caller.called = Some(Instant::now());
                caller.due = Some((due + PERIOD).max(now));
                self.missing += 1;
            }
            next = next.min(caller.due.unwrap_or(next).max(now + Duration::from_millis(1)));
        }
        Ok(Some(next))
    }

    fn end(&mut self, _swarm: &mut Swarm) -> Result<()> {
        self.ends = true;
        Ok(())
    }

    fn missing(&self) -> u64 {
        self.missing
    }

    fn report(&mut self, report: &mut Map<String, Value>) {
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            let time = percentile(&mut self.times, share).as_secs_f64() * 1000.0;
            report.insert(format!("round trip ms, {name}"), time.into());
        }
    }
}

fn call(is_short: bool, number: u32) -> Vec<u8> {
    let (head, tail) = if is_short { (SHORT_CALL, &[][..]) } else { (FULL_CALL, PATH) };
    [head, &number.to_le_bytes(), tail].concat()
}
