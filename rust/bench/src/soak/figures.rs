//! What a soak has counted and measured.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Round trips of so many frames and more are counted as one.
const LONGEST_ROUND_TRIP: usize = 600;
const MIB: f64 = (1 << 20) as f64;

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, size: usize) {
        self.packets += 1;
        self.bytes += size as u64;
    }

    pub(super) fn json(self) -> Value {
        json!({ "packets": self.packets, "bytes": self.bytes })
    }
}

/// Everything that the clients count.
pub(super) struct Figures {
    pub(super) joins: u64,
    pub(super) most_clients: usize,
    pub(super) to_server: Traffic,
    pub(super) to_clients: Traffic,
    /// How many there were of so many frames.
    round_trips: Vec<u64>,
}

impl Figures {
    pub(super) fn new() -> Self {
        Self {
            joins: 0,
            most_clients: 0,
            to_server: Traffic::default(),
            to_clients: Traffic::default(),
            round_trips: vec![0; LONGEST_ROUND_TRIP + 1],
        }
    }

    pub(super) fn add_round_trip(&mut self, frames: u64) {
        let frames = usize::try_from(frames).unwrap_or(LONGEST_ROUND_TRIP);
        self.round_trips[frames.min(LONGEST_ROUND_TRIP)] += 1;
    }

    /// The frames that `share` of the round trips did not exceed.
    pub(super) fn round_trip(&self, share: f64) -> usize {
        let rank = (self.round_trips.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut sum = 0;
        let reaches = |count: &u64| {
            sum += count;
            sum >= rank
        };
        self.round_trips.iter().position(reaches).unwrap_or_default()
    }
}

/// What the server measured of itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Bytes of memory that are its own, not a file's.
    pub(super) anonymous: u64,
    pub(super) resident: u64,
    pub(super) descriptors: u64,
    /// Microseconds.
    pub(super) longest_poll: u64,
    /// Packets that `put_packet` refused for want of room.
    pub(super) refused: u64,
    /// What was wrong in the script's eyes.
    pub(super) failures: u64,
    /// Of each hall: peers, those that came, those that went.
    pub(super) halls: Vec<[u64; 3]>,
}

impl Sample {
    pub(super) fn read(value: &Value) -> Result<Self> {
        let number = |value: &Value, name: &str| {
            value[name].as_f64().map(|number| number as u64).with_context(|| format!("no {name}"))
        };
        let halls = value["halls"].as_array().context("no halls")?;
        let each =
            |name: &str| halls.iter().map(|hall| number(hall, name)).collect::<Result<Vec<_>>>();
        let (peers, joined, left) = (each("peers")?, each("joined")?, each("left")?);
        Ok(Self {
            anonymous: number(value, "anonymous")?,
            resident: number(value, "resident")?,
            descriptors: number(value, "descriptors")?,
            longest_poll: each("longest_poll_usec")?.into_iter().max().unwrap_or_default(),
            refused: each("refused")?.iter().sum(),
            failures: each("failures")?.iter().sum(),
            halls: (0..halls.len()).map(|hall| [peers[hall], joined[hall], left[hall]]).collect(),
        })
    }

    pub(super) fn peers(&self) -> u64 {
        self.halls.iter().map(|[peers, ..]| peers).sum()
    }

    /// A part of a line.
    pub(super) fn text(&self) -> String {
        format!(
            "longest poll {:.1} ms | {:.1} MiB own, {:.1} in memory | {} descriptors",
            self.longest_poll as f64 / 1000.0,
            self.anonymous as f64 / MIB,
            self.resident as f64 / MIB,
            self.descriptors,
        )
    }

    pub(super) fn json(&self, second: u64) -> Value {
        json!({
            "second": second,
            "peers": self.peers(),
            "anonymous_bytes": self.anonymous,
            "resident_bytes": self.resident,
            "descriptors": self.descriptors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_ranked() {
        let mut figures = Figures::new();
        assert_eq!(figures.round_trip(0.5), 0);
        (0..98).for_each(|_| figures.add_round_trip(1));
        figures.add_round_trip(7);
        figures.add_round_trip(1_000_000);
        assert_eq!(figures.round_trip(0.5), 1);
        assert_eq!(figures.round_trip(0.99), 7);
        assert_eq!(figures.round_trip(1.0), LONGEST_ROUND_TRIP);
    }
}
