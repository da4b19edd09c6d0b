//! How much the other side of one connection may send a second: token buckets.

use std::time::{Duration, Instant};

/// A bucket holds what comes in this time, so that a hiccup of the network, after which everything
/// arrives together, offends nobody.
const BURST: Duration = Duration::from_secs(2);

/// What there was too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Frames of any kind.
    Packets,
    /// Bytes of payload.
    Bytes,
}

/// What may still be received.
#[derive(Debug)]
pub struct Rate {
    packets: Option<Bucket>,
    bytes: Option<Bucket>,
    filled: Instant,
}

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
}

impl Rate {
    /// Buckets that are full `now`, for so many packets and bytes a second; 0 is no limit, and
    /// `None` when there is none at all.
    #[must_use]
    pub fn new(packets_per_second: u32, bytes_per_second: u64, now: Instant) -> Option<Box<Self>> {
        let packets = Bucket::new(f64::from(packets_per_second));
        let bytes = Bucket::new(bytes_per_second as f64);
        let is_limited = packets.is_some() || bytes.is_some();
        is_limited.then(|| Box::new(Self { packets, bytes, filled: now }))
    }

    /// Fills up to `now`. A bucket takes what comes in the burst time and since `caught_up`, when
    /// everything that had arrived was last read: what piles up while nobody reads was not sent too
    /// fast. What is over that is kept, because it may take several reads to use it.
    pub fn refill(&mut self, now: Instant, caught_up: Option<Instant>) {
        let since = |then| now.saturating_duration_since(then);
        let elapsed = since(self.filled).as_secs_f64();
        let most = (BURST + caught_up.map_or(Duration::ZERO, since)).as_secs_f64();
        self.filled = self.filled.max(now);
        for bucket in [&mut self.packets, &mut self.bytes].into_iter().flatten() {
            bucket.refill(elapsed, most);
        }
    }

    /// Takes out what has arrived.
    ///
    /// # Errors
    /// When there is not so much left.
    pub fn take(&mut self, packets: u32, bytes: usize) -> Result<(), Exceeded> {
        let has = |bucket: &mut Option<Bucket>, count: f64| {
            bucket.as_mut().is_none_or(|bucket| bucket.take(count))
        };
        if !has(&mut self.packets, f64::from(packets)) {
            return Err(Exceeded::Packets);
        }
        if has(&mut self.bytes, bytes as f64) { Ok(()) } else { Err(Exceeded::Bytes) }
    }
}

impl Bucket {
    fn new(per_second: f64) -> Option<Self> {
        let tokens = per_second * BURST.as_secs_f64();
        (per_second > 0.0).then_some(Self { per_second, tokens })
    }

    fn refill(&mut self, elapsed: f64, most: f64) {
        let filled = self.tokens + self.per_second * elapsed;
        self.tokens = self.tokens.max(filled.min(self.per_second * most));
    }

    fn take(&mut self, count: f64) -> bool {
        self.tokens -= count;
        self.tokens >= 0.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);

    /// How many packets `rate` lets through.
    fn drain(rate: &mut Rate) -> usize {
        (0..100_000).take_while(|_| rate.take(1, 0).is_ok()).count()
    }

    #[test]
    fn no_limit_is_no_rate() {
        let now = Instant::now();
        assert!(Rate::new(0, 0, now).is_none());
        assert_eq!(Rate::new(1, 0, now).unwrap().take(0, usize::MAX), Ok(()));
        assert_eq!(Rate::new(0, 1, now).unwrap().take(u32::MAX, 0), Ok(()));
    }

    #[test]
    fn packets_and_bytes_are_counted_apart() {
        let now = Instant::now();
        let mut rate = Rate::new(2, 100, now).unwrap();
        assert_eq!(rate.take(1, 50), Ok(()));
        assert_eq!(rate.take(1, 151), Err(Exceeded::Bytes));
        let mut rate = Rate::new(2, 100, now).unwrap();
        assert_eq!(rate.take(4, 200), Ok(()), "two seconds' worth");
        assert_eq!(rate.take(1, 0), Err(Exceeded::Packets));
    }

    #[test]
    fn who_keeps_to_the_rate_goes_on_for_ever_and_who_does_not_is_found_out() {
        for (per_frame, goes_on) in [(16, true), (17, false)] {
            let start = Instant::now();
            let mut rate = Rate::new(1000, 0, start).unwrap();
            let passes = |frame: u32| {
                let now = start + FRAME * frame;
                rate.refill(now, Some(now - FRAME));
                rate.take(per_frame, 0).is_ok()
            };
            assert_eq!((1..10_000).all(passes), goes_on, "{per_frame} packets a frame");
        }
    }

    #[test]
    fn silence_does_not_add_up() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 0, start).unwrap();
        let later = start + Duration::from_secs(600);
        rate.refill(later, Some(later));
        assert_eq!(drain(&mut rate), 20);
    }

    #[test]
    fn what_piles_up_while_nobody_reads_is_allowed_also_when_it_is_read_in_parts() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 0, start).unwrap();
        assert_eq!(drain(&mut rate), 20);
        let back = start + Duration::from_secs(10);
        rate.refill(back, Some(start));
        assert_eq!(rate.take(50, 0), Ok(()));
        rate.refill(back + FRAME, Some(back + FRAME));
        assert_eq!(rate.take(49, 0), Ok(()));
        assert_eq!(drain(&mut rate), 0);
    }

    #[test]
    fn a_clock_that_goes_back_adds_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut rate = Rate::new(10, 0, start).unwrap();
        drain(&mut rate);
        rate.refill(start - Duration::from_secs(5), Some(start));
        rate.refill(start, Some(start));
        assert_eq!(drain(&mut rate), 0);
    }
}
