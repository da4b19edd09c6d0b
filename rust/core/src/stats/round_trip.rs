//! How long the other side takes to answer, smoothed as TCP does it: RFC 6298, section 2.

use std::time::Duration;

/// An estimate of the round-trip time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// The smoothed time.
    pub time: Duration,
    /// How far measurements are from it, smoothed.
    pub jitter: Duration,
}

impl RoundTrip {
    /// The estimate after a first measurement.
    pub(crate) fn first(measured: Duration) -> Self {
        Self { time: measured, jitter: measured / 2 }
    }

    /// The estimate after one more.
    pub(crate) fn next(self, measured: Duration) -> Self {
        Self {
            jitter: (self.jitter * 3 + self.time.abs_diff(measured)) / 4,
            time: (self.time * 7 + measured) / 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_follows_the_measurements_slowly() {
        let ms = Duration::from_millis;
        let first = RoundTrip::first(ms(80));
        assert_eq!(first, RoundTrip { time: ms(80), jitter: ms(40) });
        assert_eq!(first.next(ms(160)), RoundTrip { time: ms(90), jitter: ms(50) });
        let settled = (0..100).fold(first, |estimate, _| estimate.next(ms(20)));
        assert!(settled.time < ms(21) && settled.jitter < ms(1), "{settled:?}");
    }
}
