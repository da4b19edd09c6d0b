//! The end of a server that its players know of beforehand: nobody comes in any more, and whoever is
//! still there when the time is up is closed.

use std::time::{Duration, Instant};

use super::{Mode, MultiplayerPeer};
use crate::error::Error;
use crate::websocket::close;

/// What a server that drains waits for.
#[derive(Debug)]
pub(super) struct Drain {
    /// When those who are still there are closed.
    deadline: Instant,
    /// What they are told.
    pub(super) code: u16,
    pub(super) reason: String,
    /// Nobody is left, and that has been told.
    is_done: bool,
}

impl Drain {
    /// A drain that begins now.
    ///
    /// # Errors
    /// For a time or a code that cannot be.
    pub(super) fn new(seconds: f64, code: i64, reason: &str, now: Instant) -> Result<Self, Error> {
        let time = Duration::try_from_secs_f64(seconds).ok();
        let deadline = time.and_then(|time| now.checked_add(time)).ok_or(Error::Seconds)?;
        let code = close::sendable(code).ok_or(Error::CloseCode(code))?;
        Ok(Self { deadline, code, reason: reason.to_owned(), is_done: false })
    }

    /// When those who are still there are closed.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the time is up.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// True once: when nobody is left.
    pub(super) fn is_over(&mut self, is_empty: impl FnOnce() -> bool) -> bool {
        let is_over = !self.is_done && is_empty();
        self.is_done |= is_over;
        is_over
    }
}

impl MultiplayerPeer {
    /// Lets nobody in any more, and closes with `code` and `reason` whoever is still there after
    /// `seconds`. [`Event::Drained`](super::Event::Drained) tells when nobody is left. A drain that
    /// is under way is replaced.
    ///
    /// # Errors
    /// [`Error::Unconfigured`] unless this is a server; [`Error::Seconds`] and
    /// [`Error::CloseCode`].
    pub fn begin_drain(
        &mut self,
        seconds: f64,
        code: i64,
        reason: &str,
        now: Instant,
    ) -> Result<(), Error> {
        let Mode::Server(server) = &mut self.mode else { return Err(Error::Unconfigured) };
        server.set_drain(Some(Drain::new(seconds, code, reason, now)?));
        Ok(())
    }

    /// Lets players in again. Those who have been closed go all the same.
    pub fn cancel_drain(&mut self) {
        if let Mode::Server(server) = &mut self.mode {
            server.set_drain(None);
        }
    }

    /// Whether this is a server that lets nobody in because it is about to go.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(&self.mode, Mode::Server(server) if server.is_draining())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_up_and_nobody_is_left_once() {
        let now = Instant::now();
        let mut drain = Drain::new(2.5, 1001, "restart", now).unwrap();
        let at = |ms| now + Duration::from_millis(ms);
        assert!(!drain.is_due(now) && !drain.is_due(at(2499)));
        assert!(!drain.is_over(|| false));
        assert!(drain.is_due(at(2500)));
        assert!(!drain.is_over(|| false));
        assert!(drain.is_over(|| true));
        assert!(!drain.is_over(|| panic!("asked again")));
    }

    #[test]
    fn a_time_or_code_that_cannot_be_is_refused() {
        let now = Instant::now();
        for seconds in [-1.0, -f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::MAX, 1e19] {
            assert_eq!(
                Drain::new(seconds, 1001, "", now).unwrap_err(),
                Error::Seconds,
                "{seconds}"
            );
        }
        for code in [-1, 0, 1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_536 + 1001, i64::MAX] {
            let error = Drain::new(0.0, code, "", now).unwrap_err();
            assert_eq!(error, Error::CloseCode(code));
        }
        for code in [1000, 1001, 1012, 3000, 4999] {
            let drain = Drain::new(0.0, i64::from(code), "", now).unwrap();
            assert_eq!(drain.code, code);
        }
    }
}
