//! One link through its life: dialing, upgrade, open, closing, closed.
//!
//! The [reactor](crate::reactor) says when a socket is ready and owns the time; whoever made the
//! connection sends, takes messages and closes. Both hold the same [`SharedConnection`].

mod drive;
mod ending;
mod heartbeat;
mod keepalive;
mod numbers;
mod phases;
mod proxied;
mod report;
mod request;
mod sending;
mod stale;
mod target;
mod upgrade;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::{Registry, Token};

pub use self::ending::Ending;
use self::heartbeat::Heartbeat;
use self::keepalive::Keepalive;
use self::numbers::Numbers;
use self::phases::PhaseClock;
pub use self::request::ClientRequest;
use self::request::Deciding;
pub use self::stale::Delivery;
use self::stale::Stale;
pub use self::target::Target;
use crate::admission::{Door, Place, Proxied};
use crate::config::{ConnectionConfig, PhaseTimeouts, PollBudget};
use crate::dial::Dial;
use crate::error::{Failure, Phase};
use crate::memory::Charge;
use crate::outbox::Outbox;
use crate::stats::RoundTrip;
use crate::tls::ClientTls;
use crate::transport::{Scratch, Transport};
use crate::upgrade::{AnswerReader, Body, RequestReader};
use crate::url::Url;
use crate::websocket::{self, CloseFrame, Message, Role, WebSocket};

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
    /// When everything that had arrived was last read.
    pub(crate) caught_up: Option<Instant>,
    pub(crate) registry: &'a Registry,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) arena: &'a mut BytesMut,
    pub(crate) budget: &'a mut PollBudget,
    /// What a server judges requests by; without one all are let in.
    pub(crate) door: Option<Door<'a>>,
}

/// Whether a connection that was driven has more to do before its socket is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    Idle,
    More,
    /// Not before the next poll.
    Later,
}

/// What a client's connection must have come to, and by when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DialLimit {
    /// A TCP connection.
    Connect(Option<Instant>),
    /// The end of the upgrade, and each phase on the way to it within a time of its own.
    Open { limit: Option<Instant>, timeouts: PhaseTimeouts, now: Instant },
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
    /// Packets that wait for the outbox to be written out.
    stale: Option<Box<Stale>>,
    inbox: VecDeque<Message>,
    /// Bytes of the messages in `inbox`.
    inbox_bytes: usize,
    inbox_limit: usize,
    /// For what has arrived and is not taken.
    charge: Charge,
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
    phases: Option<Box<PhaseClock>>,
    greeting: Option<Greeting>,
    place: Option<Place>,
    heartbeat: Option<Heartbeat>,
    numbers: Numbers,
    keepalive: Option<Box<Keepalive>>,
    /// When it has something to do. Kept here, so that a packet costs no look at it.
    look_at: Option<Instant>,
    /// Bytes have arrived that it does not know of.
    heard: bool,
    token: Token,
    serial: u64,
    attention: Attention,
    listed: bool,
    upgraded: bool,
    /// The owner has let it in.
    invited: bool,
    claimed: bool,
    remote: Option<SocketAddr>,
    /// Host and port of the URL, on a client.
    host: Option<Box<str>>,
    requested_url: String,
    protocol: String,
    /// The close frame with which we ended the connection, unless that was for a failure.
    own_close: Option<Box<CloseFrame>>,
    close_code: i32,
    close_reason: String,
    failure: Option<Failure>,
    /// What the server said when it refused the upgrade.
    refusal: Option<Box<str>>,
    is_reported: bool,
}

/// What a server's client must have taken, and by when: until then its handshake is not over.
struct Greeting {
    limit: Instant,
    /// Position in the outgoing stream behind the answer, or behind the id.
    end: u64,
}

enum Stage {
    /// A client without a socket.
    Dialing(Box<Dialing>),
    /// A client that has sent its request.
    Asking(Box<Asking>),
    /// A server that awaits what a proxy says, before TLS and the request.
    Proxied(Box<Proxied>),
    /// A server that awaits the request.
    Answering(Box<RequestReader>),
    /// A server that has a request, of which its owner decides.
    Deciding(Box<Deciding>),
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
    /// Why the upgrade was refused is wanted, too.
    keeps_refusal: bool,
    /// The upgrade has been refused, and this is still coming.
    refusal: Option<Body>,
}

