//! What the log says of a connection that ended badly: one line that names the peer, the phase and
//! the cause.

use std::time::Instant;

use super::Connection;
use crate::error::{Error, Failure, Phase};
use crate::notice::Notices;
use crate::proxy::ProxyFailure;
use crate::stats::Stats;
use crate::websocket::{Limit, Role};

impl Connection {
    /// Counts and notes once how the connection ended, if it ended badly. The line is an error
    /// where somebody has something to mend, else for verbose logs only; there is none for a
    /// sub-protocol that nobody speaks, as in the engine's class.
    pub(crate) fn report(&mut self, now: Instant, notices: &mut Notices, stats: &mut Stats) {
        stats.packets_dropped += self.take_dropped();
        let Some(failure) = self.failure.as_ref().filter(|_| !self.is_reported) else {
            return;
        };
        self.is_reported = true;
        count(failure, self.upgraded, stats);
        let is_error = match failure {
            Failure::Refused(refusal) if refusal.silent => return,
            // The owner of the server wants it so.
            Failure::Refused(refusal) if matches!(refusal.status, 403 | 404 | 429 | 503) => false,
            // Anybody can send one.
            Failure::Proxy(ProxyFailure::Untrusted) => false,
            Failure::Proxy(_) => true,
            Failure::Refused(_) | Failure::Tls(_) | Failure::Answer(_) | Failure::InvalidId => true,
            // The owner has forgotten it, or is too slow.
            Failure::Undecided => true,
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
            notices.verbose(now, text);
        }
    }

    /// Counts what became of a packet that was sent.
    pub(crate) fn count_sent(&mut self, sent: &Result<(), Error>, stats: &mut Stats) {
        stats.packets_dropped += self.take_dropped();
        if let Err(Error::OutOfMemory { .. } | Error::MemoryLimit { .. }) = sent {
            stats.packets_refused += 1;
            self.numbers.packets_refused += 1;
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

/// Adds a failure to its count.
fn count(failure: &Failure, upgraded: bool, stats: &mut Stats) {
    let count = match failure {
        Failure::Refused(refusal) if refusal.departure.is_some() => &mut stats.refused_draining,
        Failure::Refused(refusal) => match refusal.status {
            403 => &mut stats.refused_origin,
            404 => &mut stats.refused_path,
            429 => &mut stats.refused_rate,
            503 => &mut stats.refused_full,
            _ => &mut stats.refused_request,
        },
        Failure::Proxy(_) => &mut stats.refused_proxy,
        Failure::Tls(_) if !upgraded => &mut stats.failed_tls,
        Failure::Rejected(_) => &mut stats.refused_admission,
        // A close frame that was not answered.
        Failure::Timeout(Phase::Open) => return,
        Failure::Timeout(_) | Failure::Undecided => &mut stats.handshake_timeouts,
        Failure::Displaced(_) => &mut stats.handshakes_displaced,
        Failure::Violation(violation) => match violation.limit {
            Some(Limit::Message) => &mut stats.closed_too_big,
            Some(Limit::Fragments) => &mut stats.closed_fragments,
            Some(Limit::Packets | Limit::Bytes) => &mut stats.closed_rate,
            None => &mut stats.closed_protocol,
        },
        Failure::Overflow => &mut stats.closed_overflow,
        Failure::Memory => &mut stats.closed_memory,
        _ => return,
    };
    *count += 1;
}
