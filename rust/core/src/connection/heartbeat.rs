//! Pings that find out whether the other side is still there.

use std::time::{Duration, Instant};

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    /// Send a ping.
    Ping,
    /// The last ping has not been answered.
    Dead,
}

/// The clock of one connection's pings.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    /// When the next ping is due; `None` before the first.
    next: Option<Instant>,
    awaited: bool,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: None, awaited: false }
    }

    /// When [`Heartbeat::beat`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// To be called instead of [`Heartbeat::beat`] while the answer may be behind what nobody takes:
    /// it is awaited for another interval.
    pub(super) fn postpone(&mut self, now: Instant) {
        if self.awaited && self.next.is_some_and(|next| now > next) {
            self.next = now.checked_add(self.interval);
        }
    }

    /// To be called when everything that has arrived has been read; `pong`: one was among it. Any
    /// pong counts, and the first ping goes out at once, as in the engine's class.
    pub(super) fn beat(&mut self, now: Instant, pong: bool) -> Beat {
        self.awaited &= !pong;
        if self.next.is_some_and(|next| now <= next) {
            return Beat::Nothing;
        }
        if self.awaited {
            return Beat::Dead;
        }
        self.awaited = true;
        self.next = now.checked_add(self.interval);
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_ping_is_followed_by_another_and_an_unanswered_one_by_the_end() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heart = Heartbeat::new(Duration::from_millis(100));
        assert_eq!(heart.beat(at(0), false), Beat::Ping);
        assert_eq!(heart.beat(at(50), false), Beat::Nothing);
        assert_eq!(heart.beat(at(60), true), Beat::Nothing);
        assert_eq!(heart.beat(at(101), false), Beat::Ping);
        assert_eq!(heart.beat(at(202), false), Beat::Dead);
    }

    #[test]
    fn an_answer_that_is_read_late_counts() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(Duration::from_millis(100));
        heart.beat(start, false);
        assert_eq!(heart.beat(start + Duration::from_secs(9), true), Beat::Ping);
    }
}