impl Connection {
    fn new(role: Role, stage: Stage, config: Rc<ConnectionConfig>, attention: Attention) -> Self {
        Self {
            role,
            stage,
            transport: None,
            config,
            outbox: Outbox::default(),
            stale: None,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            inbox_limit: usize::MAX,
            charge: Charge::default(),
            unread: BytesMut::new(),
            is_held: false,
            read_ended: false,
            broken: None,
            write_blocked: false,
            limit: None,
            phases: None,
            greeting: None,
            place: None,
            heartbeat: None,
            numbers: Numbers::default(),
            keepalive: None,
            look_at: None,
            heard: false,
            token: Token(usize::MAX),
            serial: 0,
            attention,
            listed: false,
            upgraded: false,
            invited: false,
            claimed: false,
            remote: None,
            host: None,
            requested_url: String::new(),
            protocol: String::new(),
            own_close: None,
            close_code: -1,
            close_reason: String::new(),
            failure: None,
            refusal: None,
            is_reported: false,
        }
    }

    /// The server's end of `transport`, whose handshake may take until `limit`.
    pub(crate) fn accepted(
        mut transport: Transport,
        config: Rc<ConnectionConfig>,
        limit: Option<Instant>,
        attention: Attention,
    ) -> Self {
        // The engine's class does the same: a packet must not wait for an earlier one's receipt.
        transport.set_no_delay(true);
        let reader = RequestReader::new(config.max_request_size);
        let stage = Stage::Answering(Box::new(reader));
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
        let (limit, phases, only_connect) = match limit {
            DialLimit::Connect(limit) => (limit, None, true),
            DialLimit::Open { limit, timeouts, now } => {
                (limit, PhaseClock::new(timeouts, dial.phase(), now), false)
            }
        };
        let stage = Stage::Dialing(Box::new(Dialing { dial, url, tls, only_connect }));
        let mut connection = Self::new(Role::Client, stage, config, attention);
        connection.remote = Some(remote);
        connection.host = Some(host);
        connection.requested_url = requested_url;
        connection.limit = limit;
        connection.phases = phases;
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

    /// Whether it was the owner who has let it in.
    pub(crate) fn is_invited(&self) -> bool {
        self.invited
    }

    /// Whether [`Connection::claim`] has been true.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// Whether nothing more can be sent, while what the other side has sent is still being read: a
    /// poll may have time for a part of it only.
    pub(crate) fn is_read_on(&self) -> bool {
        matches!(self.stage, Stage::Open(_)) && self.broken.is_some()
    }

    /// What the connection looks like from outside.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Dialing(_)
            | Stage::Asking(_)
            | Stage::Proxied(_)
            | Stage::Answering(_)
            | Stage::Deciding(_) => State::Connecting,
            Stage::Open(_) if self.broken.is_some() => State::Closed,
            Stage::Open(socket) => match socket.state() {
                websocket::State::Open => State::Open,
                websocket::State::Closing => State::Closing,
                websocket::State::Closed => State::Closed,
            },
            Stage::Ending | Stage::Closed => State::Closed,
        }
    }

    /// The oldest message that has not been taken.
    pub fn receive(&mut self) -> Option<Message> {
        let message = self.inbox.pop_front()?;
        self.inbox_bytes -= message.data.len();
        if self.is_held {
            self.call_attention();
        }
        if self.inbox.is_empty() {
            self.count_memory();
            // A burst does not keep its memory.
            if self.inbox.capacity() > 64 {
                self.inbox = VecDeque::new();
            }
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

    /// The round-trip time, once a ping of `keepalive` has been answered.
    #[must_use]
    pub fn round_trip(&self) -> Option<RoundTrip> {
        self.keepalive.as_ref()?.round_trip()
    }

    /// Hands over the place among the clients, which is free otherwise when the connection ends.
    pub(crate) fn take_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    /// Bytes that have arrived and are not taken.
    fn received(&self) -> usize {
        self.unread.len() + self.incomplete() + self.inbox_bytes
    }

    /// Bytes of a message of which the rest has not come.
    pub(crate) fn incomplete(&self) -> usize {
        match &self.stage {
            Stage::Open(socket) => socket.incomplete(),
            _ => 0,
        }
    }

    fn count_memory(&mut self) {
        let received = self.received();
        self.charge.follow(received);
    }

    fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Dialing(dialing) => dialing.dial.phase(),
            Stage::Proxied(_) => Phase::Proxy,
            _ if self.transport.as_ref().is_some_and(Transport::is_handshaking) => Phase::Tls,
            Stage::Asking(_) | Stage::Answering(_) | Stage::Deciding(_) => Phase::Upgrade,
            _ => Phase::Open,
        }
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
