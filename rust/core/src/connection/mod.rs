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
mod stale;
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

pub use self::ending::Ending;
use self::heartbeat::Heartbeat;
use self::keepalive::Keepalive;
use self::numbers::Numbers;
use self::phases::PhaseClock;
pub(crate) use self::proxied::Proxied;
pub use self::request::ClientRequest;
use self::request::Deciding;
pub use self::stale::Delivery;
use self::stale::Stale;
pub use self::target::Target;
use crate::admission::{Door, Place};
use crate::config::{ConnectionConfig, OverflowPolicy, PhaseTimeouts, PollBudget};
use crate::dial::Dial;
use crate::error::{Error, Failure, Phase};
use crate::memory::{self, Charge};
use crate::outbox::Outbox;
use crate::stats::RoundTrip;
use crate::tls::ClientTls;
use crate::transport::{Scratch, Transport};
use crate::upgrade::{AnswerReader, Body, RequestReader};
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

    /// Whether [`Connection::claim`] has been true.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.claimed
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

    /// Queues a message. It leaves with the next [`Connection::flush`], or at once when
    /// `flush_threshold` bytes wait.
    ///
    /// # Errors
    /// [`Error::NotOpen`]; [`Error::OutOfMemory`] when `outbound_buffer_size` or
    /// `max_queued_packets`, or [`Error::MemoryLimit`] when the memory limit, leaves no room even
    /// after the kernel has taken what it can. With [`OverflowPolicy::Disconnect`] a connection
    /// without room is closed and so not open; but not for a message that would never fit.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        let queued = self.queue(kind, payload);
        let disconnects = self.config.overflow_policy == OverflowPolicy::Disconnect;
        if disconnects && is_full(&queued) && self.is_congested() && self.can_hold(payload.len()) {
            self.failure.get_or_insert(Failure::Overflow);
            self.close(i32::from(websocket::close::TRY_AGAIN_LATER), "Reads too slowly");
            return Err(Error::NotOpen);
        }
        queued
    }

    /// Queues a packet, as [`Connection::send`] does; but with `drop_stale_packets` one that need
    /// not be delivered is dropped or held back while the other side reads too slowly, which is no
    /// error. [`Connection::take_dropped`] tells how many that were.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_as(&mut self, delivery: Delivery, payload: &[u8]) -> Result<(), Error> {
        if delivery == Delivery::Reliable || !self.config.drop_stale_packets {
            return self.send(Kind::Binary, payload);
        }
        if self.state() != State::Open {
            return Err(Error::NotOpen);
        }
        if !self.is_congested() {
            let queued = self.queue(Kind::Binary, payload);
            // Queueing has found out that the kernel takes nothing any more.
            if !(is_full(&queued) && self.is_congested() && self.can_hold(payload.len())) {
                return queued;
            }
        }
        let stale = self.stale.get_or_insert_default();
        match delivery {
            Delivery::UnreliableOrdered { channel } => {
                let (outbox, config) = (&self.outbox, &self.config);
                stale.hold(channel, payload, |count, size| fits(outbox, config, count, size));
            }
            _ => stale.drop_one(),
        }
        Ok(())
    }

    /// Packets that [`Connection::send_as`] accepted and that have been dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        let dropped = self.stale.as_mut().map_or(0, |stale| stale.take_dropped());
        self.numbers.packets_dropped += dropped;
        dropped
    }

    fn queue(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        if self.state() != State::Open {
            return Err(Error::NotOpen);
        }
        if self.refusal(payload.len()).is_some() {
            self.flush();
            if self.state() != State::Open {
                return Err(Error::NotOpen);
            }
            let can_hold = self.can_hold(payload.len());
            while let Some(refusal) = self.refusal(payload.len()) {
                // What may be lost makes room for what may not.
                let stale = self.stale.as_mut().filter(|_| can_hold);
                if !stale.is_some_and(|stale| stale.drop_oldest()) {
                    return Err(refusal);
                }
            }
        }
        self.push(kind, payload);
        self.numbers.count_sent(payload.len());
        Ok(())
    }

    /// Queues a client's id. The limits do not count it, since nothing works without it.
    pub(crate) fn send_id(&mut self, id: i32) {
        self.push(Kind::Binary, &id.to_le_bytes());
        if let Some(greeting) = &mut self.greeting {
            greeting.end = self.outbox.end();
        }
    }

    fn push(&mut self, kind: Kind, payload: &[u8]) {
        if let Stage::Open(socket) = &self.stage {
            socket.send(kind, payload, &mut self.outbox);
        }
        if self.outbox.bytes().len() >= self.config.flush_threshold && !self.write_blocked {
            self.flush();
        }
    }

    /// Hands what waits to the kernel, as far as it takes it.
    pub fn flush(&mut self) {
        // TLS may still hold bytes; to fail with them again and again would be noted each time.
        if self.broken.is_some() {
            return;
        }
        while let (Some(transport), false) = (&mut self.transport, self.outbox.is_empty()) {
            let written = transport.write(self.outbox.bytes());
            let was_blocked = std::mem::replace(&mut self.write_blocked, written.is_err());
            match written {
                Ok(count) => {
                    // There is room because something has arrived on the other side.
                    self.heard |= was_blocked;
                    self.outbox.written(count);
                    let position = self.outbox.position();
                    self.greeting.take_if(|greeting| position >= greeting.end);
                    if let (true, Stage::Open(socket)) = (self.outbox.is_empty(), &mut self.stage) {
                        socket.resume(&mut self.outbox);
                        for packet in self.stale.iter_mut().flat_map(|stale| stale.take()) {
                            socket.send(Kind::Binary, &packet, &mut self.outbox);
                            self.numbers.count_sent(packet.len());
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.break_off(&error),
            }
        }
        match self.transport.as_mut().map(Transport::write_out) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
            Some(Err(error)) => return self.break_off(&error),
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

    /// Starts the closing handshake with `code` (0: none) and `reason`; below 0 the stream is ended
    /// without one. Messages that have not been taken are dropped. A connection that is not open
    /// yet is given up; one that is closing or closed stays as it is.
    pub fn close(&mut self, code: i32, reason: &str) {
        self.inbox.clear();
        self.inbox_bytes = 0;
        self.forget_held();
        match (&mut self.stage, u16::try_from(code)) {
            (Stage::Open(socket), Ok(code)) => {
                let frame = CloseFrame::new(code, reason);
                if socket.state() == websocket::State::Open {
                    socket.close(&frame, &mut self.outbox);
                    self.own_close = self.failure.is_none().then(|| Box::new(frame));
                }
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

    /// Payload bytes of messages that are not completely written, and of packets held back; 0
    /// unless open.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.queued().bytes
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

    /// Gives up a handshake for newer ones; what is being refused has its answer and goes at once.
    pub(crate) fn displace(&mut self) {
        let failure = Failure::Displaced(self.phase());
        self.failure.get_or_insert(failure);
        self.leave_now();
    }

    /// Ends the connection because its first message is not an id, or because none has come in time.
    pub(crate) fn leave_without_id(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.close(i32::from(websocket::close::NORMAL), "");
    }

    /// Why a message of `payload` bytes does not fit into the queue.
    fn refusal(&self, payload: usize) -> Option<Error> {
        let (packets, bytes) = self.held();
        if !fits(&self.outbox, &self.config, packets + 1, bytes + payload) {
            Some(Error::OutOfMemory { size: payload, peers: "the peer".to_owned() })
        } else if payload > self.outbox.memory_room() {
            let (used, limit) = (memory::used(), memory::limit());
            Some(Error::MemoryLimit { size: payload, used, limit })
        } else {
            None
        }
    }

    /// Whether a message of `payload` bytes fits into an empty queue.
    fn can_hold(&self, payload: usize) -> bool {
        let size = usize::try_from(self.config.outbound_buffer_size).unwrap_or(0);
        size == 0 || payload <= size
    }

    /// Packets that are held back, and their bytes.
    fn held(&self) -> (usize, usize) {
        self.stale.as_ref().map_or((0, 0), |stale| stale.size())
    }

    /// Whether the kernel takes nothing at present and bytes wait.
    fn is_congested(&self) -> bool {
        self.write_blocked && !self.outbox.is_empty()
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

    /// Ends the connection to make room for others.
    pub(crate) fn shed(&mut self) {
        self.failure.get_or_insert(Failure::Memory);
        self.close(i32::from(websocket::close::TRY_AGAIN_LATER), "Out of memory");
        self.leave_now();
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

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.drop_stream();
    }

    /// Nothing more can be written. What the other side sent before it went is still read.
    fn break_off(&mut self, error: &io::Error) {
        self.broken = Some(Failure::of_stream(self.phase(), error));
        self.outbox.clear();
        self.forget_held();
        self.read_ended = true;
        self.call_attention();
    }

    /// Goes over to writing what is left and ending the stream.
    fn end(&mut self) {
        self.stage = Stage::Ending;
        self.limit = None;
        self.phases = None;
        self.greeting = None;
        self.place = None;
        self.unread = BytesMut::new();
        self.forget_held();
        self.call_attention();
    }

    fn drop_stream(&mut self) {
        if let Stage::Asking(asking) = &self.stage {
            self.refusal = asking.refusal.as_ref().map(|body| body.text(&self.unread).into());
        }
        self.stage = Stage::Closed;
        self.limit = None;
        self.phases = None;
        self.greeting = None;
        self.place = None;
        self.outbox.clear();
        self.unread = BytesMut::new();
        self.forget_held();
        if let Some(transport) = self.transport.take() {
            self.numbers.wire = transport.end();
        }
        self.call_attention();
    }

    /// Drops packets that are held back and cannot be sent any more, and counts anew what is left.
    fn forget_held(&mut self) {
        if let Some(stale) = &mut self.stale {
            stale.clear();
        }
        self.count_memory();
    }

    fn call_attention(&mut self) {
        if !self.listed {
            self.listed = true;
            self.attention.borrow_mut().push(self.token);
        }
    }
}

/// Whether so many messages more, with `payload` bytes together, fit into the queue.
fn fits(outbox: &Outbox, config: &ConnectionConfig, messages: usize, payload: usize) -> bool {
    outbox.has_room(messages, payload, config.max_queued_packets, config.outbound_buffer_size)
}

/// Whether a message was refused for want of room.
fn is_full(queued: &Result<(), Error>) -> bool {
    matches!(queued, Err(Error::OutOfMemory { .. } | Error::MemoryLimit { .. }))
}

/// When something that starts now and may take `timeout` is late.
pub(crate) fn limit_after(now: Instant, timeout: Duration) -> Option<Instant> {
    // A timeout beyond the clock's range is none.
    now.checked_add(timeout)
}
