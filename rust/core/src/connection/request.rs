//! A request that waits until the owner of the server decides about it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::{Connection, SharedConnection, Stage, State};
use crate::admission::Places;
use crate::error::{Error, Failure};
use crate::tls::TlsFacts;
use crate::upgrade::{Refusal, Request, check_headers, server};

/// The HTTP statuses that a rejection may have.
const REJECTIONS: std::ops::RangeInclusive<u16> = 400..=599;

/// A stage of a server's connection.
pub(super) struct Deciding {
    /// The request, until the owner is asked.
    request: Option<Request>,
    /// What the client gets unless the owner chooses.
    protocol: Option<String>,
    /// Where a place is taken when it is accepted.
    places: Places,
}

impl Deciding {
    pub(super) fn new(request: Request, protocol: Option<String>, places: Places) -> Self {
        Self { request: Some(request), protocol, places }
    }
}

/// What a client asks for, and how to answer: at once or later, within the time for the handshake.
/// The default one is nobody's, so there is nothing to answer.
#[derive(Debug, Default)]
pub struct ClientRequest {
    /// The request.
    pub request: Request,
    /// Where it comes from.
    pub remote: Option<SocketAddr>,
    /// Whether it came through TLS.
    pub is_secure: bool,
    /// What is known of that, unless somebody else did it.
    pub tls: Option<TlsFacts>,
    serial: u64,
    connection: Weak<RefCell<Connection>>,
}

impl ClientRequest {
    /// The request of a connection that waits for a decision; once.
    pub(crate) fn of(shared: &SharedConnection) -> Option<Self> {
        let mut connection = shared.borrow_mut();
        let Stage::Deciding(deciding) = &mut connection.stage else {
            return None;
        };
        let request = deciding.request.take()?;
        let transport = connection.transport.as_ref();
        Some(Self {
            request,
            remote: connection.remote,
            is_secure: transport.is_some_and(|transport| transport.is_secure()),
            tls: transport.and_then(|transport| transport.tls_facts()),
            serial: connection.serial,
            connection: Rc::downgrade(shared),
        })
    }

    /// The place of its connection in the order of arrival.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether it waits for an answer: there was none, and the client has not gone.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending(|_| ()).is_ok()
    }

    /// Whether the client has gone, or is being sent away.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let connection = self.connection.upgrade();
        // One that is borrowed is being driven.
        let is_closed = |connection: &RefCell<Connection>| {
            connection.try_borrow().is_ok_and(|connection| connection.state() == State::Closed)
        };
        connection.is_none_or(|connection| is_closed(&connection))
    }

    /// Lets the client in; `headers` are extra lines for the answer, behind those of the settings. A
    /// `protocol` must be one that the client has offered; without one it is what the settings say.
    ///
    /// # Errors
    /// [`Error::Header`] and [`Error::NotOffered`] for arguments that cannot be used, then the
    /// request still waits. [`Error::Full`] when nobody is let in any more: the client is told so.
    /// [`Error::NotPending`].
    pub fn accept(&self, headers: &[String], protocol: &str, now: Instant) -> Result<(), Error> {
        check_headers("extra_headers", headers)?;
        let mut offered = self.request.protocols.iter();
        if !protocol.is_empty() && !offered.any(|offered| offered == protocol) {
            return Err(Error::NotOffered);
        }
        let protocol = (!protocol.is_empty()).then(|| protocol.to_owned());
        self.pending(|connection| connection.accept(&self.request, headers, protocol, now))?
    }

    /// Turns the client away with an HTTP status (400 to 599) and a text for the body of the answer;
    /// without one it is that of the status.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the status, then the request still waits. [`Error::NotPending`].
    pub fn reject(&self, status: i64, reason: &str) -> Result<(), Error> {
        let (min, max) = REJECTIONS.into_inner();
        let out_of_range = Error::OutOfRange { value: status, min: min.into(), max: max.into() };
        let status = u16::try_from(status).ok().filter(|status| REJECTIONS.contains(status));
        let status = status.ok_or(out_of_range)?;
        self.pending(|connection| {
            let refusal = Refusal::new(status, reason);
            connection.end_with(&refusal, Failure::Rejected(status));
            connection.flush();
        })
    }

    /// Does something with the connection if it waits.
    fn pending<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> Result<T, Error> {
        let connection = self.connection.upgrade().ok_or(Error::NotPending)?;
        // It is borrowed while it is driven, when a stream of the engine's might run a script.
        let mut connection = connection.try_borrow_mut().map_err(|_| Error::NotPending)?;
        match connection.stage {
            Stage::Deciding(_) => Ok(act(&mut connection)),
            _ => Err(Error::NotPending),
        }
    }
}

impl Connection {
    /// Answers a request that waits for a decision.
    fn accept(
        &mut self,
        request: &Request,
        headers: &[String],
        protocol: Option<String>,
        now: Instant,
    ) -> Result<(), Error> {
        let Stage::Deciding(deciding) = &mut self.stage else {
            return Err(Error::NotPending);
        };
        let protocol = protocol.or_else(|| deciding.protocol.take());
        match deciding.places.take(now) {
            Ok(place) => self.place = Some(place),
            Err(refusal) => {
                self.turn_away(refusal);
                self.flush();
                return Err(Error::Full);
            }
        }
        let headers = [&self.config.handshake_headers, headers].concat();
        let answer = server::answer(request, protocol.as_deref(), &headers);
        self.outbox.push_bytes(&answer);
        self.open(protocol.unwrap_or_default(), now);
        self.invited = true;
        // Nothing was read while it waited.
        self.is_held = true;
        self.flush();
        self.call_attention();
        Ok(())
    }

    /// Ends a connection of which nobody has decided in time.
    pub(super) fn give_up_deciding(&mut self) {
        let refusal = Refusal::new(503, "no decision was made in time");
        self.end_with(&refusal, Failure::Undecided);
    }
}
