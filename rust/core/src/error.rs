//! What calls answer when they cannot do what was asked, and why a connection ended.

use std::io;

use crate::proxy::{ProxyConfigError, ProxyFailure};
use crate::tls::{TlsError, TlsFailure};
use crate::upgrade::{AnswerError, HeaderError, Refusal};
use crate::url::UrlError;
use crate::websocket::{Violation, close};

/// Why a call was refused. Nothing has changed when a call returns one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A server or client is active already.
    #[error("the peer is active already")]
    AlreadyInUse,
    /// There is a status endpoint already.
    #[error("the status endpoint is there already")]
    StatusEndpointInUse,
    /// The URL cannot be used.
    #[error("cannot use the url: {0}")]
    Url(#[from] UrlError),
    /// An entry of a list of strings can be no part of a request or answer.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A setting of what proxies say cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyConfigError),
    /// The bind address is no IP address and not `*`.
    #[error("cannot bind to `{0}`: not an ip address and not `*`")]
    BindAddress(String),
    /// The port is not in 0..=65535.
    #[error("port {0} is not in the range 0 to 65535")]
    Port(i64),
    /// The operating system did not give the address.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address asked for.
        address: String,
        /// What the operating system said.
        error: String,
    },
    /// The operating system refused a resource: descriptors, mostly.
    #[error("{0}")]
    System(String),
    /// The TLS options cannot be used.
    #[error("cannot use the tls options: {0}")]
    Tls(#[from] TlsError),
    /// The TLS options are those of the other side.
    #[error("the tls options are for the other side")]
    TlsSide,
    /// The server does not speak TLS.
    #[error("the server does not speak tls")]
    NoTls,
    /// A time limit of 0 or less.
    #[error("a time limit must be above 0")]
    Timeout,
    /// A time that is negative, not a number, or beyond the clock.
    #[error("the time must be 0 seconds or more")]
    Seconds,
    /// A close code that must not be sent.
    #[error("{0} is no close code that can be sent: 1000-1003, 1007-1014 or 3000-4999")]
    CloseCode(i64),
    /// The peer is not connected.
    #[error("the peer is not connected")]
    Unconfigured,
    /// There is no peer with this id.
    #[error("no peer with the id {0}")]
    UnknownPeer(i32),
    /// The queue of packets is empty.
    #[error("no packet is waiting")]
    Unavailable,
    /// `outbound_buffer_size` or `max_queued_packets` leaves no room for the message.
    #[error("a message of {size} bytes does not fit into the outbound queue of {peers}")]
    OutOfMemory {
        /// Its size in bytes.
        size: usize,
        /// Whose queue is full.
        peers: String,
    },
    /// The memory limit of the process leaves no room for the message.
    #[error(
        "a message of {size} bytes does not fit: the memory limit is {limit} bytes for all queues, \
             which hold {used}"
    )]
    MemoryLimit {
        /// Its size in bytes.
        size: usize,
        /// What all queues of the process hold, in bytes.
        used: usize,
        /// The limit for it in bytes.
        limit: usize,
    },
    /// A number that a setting cannot have.
    #[error("{value} is not in the range {min} to {max}")]
    OutOfRange {
        /// The number.
        value: i64,
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// The request has been answered, or its client has gone.
    #[error("the request does not wait for an answer any more")]
    NotPending,
    /// As many clients are in as may be.
    #[error("the server is full")]
    Full,
    /// A sub-protocol that the client has not offered.
    #[error("the client has not offered this sub-protocol")]
    NotOffered,
    /// The connection is not open, or is being closed.
    #[error("the connection is not open")]
    NotOpen,
}

impl Error {
    /// What an [`io::Error`] becomes.
    pub(crate) fn system(error: &io::Error) -> Self {
        Self::System(error.to_string())
    }
}

