//! One link through its life: dialing, upgrade, open, closing, closed.
//!
//! The [reactor](crate::reactor) says when a socket is ready and owns the time; whoever made the
//! connection sends, takes messages and closes. Both hold the same [`SharedConnection`].

mod drive;
mod heartbeat;
mod report;
mod target;
mod upgrade;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::{Registry, Token};

use self::heartbeat::Heartbeat;
pub use self::target::Target;
use crate::config::{ConnectionConfig, FLUSH_THRESHOLD, PollBudget};
use crate::dial::Dial;
use crate::error::{Error, Failure, Phase};
use crate::outbox::Outbox;
use crate::tls::ClientTls;
use crate::transport::{Scratch, Transport};
use crate::upgrade::{AnswerReader, RequestReader};
use crate::url::Url;
use crate::websocket::{self, CloseFrame, Kind, Message, Role, WebSocket};

/// A connection that its reactor and its owner share.
pub type SharedConnection = Rc<RefCell<Connection>>;

/// What a connection looks like from outside. The values are those of `WebSocketPeer.State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The upgrade is not done.
    Connecting = 0,
    /// Messages flow.
    Open = 1,
    /// A close frame has been sent and not answered.
    Closing = 2,
    /// Nothing more comes or goes.
    Closed = 3,
}

/// Connections that have something for their reactor to do before a socket is ready.
pub(crate) type Attention = Rc<RefCell<Vec<Token>>>;

/// What the reactor lends to a connection that it drives.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) registry: &'a Registry,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) arena: &'a mut BytesMut,
    pub(crate) budget: &'a mut PollBudget,
}

/// Whether a connection that was driven has more to do before its socket is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    Idle,
    More,
}

/// What a client's connection must have come to, and by when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DialLimit {
    /// A TCP connection.
    Connect(Option<Instant>),
    /// The end of the upgrade.
    Open(Option<Instant>),
}

/// Reads that a connection may do in a row before others get their turn.
const READS_IN_A_ROW: usize = 4;

/// One WebSocket connection.
pub struct Connection {
    role: Role,
    stage: Stage,
    transport: Option<Transport>,
    config: Rc<ConnectionConfig>,
    outbox: Outbox,
    inbox: VecDeque<Message>,
    inbox_limit: usize,
    /// Bytes that have been read and not used: a head that is not complete, or frames that came
    /// when the inbox was full.
    unread: BytesMut,
    /// Reading stopped because the inbox was full; the socket may hold more.
    is_held: bool,
    /// The other side has ended its half, so reads must go on until they say so.
    read_ended: bool,
    /// A write failed: nothing more can be sent, what has arrived can still be read.
    broken: Option<Failure>,
    /// The kernel takes nothing at present.
    write_blocked: bool,
    /// When the present stage has taken too long.
    limit: Option<Instant>,
    heartbeat: Option<Heartbeat>,
    token: Token,
    serial: u64,
    attention: Attention,
    listed: bool,
    upgraded: bool,
    claimed: bool,
    remote: Option<SocketAddr>,
    /// Host and port of the URL, on a client.
    host: Option<Box<str>>,
    requested_url: String,
    protocol: String,
    close_code: i32,
    close_reason: String,
    failure: Option<Failure>,
    is_reported: bool,
}

enum Stage {
    /// A client without a socket.
    Dialing(Box<Dialing>),
    /// A client that has sent its request.
    Asking(Box<Asking>),
    /// A server that awaits the request.
    Answering(Box<RequestReader>),
    /// Upgraded.
    Open(WebSocket),
    /// What is in the outbox is written, then the stream is ended and the other side's end awaited.
    Ending,
    /// No socket.
    Closed,
}

struct Dialing {
    dial: Dial,
    url: Url,
    tls: Option<ClientTls>,
    /// The time limit ends when there is a TCP connection.
    only_connect: bool,
}

#[derive(Default)]
struct Asking {
    key: String,
    reader: AnswerReader,
}

impl Connection {
    fn new(role: Role, stage: Stage, config: Rc<ConnectionConfig>, attention: Attention) -> Self {
        Self {
            role,
            stage,
            transport: None,
            config,
            outbox: Outbox::default(),
            inbox: VecDeque::new(),
            inbox_limit: usize::MAX,
            unread: BytesMut::new(),
            is_held: false,
            read_ended: false,
            broken: None,
            write_blocked: false,
            limit: None,
            heartbeat: None,
            token: Token(usize::MAX),
            serial: 0,
            attention,
            listed: false,
            upgraded: false,
            claimed: false,
            remote: None,
            host: None,
            requested_url: String::new(),
            protocol: String::new(),
            close_code: -1,
            close_reason: String::new(),
            failure: None,
            is_reported: false,
        }
    }

    /// The server's end of `transport`, whose upgrade may take until `limit`.
    pub(crate) fn accepted(
        mut transport: Transport,
        config: Rc<ConnectionConfig>,
        limit: Option<Instant>,
        attention: Attention,
    ) -> Self {
        // The engine's class does the same: a packet must not wait for an earlier one's receipt.
        transport.set_no_delay(true);
        let stage = Stage::Answering(Box::default());
        let mut connection = Self::new(Role::Server, stage, config, attention);
        connection.remote = transport.remote();
        connection.transport = Some(transport);
        connection.limit = limit;
        connection
    }

