//! Pings that find out whether the other side is there, and how long it takes to answer.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::config::KeepaliveConfig;
use crate::stats::RoundTrip;

/// Pings whose answers are awaited at most: more than one where the round trip takes longer than
/// the interval.
const AWAITED: usize = 8;

/// Who has not looked for so long does not know when an answer came.
const UNSEEN: Duration = Duration::from_secs(1);

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    /// Send a ping with this payload.
    Ping(NonZeroU64),
    /// Nothing has come for too long after a ping.
    Dead,
}

/// What is known when everything that has arrived has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) now: Instant,
    /// When everything had been read the last time.
    pub(super) before: Option<Instant>,
    /// Bytes have arrived, whatever they were.
    pub(super) heard: bool,
    /// The payload of the newest pong among them.
    pub(super) pong: Option<NonZeroU64>,
}

/// The clock of one connection's pings.
#[derive(Debug)]
pub(super) struct Keepalive {
    config: KeepaliveConfig,
    next_ping: Option<Instant>,
    /// The payloads of pings that are not answered, oldest first, and when they were sent.
    pings: VecDeque<(NonZeroU64, Instant)>,
    /// Since when a ping has gone out and nothing has come.
    silent_since: Option<Instant>,
    /// The wait has begun anew once, because we were not looking.
    is_excused: bool,
    round_trip: Option<RoundTrip>,
}

impl Keepalive {
    /// Begins to count, with a first ping after the interval; none if there are to be no pings.
    pub(super) fn new(config: KeepaliveConfig, now: Instant) -> Option<Box<Self>> {
        (!config.interval.is_zero()).then(|| {
            Box::new(Self {
                config,
                next_ping: pause(config.interval, now),
                pings: VecDeque::new(),
                silent_since: None,
                is_excused: false,
                round_trip: None,
            })
        })
    }

    /// When [`Keepalive::look`] has something to do although nothing arrives.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next_ping.into_iter().chain(self.silence_limit()).min()
    }

    /// The round-trip time, once an answer has been measured.
    pub(super) fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip
    }

    /// To be called when everything that has arrived has been read, at the deadline and when a pong
    /// is there: only then is silence the other side's.
    pub(super) fn look(&mut self, seen: Seen) -> Verdict {
        let now = seen.now;
        if let Some(payload) = seen.pong {
            self.measure(payload, &seen);
        }
        if seen.heard {
            self.silent_since = None;
            self.is_excused = false;
        }
        if self.silence_limit().is_some_and(|limit| now >= limit) {
            // While we did not look, the other side may have waited for us, or have been stopped
            // together with us. It gets the time once more, in which we do look.
            let unseen = seen.before.map_or(Duration::MAX, |before| now.duration_since(before));
            if self.is_excused || unseen < self.config.timeout / 2 {
                return Verdict::Dead;
            }
            self.is_excused = true;
            self.silent_since = Some(now);
            return self.ping(now);
        }
        if self.next_ping.is_some_and(|next| now >= next) {
            self.ping(now)
        } else {
            Verdict::Nothing
        }
    }

    fn ping(&mut self, now: Instant) -> Verdict {
        // A number that cannot be guessed: a pong that was sent ahead would look like a short way.
        let payload = rand::random();
        if self.pings.len() == AWAITED {
            self.pings.pop_front();
        }
        self.pings.push_back((payload, now));
        self.silent_since.get_or_insert(now);
        self.next_ping = pause(self.config.interval, now);
        Verdict::Ping(payload)
    }

    /// Takes the time of the ping that has been answered. One that was answered already, or never
    /// sent, tells nothing.
    fn measure(&mut self, payload: NonZeroU64, seen: &Seen) {
        let Some(index) = self.pings.iter().position(|(ping, _)| *ping == payload) else {
            return;
        };
        let (_, sent) = self.pings[index];
        // Answers come in order: the older ones will not come any more.
        self.pings.drain(..=index);
        let was_looking =
            seen.before.is_some_and(|before| seen.now.duration_since(before) < UNSEEN);
        if was_looking {
            let measured = seen.now.duration_since(sent);
            self.round_trip = Some(match self.round_trip {
                Some(estimate) => estimate.next(measured),
                None => RoundTrip::first(measured),
            });
        }
    }

    fn silence_limit(&self) -> Option<Instant> {
        let timeout = Some(self.config.timeout).filter(|timeout| !timeout.is_zero())?;
        self.silent_since?.checked_add(timeout)
    }
}