/// What a connection was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Finding the addresses of a name.
    Resolve,
    /// Opening a TCP connection.
    Connect,
    /// Awaiting what a proxy says in front of a connection.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Asking for, or answering, the upgrade to WebSocket.
    Upgrade,
    /// Waiting for the id that the server gives.
    Id,
    /// Exchanging messages.
    Open,
}

impl Phase {
    /// One word for the phase, for scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Id => "id",
            Self::Open => "open",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Proxy => "waiting for the proxy header",
            Self::Tls => "the tls handshake",
            Self::Upgrade => "the upgrade",
            Self::Id => "waiting for the id",
            Self::Open => "the session",
        })
    }
}

/// Why a connection ended other than by a closing handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name has no address.
    #[error("the name cannot be resolved: {0}")]
    Resolve(String),
    /// No address could be connected to.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The phase took longer than it may.
    #[error("{0} took too long")]
    Timeout(Phase),
    /// We, the server, refused what the connection began with.
    #[error("{0}")]
    Proxy(ProxyFailure),
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// We, the server, gave up an unfinished handshake for newer ones.
    #[error("given up for newer connections in {0}")]
    Displaced(Phase),
    /// We, the server, refused the request.
    #[error("upgrade refused with {}: {}", .0.status, .0.reason)]
    Refused(Refusal),
    /// The owner of the server rejected the request, with this HTTP status. The reason may be a
    /// secret between the two.
    #[error("rejected by the owner of the server with HTTP status {0}")]
    Rejected(u16),
    /// The owner of the server has not decided in time.
    #[error("nobody has accepted or rejected the request within handshake_timeout")]
    Undecided,
    /// We, the client, cannot use the server's answer.
    #[error("the server's answer cannot be used: {0}")]
    Answer(AnswerError),
    /// The first message from the server is not an id.
    #[error("the server's first message is not a valid id")]
    InvalidId,
    /// The other side broke the protocol or a limit.
    #[error("{0}")]
    Violation(Violation),
    /// The other side reads too slowly, and the policy is to disconnect such peers.
    #[error("it reads too slowly (close code {})", close::TRY_AGAIN_LATER)]
    Overflow,
    /// It held the most of an incomplete message when the memory limit was reached.
    #[error(
        "it held an incomplete message at the memory limit (close code {})",
        close::TRY_AGAIN_LATER
    )]
    Memory,
    /// The other side ended the TCP connection without a close frame.
    #[error("the connection was ended without a close frame in {0}")]
    Ended(Phase),
    /// The socket failed.
    #[error("the connection failed in {0}: {1}")]
    Socket(Phase, String),
    /// The heartbeat was not answered.
    #[error("no answer to the heartbeat")]
    Heartbeat,
}

impl Failure {
    /// The code of the close frame with which this side ends a connection that fails so.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Violation(violation) => Some(violation.code),
            Self::Overflow | Self::Memory => Some(close::TRY_AGAIN_LATER),
            _ => None,
        }
    }

    /// What the connection was doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Resolve(_) => Phase::Resolve,
            Self::Connect(_) => Phase::Connect,
            Self::Proxy(_) => Phase::Proxy,
            Self::Tls(_) => Phase::Tls,
            Self::Refused(_) | Self::Rejected(_) | Self::Undecided | Self::Answer(_) => {
                Phase::Upgrade
            }
            Self::InvalidId => Phase::Id,
            Self::Timeout(phase)
            | Self::Displaced(phase)
            | Self::Ended(phase)
            | Self::Socket(phase, _) => *phase,
            Self::Violation(_) | Self::Overflow | Self::Memory | Self::Heartbeat => Phase::Open,
        }
    }

    /// What the error of a stream means for the connection on it.
    pub(crate) fn of_stream(phase: Phase, error: &io::Error) -> Self {
        match TlsFailure::inside(error) {
            Some(failure) => Self::Tls(failure.to_string()),
            None => Self::Socket(phase, error.to_string()),
        }
    }
}
