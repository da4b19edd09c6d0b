//! Ends with a code and a reason, and why a client has no connection.

use super::{Mode, MultiplayerPeer, SERVER_ID, SessionEvent};
use crate::connection::{Connection, Ending};
use crate::error::{Error, Phase};
use crate::websocket::close;

/// Why a client did not come to a connection, or lost it without a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    /// What it was doing.
    pub phase: Phase,
    /// The cause in words.
    pub message: String,
    /// The HTTP status of the answer that refused the upgrade; 0 if there was none.
    pub status: u16,
    /// The body of that answer, at most [`MAX_BODY`](crate::upgrade::MAX_BODY) bytes.
    pub body: String,
}

impl ConnectionError {
    /// What is to be said of a client's connection that has ended; `has_id`: the server had given
    /// the client its id.
    pub(super) fn of(connection: &Connection, has_id: bool) -> Option<Self> {
        if connection.is_closed_here() {
            return None;
        }
        let Some(failure) = connection.failure() else {
            // The server has let us in only to show us out.
            let shown_out = !has_id && connection.close_code() >= 0;
            let message = || closed_by_server(&connection.ending());
            return shown_out.then(|| Self::new(Phase::Id, message(), 0, ""));
        };
        let phase = match failure.phase() {
            Phase::Open if !has_id => Phase::Id,
            phase => phase,
        };
        let (status, body) = connection.refused_with();
        Some(Self::new(phase, failure.to_string(), status, body))
    }

    fn new(phase: Phase, message: String, status: u16, body: &str) -> Self {
        Self { phase, message, status, body: body.to_owned() }
    }
}

fn closed_by_server(ending: &Ending) -> String {
    let Ending { code, reason, .. } = ending;
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("the server closed the connection with code {code}{colon}{reason}")
}

impl MultiplayerPeer {
    /// Disconnects a peer with a close frame; with `force` it is forgotten at once and not
    /// signalled.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`].
    pub fn disconnect_peer(&mut self, id: i32, force: bool) -> Result<(), Error> {
        match &mut self.mode {
            Mode::Server(server) if force => server.expel(id, &mut self.stats),
            Mode::Client(_) if force && id == SERVER_ID => {
                self.close();
                Ok(())
            }
            _ => self.end_peer(id, close::NORMAL, ""),
        }
    }

    /// Disconnects a peer with a close frame that has `code` and as much of `reason` as fits, which
    /// is 123 bytes.
    ///
    /// # Errors
    /// [`Error::CloseCode`] for a code that must not be sent, [`Error::UnknownPeer`].
    pub fn close_peer(&mut self, id: i32, code: i64, reason: &str) -> Result<(), Error> {
        self.end_peer(id, close::sendable(code).ok_or(Error::CloseCode(code))?, reason)
    }

    fn end_peer(&mut self, id: i32, code: u16, reason: &str) -> Result<(), Error> {
        match &mut self.mode {
            Mode::Server(server) => server.disconnect(id, code, reason),
            Mode::Client(client) if id == SERVER_ID => {
                client.disconnect(code, reason);
                Ok(())
            }
            _ => Err(Error::UnknownPeer(id)),
        }
    }

    /// How the connection to a peer ended, to be signalled just before the event that it has gone.
    #[must_use]
    pub fn ending(&self, id: i32) -> Option<Ending> {
        self.connection(id).map(|connection| connection.borrow().ending())
    }

    /// Whether an event has still to be signalled, after a handler of something else has run.
    #[must_use]
    pub fn is_due(&self, event: &SessionEvent) -> bool {
        event.session == self.session && self.concerns(event.event)
    }

    /// Why the client failed to connect, or lost its server without a close frame; `None` if it has
    /// not, and from the start of the next session on.
    #[must_use]
    pub fn connection_error(&self) -> Option<&ConnectionError> {
        self.connection_error.as_ref()
    }
}