/// The end of an interval, up to a tenth early, so that those who came together do not beat
/// together for ever.
fn pause(interval: Duration, now: Instant) -> Option<Instant> {
    now.checked_add(interval.mul_f64(rand::random_range(0.9..=1.0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FRAME: u64 = 10;

    /// A connection whose clock is moved by hand; interval 1 s, timeout 3 s.
    struct Link {
        keepalive: Box<Keepalive>,
        start: Instant,
        before: Option<Instant>,
    }

    impl Link {
        fn new() -> Self {
            Self::with(1000, 3000)
        }

        fn with(interval: u64, timeout: u64) -> Self {
            let config = KeepaliveConfig {
                interval: Duration::from_millis(interval),
                timeout: Duration::from_millis(timeout),
            };
            let start = Instant::now();
            Self { keepalive: Keepalive::new(config, start).unwrap(), start, before: Some(start) }
        }

        fn look(&mut self, ms: u64, heard: bool, pong: Option<NonZeroU64>) -> Verdict {
            let now = self.start + Duration::from_millis(ms);
            let verdict = self.keepalive.look(Seen { now, before: self.before, heard, pong });
            self.before = Some(now);
            verdict
        }

        /// Looks in each frame up to `end`, hearing nothing; the verdicts that are something.
        fn silence(&mut self, from: u64, end: u64) -> Vec<(u64, Verdict)> {
            let frames = (from..end).step_by(FRAME as usize);
            let verdicts = frames.map(|ms| (ms, self.look(ms, false, None)));
            verdicts.filter(|(_, verdict)| *verdict != Verdict::Nothing).collect()
        }

        /// Looks until a ping is due; when that was, and its payload.
        fn ping(&mut self, from: u64) -> (u64, NonZeroU64) {
            let pings = self.silence(from, from + 1010);
            let [(ms, Verdict::Ping(payload))] = pings.as_slice() else { panic!("{pings:?}") };
            (*ms, *payload)
        }
    }

    #[test]
    fn a_peer_that_answers_is_pinged_for_ever_and_measured() {
        let mut link = Link::new();
        let mut now = 0;
        for _ in 0..100 {
            let (sent, payload) = link.ping(now);
            assert!(sent >= now + 890 && sent <= now + 1010, "a tenth early at most: {sent} {now}");
            now = sent;
            assert_eq!(link.look(now + 40, true, Some(payload)), Verdict::Nothing);
        }
        let round_trip = link.keepalive.round_trip().unwrap();
        assert_eq!(round_trip.time, Duration::from_millis(40));
        assert!(round_trip.jitter < Duration::from_millis(1));
    }

    #[test]
    fn intervals_differ() {
        let at = |_| Link::new().ping(0).0;
        let times: std::collections::BTreeSet<u64> = (0..50).map(at).collect();
        assert!(times.len() > 1, "{times:?}");
    }

    #[test]
    fn a_silent_peer_is_dead_after_the_timeout_and_not_before() {
        let mut link = Link::new();
        let (sent, _) = link.ping(0);
        let verdicts = link.silence(sent + FRAME, sent + 3000);
        assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Ping(_))));
        assert!((2..=3).contains(&verdicts.len()), "{verdicts:?}");
        assert_eq!(link.look(sent + 3000, false, None), Verdict::Dead);
    }

    #[test]
    fn any_bytes_show_life() {
        let mut link = Link::new();
        for ms in (0..30_000).step_by(100) {
            assert_ne!(link.look(ms, ms % 2900 == 0, None), Verdict::Dead, "{ms}");
        }
        assert_eq!(link.keepalive.round_trip(), None, "nothing was measured");
    }

    #[test]
    fn only_the_answer_to_a_ping_that_is_awaited_is_measured() {
        let mut link = Link::new();
        let (sent, payload) = link.ping(0);
        link.look(sent + 10, true, NonZeroU64::new(!payload.get()));
        assert_eq!(link.keepalive.round_trip(), None, "unsolicited");
        link.look(sent + 20, true, Some(payload));
        let measured = link.keepalive.round_trip();
        assert_eq!(measured.unwrap().time, Duration::from_millis(20));
        link.look(sent + 500, true, Some(payload));
        assert_eq!(link.keepalive.round_trip(), measured, "stale");
    }

    #[test]
    fn a_way_longer_than_the_interval_is_measured() {
        let mut link = Link::new();
        let (first, payload) = link.ping(0);
        let (second, _) = link.ping(first + FRAME);
        link.look(second + FRAME, true, Some(payload));
        let expected = Duration::from_millis(second + FRAME - first);
        assert_eq!(link.keepalive.round_trip().unwrap().time, expected);
    }

    #[test]
    fn pings_that_nobody_answers_take_no_memory() {
        let mut link = Link::with(1000, 0);
        for second in 1..1000 {
            assert!(matches!(link.look(second * 1000, false, None), Verdict::Ping(_)));
        }
        assert_eq!(link.keepalive.pings.len(), AWAITED);
    }

    #[test]
    fn what_comes_while_nobody_looks_is_life_and_no_measure() {
        let mut link = Link::new();
        let (sent, payload) = link.ping(0);
        let minutes = sent + 300_000;
        let verdict = link.look(minutes, true, Some(payload));
        assert!(matches!(verdict, Verdict::Ping(_)), "{verdict:?}");
        assert_eq!(link.keepalive.round_trip(), None);
    }

    #[test]
    fn who_was_stopped_with_us_gets_the_time_again_and_only_once() {
        for answers in [true, false] {
            let mut link = Link::new();
            let (sent, _) = link.ping(0);
            let minutes = sent + 300_000;
            let verdict = link.look(minutes, false, None);
            let Verdict::Ping(payload) = verdict else { panic!("{verdict:?}") };
            if answers {
                assert_eq!(link.look(minutes + FRAME, true, Some(payload)), Verdict::Nothing);
                continue;
            }
            let verdicts = link.silence(minutes + FRAME, minutes + 3000);
            assert!(verdicts.iter().all(|(_, verdict)| *verdict != Verdict::Dead));
            assert_eq!(link.look(minutes + 3000, false, None), Verdict::Dead);
        }
        // One that always looks seldom finds the dead as well.
        let mut link = Link::new();
        assert!(matches!(link.look(10_000, false, None), Verdict::Ping(_)));
        assert!(matches!(link.look(20_000, false, None), Verdict::Ping(_)));
        assert_eq!(link.look(30_000, false, None), Verdict::Dead);
    }

    #[test]
    fn a_timeout_below_the_interval_has_a_deadline_of_its_own() {
        let mut link = Link::with(1000, 200);
        let (sent, _) = link.ping(0);
        let limit = link.start + Duration::from_millis(sent + 200);
        assert_eq!(link.keepalive.deadline(), Some(limit));
        assert_eq!(link.look(sent + 190, false, None), Verdict::Nothing);
        assert_eq!(link.look(sent + 200, false, None), Verdict::Dead);
    }
}
