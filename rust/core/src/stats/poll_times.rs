//! How often a peer was polled, and how long the polls took that had something to do.

use std::time::Duration;

/// Polls by the time they took. A poll that finds nothing to do is counted and not timed: to look
/// at the clock would cost as much again as the poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollTimes {
    polls: u64,
    time: Duration,
    /// How many took at most as long as the bound says, and longer than the bound before; the last
    /// has no bound.
    buckets: [u64; Self::BOUNDS.len() + 1],
}

impl PollTimes {
    /// Upper bounds of the buckets: from a handful of packets to two frames at 60 Hz.
    pub const BOUNDS: [Duration; 9] = [
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_millis(2),
        Duration::from_millis(4),
        Duration::from_millis(8),
        Duration::from_millis(32),
    ];

    /// Counts a poll; `spent` is the time it took, if it found something to do.
    pub fn count(&mut self, spent: Option<Duration>) {
        self.polls += 1;
        if let Some(spent) = spent {
            self.time += spent;
            self.buckets[Self::BOUNDS.partition_point(|bound| *bound < spent)] += 1;
        }
    }

    /// All polls.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// The time of all polls that found something to do.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.time
    }

    /// The polls that found something to do.
    #[must_use]
    pub fn timed(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// For each bound, how many took at most so long.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        Self::BOUNDS.into_iter().zip(self.buckets).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_polls_are_counted_and_not_timed() {
        let mut times = PollTimes::default();
        times.count(None);
        times.count(Some(Duration::from_micros(100)));
        times.count(Some(Duration::from_secs(1)));
        assert_eq!((times.polls(), times.timed()), (3, 2));
        assert_eq!(times.time(), Duration::from_micros(1_000_100));
        let cumulative: Vec<u64> = times.cumulative().map(|(_, count)| count).collect();
        assert_eq!(cumulative, [0, 1, 1, 1, 1, 1, 1, 1, 1]);
    }
}