    /// The client's end of a connection to `target`.
    pub(crate) fn dialing(
        target: Target,
        config: Rc<ConnectionConfig>,
        limit: DialLimit,
        attention: Attention,
    ) -> Self {
        let Target { dial, url, requested_url, tls } = target;
        let remote = dial.first_address().unwrap_or_else(|| ([0, 0, 0, 0], url.port).into());
        let host = format!("{}:{}", url.host, url.port).into();
        let (limit, only_connect) = match limit {
            DialLimit::Connect(limit) => (limit, true),
            DialLimit::Open(limit) => (limit, false),
        };
        let stage = Stage::Dialing(Box::new(Dialing { dial, url, tls, only_connect }));
        let mut connection = Self::new(Role::Client, stage, config, attention);
        connection.remote = Some(remote);
        connection.host = Some(host);
        connection.requested_url = requested_url;
        connection.limit = limit;
        connection
    }

    /// The place of this connection in the order of accepting and dialing.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// True once: when the upgrade is done and the connection is seen for the first time since. It
    /// may have been closed again by then, and messages may have come before the close.
    pub fn claim(&mut self) -> bool {
        self.upgraded && !std::mem::replace(&mut self.claimed, true)
    }

    /// Whether [`Connection::claim`] has been true.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// What the connection looks like from outside.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Dialing(_) | Stage::Asking(_) | Stage::Answering(_) => State::Connecting,
            Stage::Open(_) if self.broken.is_some() => State::Closed,
            Stage::Open(socket) => match socket.state() {
                websocket::State::Open => State::Open,
                websocket::State::Closing => State::Closing,
                websocket::State::Closed => State::Closed,
            },
            Stage::Ending | Stage::Closed => State::Closed,
        }
    }

    /// Queues a message. It leaves with the next [`Connection::flush`], or at once when more than
    /// [`FLUSH_THRESHOLD`] bytes wait.
    ///
    /// # Errors
    /// [`Error::NotOpen`], or [`Error::OutOfMemory`] when `outbound_buffer_size` or
    /// `max_queued_packets` leaves no room even after the kernel has taken what it can.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        if self.state() != State::Open {
            return Err(Error::NotOpen);
        }
        if !self.has_outbound_room(payload.len()) {
            self.flush();
            if self.state() != State::Open {
                return Err(Error::NotOpen);
            }
            if !self.has_outbound_room(payload.len()) {
                let peers = "the peer".to_owned();
                return Err(Error::OutOfMemory { size: payload.len(), peers });
            }
        }
        self.push(kind, payload);
        Ok(())
    }

    /// Queues a message that the limits do not count: the id, without which nothing works.
    pub(crate) fn push(&mut self, kind: Kind, payload: &[u8]) {
        if let Stage::Open(socket) = &self.stage {
            socket.send(kind, payload, &mut self.outbox);
        }
        if self.outbox.bytes().len() >= FLUSH_THRESHOLD && !self.write_blocked {
            self.flush();
        }
    }

    /// Hands what waits to the kernel, as far as it takes it.
    pub fn flush(&mut self) {
        while let (Some(transport), false) = (&mut self.transport, self.outbox.is_empty()) {
            let written = transport.write(self.outbox.bytes());
            self.write_blocked = written.is_err();
            match written {
                Ok(count) => {
                    self.outbox.written(count);
                    if let (true, Stage::Open(socket)) = (self.outbox.is_empty(), &mut self.stage) {
                        socket.resume(&mut self.outbox);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.break_off(&error),
            }
        }
        match self.transport.as_mut().map(Transport::write_out) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
            Some(Err(error)) => self.break_off(&error),
            _ => {}
        }
        match (&self.stage, &mut self.transport) {
            // It has no half that could be ended alone.
            (Stage::Ending, Some(transport)) if transport.is_foreign() => self.drop_stream(),
            (Stage::Ending, Some(transport)) => transport.end_writing(),
            _ => {}
        }
    }

    /// Asks the reactor to flush this connection when it flushes next.
    pub fn flush_later(&mut self) {
        let tls_waits = self.transport.as_ref().is_some_and(Transport::wants_write);
        if !self.outbox.is_empty() || tls_waits {
            self.call_attention();
        }
    }

    /// The oldest message that has not been taken.
    pub fn receive(&mut self) -> Option<Message> {
        let message = self.inbox.pop_front()?;
        if self.is_held {
            self.call_attention();
        }
        // A burst does not keep its memory.
        if self.inbox.is_empty() && self.inbox.capacity() > 64 {
            self.inbox = VecDeque::new();
        }
        Some(message)
    }

    /// Messages that can be taken.
    #[must_use]
    pub fn available(&self) -> usize {
        self.inbox.len()
    }

    /// Bounds the messages that wait to be taken; the rest stays with the sender. Default: none.
    pub fn set_inbox_limit(&mut self, limit: usize) {
        self.inbox_limit = limit;
        self.call_attention();
    }

    /// Starts the closing handshake with `code` (0: none) and `reason`; below 0 the stream is ended
    /// without one. Messages that have not been taken are dropped. A connection that is not open
    /// yet is given up; one that is closing or closed stays as it is.
    pub fn close(&mut self, code: i32, reason: &str) {
        self.inbox.clear();
        match (&mut self.stage, u16::try_from(code)) {
            (Stage::Open(socket), Ok(code)) => {
                socket.close(&CloseFrame::new(code, reason), &mut self.outbox);
                self.flush();
                self.call_attention();
            }
            (Stage::Ending | Stage::Closed, _) => {}
            _ => self.drop_stream(),
        }
    }

    /// Leaves the connection: what is queued is still written, then the stream is ended, in later
    /// polls if it has to be.
    pub fn leave(&mut self) {
        match self.stage {
            Stage::Open(_) => self.end(),
            Stage::Ending | Stage::Closed => {}
            _ => self.drop_stream(),
        }
    }

    /// Ends the connection within this call: what the kernel does not take now is lost.
    pub fn leave_now(&mut self) {
        self.leave();
        self.flush();
        self.drop_stream();
    }

    /// Sends a ping every `interval` (zero: never) while open.
    pub fn set_heartbeat(&mut self, interval: Duration) {
        self.heartbeat = (!interval.is_zero()).then(|| Heartbeat::new(interval));
        self.call_attention();
    }

    /// The settings of this connection.
    #[must_use]
    pub fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// Takes the limits of `config` over, for this connection alone.
    pub fn set_limits(&mut self, config: &ConnectionConfig) {
        let own = Rc::make_mut(&mut self.config);
        own.inbound_buffer_size = config.inbound_buffer_size;
        own.outbound_buffer_size = config.outbound_buffer_size;
        own.max_queued_packets = config.max_queued_packets;
    }

    /// Payload bytes of messages that are not completely written; 0 unless open.
    #[must_use]
    pub fn buffered(&self) -> usize {
        if self.state() == State::Open { self.outbox.payload() } else { 0 }
    }

    /// Turns delaying of small segments off (the default) or on; false without a socket.
    pub fn set_no_delay(&mut self, enabled: bool) -> bool {
        match &mut self.transport {
            Some(transport) => {
                transport.set_no_delay(enabled);
                true
            }
            None => false,
        }
    }

    /// The address of the other end, also when closed; while connecting, of the first address that
    /// is tried.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// The URL that was asked for: as given on a client, put together from the request on a server.
    #[must_use]
    pub fn requested_url(&self) -> &str {
        &self.requested_url
    }

    /// The sub-protocol that both sides agreed on, or nothing.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The code of the close frame received, 0 if it had none, -1 without a close frame.
    #[must_use]
    pub fn close_code(&self) -> i32 {
        self.close_code
    }

    /// The reason of the close frame received.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        &self.close_reason
    }

    /// Why the connection ended, unless by a closing handshake.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Ends the connection because its first message is not an id.
    pub(crate) fn refuse_id(&mut self) {
        self.failure = Some(Failure::InvalidId);
        self.close(i32::from(websocket::close::NORMAL), "");
    }

    fn has_outbound_room(&self, payload: usize) -> bool {
        let config = &self.config;
        self.outbox.has_room(payload, config.max_queued_packets, config.outbound_buffer_size)
    }

    fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Dialing(dialing) if dialing.dial.is_resolving() => Phase::Resolve,
            Stage::Dialing(_) => Phase::Connect,
            _ if self.transport.as_ref().is_some_and(Transport::is_handshaking) => Phase::Tls,
            Stage::Asking(_) | Stage::Answering(_) => Phase::Upgrade,
            _ => Phase::Open,
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.drop_stream();
    }

    /// Nothing more can be written. What the other side sent before it went is still read.
    fn break_off(&mut self, error: &io::Error) {
        self.broken = Some(Failure::of_stream(self.phase(), error));
        self.outbox.clear();
        self.read_ended = true;
        self.call_attention();
    }

    /// Goes over to writing what is left and ending the stream.
    fn end(&mut self) {
        self.stage = Stage::Ending;
        self.limit = None;
        self.unread = BytesMut::new();
        self.call_attention();
    }

    fn drop_stream(&mut self) {
        self.stage = Stage::Closed;
        self.limit = None;
        self.outbox.clear();
        self.unread = BytesMut::new();
        if let Some(transport) = self.transport.take() {
            transport.end();
        }
        self.call_attention();
    }

    fn call_attention(&mut self) {
        if !self.listed {
            self.listed = true;
            self.attention.borrow_mut().push(self.token);
        }
    }
}

/// When something that starts now and may take `timeout` is late.
pub(crate) fn limit_after(now: Instant, timeout: Duration) -> Option<Instant> {
    // A timeout beyond the clock's range is none.
    now.checked_add(timeout)
}
