//! Another certificate for a server that goes on: given by its owner, or found when the files are
//! looked at again.

use std::time::{Duration, Instant};

use super::{Mode, MultiplayerPeer};
use crate::error::Error;
use crate::tls::{ServerTls, TlsError};

/// When the files of a server's identity are looked at, and what was wrong with them last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Zero: never.
    interval: Duration,
    /// The next look; none before the first poll.
    due: Option<Instant>,
    /// What was wrong at the last look, and whether the log says so.
    wrong: Option<(TlsError, bool)>,
}

impl Watch {
    /// Begins with a session.
    pub(super) fn start_anew(&mut self) {
        *self = Self { interval: self.interval, ..Self::default() };
    }

    /// Whether it is time for a look, which then is made.
    fn is_due(&mut self, now: Instant) -> bool {
        if self.interval.is_zero() || self.due.is_some_and(|due| now < due) {
            return false;
        }
        // What is there at the start is in use already. Beyond the clock there is no other look.
        let is_due = self.due.is_some();
        self.due = now.checked_add(self.interval);
        is_due
    }

    /// Notes what a look has found wrong; true if the log is to say so. Files that are being
    /// exchanged are wrong for a moment, so that it has to be seen twice; then it is said once.
    fn is_to_be_said(&mut self, error: &TlsError) -> bool {
        let seen = self.wrong.take().filter(|(wrong, _)| wrong == error);
        let was_said = seen.as_ref().is_some_and(|(_, said)| *said);
        let is_new = seen.is_some() && !was_said;
        self.wrong = Some((error.clone(), was_said || is_new));
        is_new
    }
}

impl MultiplayerPeer {
    /// Shows those who come from now on another certificate. Those who are here notice nothing, and
    /// sessions of the earlier certificate are not resumed.
    ///
    /// # Errors
    /// [`Error::Unconfigured`] unless this is a server, [`Error::NoTls`] unless it speaks TLS.
    pub fn reload_tls(&mut self, tls: ServerTls) -> Result<(), Error> {
        self.check_tls()?;
        if let Mode::Server(server) = &self.mode {
            server.reactor().borrow_mut().set_tls(tls);
        }
        self.watch.wrong = None;
        Ok(())
    }

    /// Whether this is a server whose certificate can be replaced.
    ///
    /// # Errors
    /// As [`MultiplayerPeer::reload_tls`].
    pub fn check_tls(&self) -> Result<(), Error> {
        let Mode::Server(server) = &self.mode else { return Err(Error::Unconfigured) };
        server.reactor().borrow().tls().map_or(Err(Error::NoTls), |_| Ok(()))
    }

    /// Time between two looks at the files of a server's certificate; zero (the default): never.
    #[must_use]
    pub fn tls_reload_interval(&self) -> Duration {
        self.watch.interval
    }

    /// Sets [`MultiplayerPeer::tls_reload_interval`].
    pub fn set_tls_reload_interval(&mut self, interval: Duration) {
        self.watch = Watch { interval, ..Watch::default() };
    }

    /// Whether the files are to be read now and given to [`MultiplayerPeer::look_at_tls`]. To be
    /// asked once a poll.
    pub fn is_tls_look_due(&mut self, now: Instant) -> bool {
        self.watch.is_due(now) && self.check_tls().is_ok()
    }

    /// Looks at the chain and the key that have been read: another chain takes the place of the one
    /// in use if it can be used. If not, for example because the key has not been written yet, all
    /// stays as it is, and the log says so when the next look finds the same.
    pub fn look_at_tls(
        &mut self,
        read: Result<(String, String), TlsError>,
        tls13: bool,
        now: Instant,
    ) {
        match self.other_tls(read, tls13) {
            Ok(None) => self.watch.wrong = None,
            Ok(Some(tls)) => {
                if self.reload_tls(tls).is_ok() {
                    self.notices.verbose(now, "the files hold another certificate: it is in use");
                }
            }
            Err(error) => {
                if self.watch.is_to_be_said(&error) {
                    let kept = "the certificate in use is kept";
                    self.notices.error(now, format_args!("tls_reload_interval: {error}; {kept}"));
                }
            }
        }
    }

    /// The identity that has been read, unless it is the one in use.
    fn other_tls(
        &self,
        read: Result<(String, String), TlsError>,
        tls13: bool,
    ) -> Result<Option<ServerTls>, TlsError> {
        let (chain, key) = read?;
        let Mode::Server(server) = &self.mode else { return Ok(None) };
        // The key belongs to the certificate, so the same certificate means the same key.
        match server.reactor().borrow().tls() {
            Some(tls) if !tls.has_chain(&chain)? => {}
            _ => return Ok(None),
        }
        ServerTls::new(&chain, &key, tls13).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn files_are_looked_at_once_an_interval() {
        let mut watch = Watch { interval: MINUTE, ..Watch::default() };
        let start = Instant::now();
        let mut looks = |seconds| watch.is_due(start + Duration::from_secs(seconds));
        assert!(!looks(0), "they have just been read");
        assert!(!looks(59));
        assert!(looks(60));
        assert!(!looks(60) && !looks(119));
        assert!(looks(120));
        // After a long time without a poll there is one look, not many.
        assert!(looks(1000));
        assert!(!looks(1001) && !looks(1059));
        assert!(looks(1060));
    }

    #[test]
    fn without_an_interval_there_is_no_look() {
        let mut watch = Watch::default();
        let start = Instant::now();
        assert!(!watch.is_due(start) && !watch.is_due(start + MINUTE));
    }

    #[test]
    fn an_interval_beyond_the_clock_is_never_over() {
        let mut watch = Watch { interval: Duration::MAX, ..Watch::default() };
        let start = Instant::now();
        assert!(!watch.is_due(start) && !watch.is_due(start + MINUTE));
        assert_eq!(watch.due, None);
    }

    #[test]
    fn what_is_wrong_is_said_once_and_only_if_it_stays() {
        let mut watch = Watch::default();
        let mismatch = TlsError::KeyMismatch;
        assert!(!watch.is_to_be_said(&mismatch), "the key may be on its way");
        assert!(watch.is_to_be_said(&mismatch));
        assert!(!watch.is_to_be_said(&mismatch) && !watch.is_to_be_said(&mismatch));
        assert!(!watch.is_to_be_said(&TlsError::NoKey), "something else");
        assert!(watch.is_to_be_said(&TlsError::NoKey));
        assert!(!watch.is_to_be_said(&mismatch));
        watch.start_anew();
        assert!(!watch.is_to_be_said(&mismatch));
    }
}
