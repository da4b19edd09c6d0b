//! What the clients do in each scenario.

mod crowd;
mod echo;
mod flood;
mod game;
mod hold;
mod join;
mod rpc;
mod sink;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use crate::client::Link;
use crate::options::Options;
use crate::swarm::Swarm;

/// Time between two frames of a game.
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// The clients' part of a scenario.
pub(crate) trait Role {
    /// How many clients are in before it begins.
    fn gathers(&self) -> usize;

    /// A client has its id.
    fn opened(&mut self, _link: &mut Link) -> Result<()> {
        Ok(())
    }

    /// The server is ready.
    fn begin(&mut self, _swarm: &mut Swarm) -> Result<()> {
        Ok(())
    }

    fn message(&mut self, _link: &mut Link, payload: &[u8]) -> Result<()> {
        bail!("a packet of {} bytes that nobody awaited", payload.len())
    }

    /// A client has sent all it had.
    fn flushed(&mut self, _link: &mut Link) {}

    /// The server ended a connection.
    fn closed(&mut self, opened: bool) -> Result<()> {
        let when = if opened { "after" } else { "before" };
        bail!("the server ended a connection {when} it gave an id")
    }

    /// Called often once it has begun; when it wants to be called again at the latest.
    fn tick(&mut self, _swarm: &mut Swarm) -> Result<Option<Instant>> {
        Ok(None)
    }

    /// The server has measured enough.
    fn end(&mut self, _swarm: &mut Swarm) -> Result<()> {
        Ok(())
    }

    /// Whether all has come that should, after the end.
    fn is_finished(&self) -> bool {
        self.missing() == 0
    }

    /// Packets that have not come.
    fn missing(&self) -> u64 {
        0
    }

    /// Packets that have come.
    fn came(&self) -> u64 {
        0
    }

    /// Whether the server's script has the last word.
    fn is_judged(&self) -> bool {
        false
    }

    /// Adds what was measured here.
    fn report(&mut self, _report: &mut Map<String, Value>) {}
}

/// The role for a scenario.
pub(crate) fn choose(options: &Options) -> Result<Box<dyn Role>> {
    let scenario: String = options.get("scenario")?;
    Ok(match scenario.as_str() {
        "idle" => Box::new(hold::Hold::new(options)?),
        "echo" | "big" | "memory" => Box::new(echo::Echo::new(options)?),
        "joins" => Box::new(join::Join::new(options)?),
        "crowd" => Box::new(crowd::Crowd::new(options)?),
        "game" => Box::new(game::Game::new(options)?),
        "rpc" => Box::new(rpc::Rpc::new(options)?),
        "send" => Box::new(sink::Sink::new(options)?),
        "flood" => Box::new(flood::Flood::new(options)?),
        other => bail!("no clients know the scenario {other:?}"),
    })
}

/// The time that `share` of all did not exceed.
fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_one_of_the_times() {
        let mut times = [4, 1, 3, 2].map(Duration::from_secs);
        assert_eq!(percentile(&mut times, 0.5), Duration::from_secs(2));
        assert_eq!(percentile(&mut times, 0.9), Duration::from_secs(4));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
