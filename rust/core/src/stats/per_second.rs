//! How much went over all connections in a second, lately.

use std::time::{Duration, Instant};

use super::Traffic;

/// Less time tells little, and whoever asks twice within it gets the same answer.
const WINDOW: Duration = Duration::from_millis(500);

/// Packets and bytes of payload a second, between two times that somebody asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerSecond {
    /// Packets received.
    pub packets_received: f64,
    /// Packets sent.
    pub packets_sent: f64,
    /// Bytes received.
    pub bytes_received: f64,
    /// Bytes sent.
    pub bytes_sent: f64,
    /// Seconds that polls took.
    pub polling: f64,
    last: Option<(Instant, Traffic, Duration)>,
}

impl PerSecond {
    /// Whether so much time has gone that [`PerSecond::update`] is worth while.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|(then, ..)| now.saturating_duration_since(then) >= WINDOW)
    }

    /// Takes the time since the last update as the window.
    pub fn update(&mut self, now: Instant, traffic: Traffic, polled: Duration) {
        let Some((then, before, polled_before)) = self.last.replace((now, traffic, polled)) else {
            return;
        };
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        let per_second = |value: f64| if seconds > 0.0 { value / seconds } else { 0.0 };
        let rate = |now: u64, before: u64| per_second(now.saturating_sub(before) as f64);
        self.packets_received = rate(traffic.packets_received, before.packets_received);
        self.packets_sent = rate(traffic.packets_sent, before.packets_sent);
        self.bytes_received = rate(traffic.bytes_received, before.bytes_received);
        self.bytes_sent = rate(traffic.bytes_sent, before.bytes_sent);
        self.polling = per_second(polled.saturating_sub(polled_before).as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_came_between_two_questions() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let traffic =
            |packets_sent| Traffic { packets_sent, bytes_received: 10, ..Traffic::default() };
        let mut rates = PerSecond::default();
        assert!(rates.is_due(start));
        rates.update(start, traffic(100), at(1000) - start);
        assert_eq!((rates.packets_sent, rates.bytes_received), (0.0, 0.0));
        assert!(!rates.is_due(at(499)));
        assert!(rates.is_due(at(500)));
        rates.update(at(500), traffic(130), at(1005) - start);
        assert_eq!((rates.packets_sent, rates.bytes_received), (60.0, 0.0));
        assert_eq!(rates.polling, 0.01);
        rates.update(at(2500), traffic(130), at(1005) - start);
        assert_eq!(rates.packets_sent, 0.0);
        // Not infinite, and not below 0.
        rates.update(at(2500), traffic(131), at(1006) - start);
        assert_eq!(rates.packets_sent, 0.0);
    }
}
