//! What the log says of a connection that ended badly: one line that names the peer, the phase and
//! the cause.

use std::time::Instant;

use super::Connection;
use crate::error::{Failure, Phase};
use crate::notice::Notices;
use crate::websocket::Role;

impl Connection {
    /// Notes once how the connection ended, if it ended badly: an error where somebody has something
    /// to mend, else for verbose logs only. Nothing for a sub-protocol that nobody speaks, as in the
    /// engine's class.
    pub(crate) fn report(&mut self, now: Instant, notices: &mut Notices) {
        let Some(failure) = self.failure.as_ref().filter(|_| !self.is_reported) else {
            return;
        };
        self.is_reported = true;
        let is_error = match failure {
            Failure::Refused(refusal) if refusal.silent => return,
            Failure::Refused(_) | Failure::Tls(_) | Failure::Answer(_) | Failure::InvalidId => true,
            // A server sees these from everyone who only looks whether it is there.
            Failure::Ended(phase) | Failure::Socket(phase, _) => {
                self.role == Role::Client && matches!(phase, Phase::Tls | Phase::Upgrade)
            }
            _ => false,
        };
        let hint = match failure {
            Failure::Ended(phase) | Failure::Socket(phase, _) if is_error => match phase {
                Phase::Tls => " (does the server speak TLS?)",
                _ => " (does the server want TLS, that is wss://?)",
            },
            _ => "",
        };
        let text = format!("{}: {failure}{hint}", self.peer_name());
        if is_error {
            notices.error(now, text);
        } else {
            notices.verbose(text);
        }
    }

    /// The other side as a person would name it. Not the URL, which may hold a token.
    fn peer_name(&self) -> String {
        match (&self.host, self.remote) {
            (Some(host), _) => host.to_string(),
            (None, Some(remote)) => remote.to_string(),
            (None, None) => "a peer".to_owned(),
        }
    }
}
