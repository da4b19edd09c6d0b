//! A server or client in numbers, at one moment.

use std::time::Duration;

use super::{PollTimes, Queued, Stats, Traffic};

/// What has happened since a peer was made, and how it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Counts.
    pub counts: Stats,
    /// What has gone over all connections, also over those that have ended.
    pub traffic: Traffic,
    /// Polls and their time.
    pub polls: PollTimes,
    /// Peers that are in: the clients of a server, the server of a client.
    pub peers: usize,
    /// Connections that a server has accepted and that are not in.
    pub pending_handshakes: usize,
    /// Most clients that may be in; 0 for no limit.
    pub max_clients: u32,
    /// What waits to be sent to all.
    pub queued: Queued,
    /// Packets that have been received and not been taken.
    pub waiting_packets: usize,
    /// Their payload.
    pub waiting_bytes: usize,
    /// Round-trip times, if one is known.
    pub rtt: Option<RoundTrips>,
}

/// The round-trip times of several peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrips {
    /// Of how many.
    pub peers: u32,
    /// All together.
    pub sum: Duration,
    /// The longest.
    pub longest: Duration,
}

impl RoundTrips {
    /// The times of `of`, if there are some.
    pub fn of(times: impl Iterator<Item = Duration>) -> Option<Self> {
        times.map(|time| Self { peers: 1, sum: time, longest: time }).reduce(|all, one| Self {
            peers: all.peers + 1,
            sum: all.sum + one.sum,
            longest: all.longest.max(one.longest),
        })
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.sum / self.peers.max(1)
    }
}
