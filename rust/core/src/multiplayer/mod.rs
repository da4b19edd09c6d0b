//! The rules of a `MultiplayerPeer` over WebSockets, those of the engine's own class.
//!
//! The first message from a server is the client's id; after it each message is a packet.
//! [`MultiplayerPeer::poll`] does all the work and collects events; the caller signals them one by
//! one with [`MultiplayerPeer::next_event`] and [`MultiplayerPeer::finish_event`], with nothing
//! borrowed in between, because a handler may call anything.

mod client;
mod drain;
mod ends;
mod inbox;
mod numbers;
mod pace;
mod server;
mod tls_reload;

use std::time::{Duration, Instant};

use self::client::{Client, Outcome};
pub use self::ends::ConnectionError;
use self::inbox::Inbox;
pub use self::inbox::{Event, Packet};
use self::pace::Pace;
use self::server::Server;
use self::tls_reload::Watch;
use crate::admission::Admission;
use crate::config::{
    AdmissionConfig, ConnectionConfig, DEFAULT_HANDSHAKE_TIMEOUT, KeepaliveConfig, PhaseTimeouts,
    PollBudget, WaitingLimits,
};
use crate::connection::{ClientRequest, Delivery, SharedConnection, Target, limit_after};
use crate::error::Error;
use crate::notice::{Notice, Notices};
use crate::peer::Peer;
use crate::proxy;
use crate::reactor::SharedReactor;
use crate::stats::{PollTimes, Stats, Traffic};
use crate::status::StatusEndpoint;
use crate::tls::ServerTls;
use crate::transport::ByteStream;
use crate::upgrade::check_config;

/// The id of every server.
pub const SERVER_ID: i32 = 1;

/// The engine's `MultiplayerPeer.ConnectionStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Neither server nor client.
    Disconnected = 0,
    /// A client without an id.
    Connecting = 1,
    /// A server, or a client with an id.
    Connected = 2,
}

/// A server or client of WebSocket multiplayer.
pub struct MultiplayerPeer {
    /// Settings for connections made from now on.
    pub config: ConnectionConfig,
    /// Whom a server lets in.
    pub admission: AdmissionConfig,
    /// What one poll does at most.
    pub budget: PollBudget,
    /// How much may have been received and not been taken.
    pub waiting: WaitingLimits,
    /// What has happened so far.
    pub stats: Stats,
    /// Whether a client sends the pings of `config`, as a server does.
    pub keepalive_on_client: bool,
    /// How long the phases of a client's way to a connection may take, each by itself.
    pub phase_timeouts: PhaseTimeouts,
    handshake_timeout: Option<Duration>,
    watch: Watch,
    mode: Mode,
    /// Counts the calls that start or end a session.
    session: u64,
    inbox: Inbox,
    notices: Notices,
    connection_error: Option<ConnectionError>,
    target: i32,
    delivery: Delivery,
    pace: Pace,
    /// The number of the engine's present frame.
    frame: Box<dyn Fn() -> u64>,
    /// The time of the last call that was told it.
    now: Option<Instant>,
    poll_times: PollTimes,
    /// What has gone over the connections of sessions that have ended.
    past: Traffic,
    status_endpoint: Option<Box<StatusEndpoint>>,
}

#[derive(Default)]
enum Mode {
    #[default]
    Disconnected,
    Server(Box<Server>),
    Client(Box<Client>),
}

/// An event of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEvent {
    /// What to signal.
    pub event: Event,
    session: u64,
}

impl MultiplayerPeer {
    /// A peer that asks `frame` for the number of the engine's present frame.
    #[must_use]
    pub fn new(frame: impl Fn() -> u64 + 'static) -> Self {
        Self {
            config: ConnectionConfig {
                keepalive: KeepaliveConfig::MULTIPLAYER,
                ..ConnectionConfig::default()
            },
            admission: AdmissionConfig::default(),
            budget: PollBudget::default(),
            waiting: WaitingLimits::default(),
            stats: Stats::default(),
            keepalive_on_client: false,
            phase_timeouts: PhaseTimeouts::default(),
            handshake_timeout: None,
            watch: Watch::default(),
            mode: Mode::default(),
            session: 0,
            inbox: Inbox::default(),
            notices: Notices::default(),
            connection_error: None,
            target: 0,
            delivery: Delivery::default(),
            pace: Pace::default(),
            frame: Box::new(frame),
            now: None,
            poll_times: PollTimes::default(),
            past: Traffic::default(),
            status_endpoint: None,
        }
    }

    /// Listens on `port` (0: chosen by the system) of `bind_address`: an IP address, or `*` for
    /// both families. With `tls` all connections speak TLS.
    ///
    /// # Errors
    /// When active already, when an argument or setting cannot be used, or when the system does not
    /// give the address.
    pub fn create_server(
        &mut self,
        port: i64,
        bind_address: &str,
        tls: Option<ServerTls>,
        now: Instant,
    ) -> Result<(), Error> {
        self.check_idle()?;
        check_config(&self.config)?;
        proxy::check_config(&self.admission.proxy)?;
        let server = Server::listen(port, bind_address, tls)?;
        self.connection_error = None;
        self.now = Some(now);
        self.start(Mode::Server(Box::new(server)));
        Ok(())
    }

    /// Starts to connect to `target`.
    ///
    /// # Errors
    /// When active already, or when a setting cannot be used. That nobody answers is found out
    /// later.
    pub fn create_client(&mut self, target: Target, now: Instant) -> Result<(), Error> {
        self.check_idle()?;
        check_config(&self.config)?;
        let limit = limit_after(now, self.handshake_timeout());
        let mut config = self.config.clone();
        if !self.keepalive_on_client {
            config.keepalive = KeepaliveConfig::default();
        }
        let client = Client::dial(target, config.into(), limit, self.phase_timeouts, now)?;
        self.connection_error = None;
        self.now = Some(now);
        self.start(Mode::Client(Box::new(client)));
        Ok(())
    }

    /// Takes in a stream that somebody else has accepted, on the terms of the server's own sockets:
    /// with its TLS, within the handshake timeout. Only the fuzz targets need it.
    ///
    /// # Errors
    /// [`Error::Unconfigured`] unless this is a server.
    pub fn accept(&mut self, stream: Box<dyn ByteStream>, now: Instant) -> Result<(), Error> {
        let handshake_timeout = self.handshake_timeout();
        let Mode::Server(server) = &self.mode else { return Err(Error::Unconfigured) };
        let mut admission = Admission {
            config: &self.admission,
            connections: &self.config,
            handshake_timeout,
            is_refusing: false,
            stats: &mut self.stats,
            notices: &mut self.notices,
        };
        server.accept(stream, now, &mut admission);
        Ok(())
    }

    /// Does everything that can be done now, without waiting. New connections are left waiting while
    /// `refuse` is set.
    pub fn poll(&mut self, now: Instant, refuse: bool) {
        let before = self.inbox.len();
        self.now = Some(now);
        let mut budget = self.budget;
        let waiting = self.waiting;
        budget.frames = budget.frames.min(waiting.packets.saturating_sub(self.inbox.len()));
        budget.bytes = budget.bytes.min(waiting.bytes.saturating_sub(self.inbox.bytes()));
        budget.bytes = budget.bytes.min(self.inbox.memory_room());
        let handshake_timeout = self.handshake_timeout();
        match &mut self.mode {
            Mode::Disconnected => {}
            Mode::Server(server) => {
                let mut admission = Admission {
                    config: &self.admission,
                    connections: &self.config,
                    handshake_timeout,
                    is_refusing: refuse,
                    stats: &mut self.stats,
                    notices: &mut self.notices,
                };
                server.poll(now, &mut admission, &mut budget, &mut self.inbox);
            }
            Mode::Client(client) => {
                let (inbox, notices) = (&mut self.inbox, &mut self.notices);
                let outcome = client.poll(now, &mut budget, inbox, notices, &mut self.stats);
                if outcome != Outcome::Going {
                    self.connection_error = client.connection_error();
                }
                if outcome == Outcome::Failed {
                    self.close();
                }
            }
        }
        let brought = self.inbox.has_events() || self.inbox.len() > before;
        self.pace.polled(brought, &self.frame);
        self.poll_times.count(budget.spent());
        self.poll_status_endpoint(now, refuse);
    }

    /// Whether there is anything for [`MultiplayerPeer::next_event`] or
    /// [`MultiplayerPeer::next_notice`].
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.inbox.has_events() || !self.notices.is_empty()
    }

    /// The next event to signal after [`MultiplayerPeer::poll`].
    pub fn next_event(&mut self) -> Option<SessionEvent> {
        loop {
            let event = self.inbox.next_event()?;
            if self.concerns(event) {
                return Some(SessionEvent { event, session: self.session });
            }
        }
    }

    /// Whether an event is still to be signalled. A handler of an earlier one may have forced the
    /// peer out, or let others in again.
    fn concerns(&self, event: Event) -> bool {
        match event {
            Event::PeerConnected(id) | Event::PeerDisconnected(id) => self.connection(id).is_some(),
            Event::Drained => self.is_draining(),
            Event::ClientRequest(_) => true,
        }
    }

    /// The request that an [`Event::ClientRequest`] tells of; once, and none if its client has gone
    /// since. The owner of the server accepts or rejects it, now or later.
    pub fn take_request(&mut self, serial: u64) -> Option<ClientRequest> {
        match &mut self.mode {
            Mode::Server(server) => server.take_request(serial),
            _ => None,
        }
    }

    /// To be called when the event has been signalled; forgets a peer that has gone, unless the
    /// handler ended the session or started another one.
    pub fn finish_event(&mut self, event: SessionEvent) {
        let Event::PeerDisconnected(id) = event.event else {
            return;
        };
        if event.session != self.session {
            return;
        }
        match &mut self.mode {
            Mode::Disconnected => {}
            Mode::Server(server) => server.forget(id),
            Mode::Client(client) => {
                client.close(&mut self.stats);
                // Packets that came before the end can still be taken.
                self.enter(Mode::Disconnected);
            }
        }
    }

    /// Hands what has been collected to the kernel. To be called at the end of a poll, when its
    /// events have been signalled, and at the end of a frame.
    pub fn flush(&mut self) {
        self.pace.flushed();
        let Some(now) = self.now else { return };
        match &mut self.mode {
            Mode::Disconnected => {}
            Mode::Server(server) => server.flush(now),
            Mode::Client(client) => client.flush(now),
        }
    }

    /// True once when a packet has been collected that no later call in this frame is sure to
    /// flush: then [`MultiplayerPeer::flush`] has to be called at the end of the frame.
    pub fn take_flush_due(&mut self) -> bool {
        self.pace.take_due()
    }

    /// Sends `data` to the target. An empty packet is not sent.
    ///
    /// # Errors
    /// [`Error::Unconfigured`] unless connected, [`Error::UnknownPeer`] for a target that is not
    /// there, [`Error::NotOpen`] for one that is being disconnected, [`Error::OutOfMemory`] or
    /// [`Error::MemoryLimit`] when there is no room; a broadcast then still goes to those who have
    /// room. A target that is disconnected because it has no room does not fail a broadcast.
    pub fn put_packet(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.status() != Status::Connected {
            return Err(Error::Unconfigured);
        }
        if data.is_empty() {
            return Ok(());
        }
        let sent = match &mut self.mode {
            Mode::Disconnected => return Err(Error::Unconfigured),
            Mode::Server(server) => server.send(self.target, self.delivery, data, &mut self.stats),
            // Whatever the target is: the server is all that a client is connected to.
            Mode::Client(client) => client.send(self.delivery, data, &mut self.stats),
        };
        if !self.pace.put(&self.frame) {
            self.flush();
        }
        sent
    }

    /// Takes the next packet. A client can take what came before its server went, until it is
    /// closed or created anew.
    ///
    /// # Errors
    /// When there is none: [`Error::Unavailable`], or [`Error::Unconfigured`] unless connected.
    pub fn get_packet(&mut self) -> Result<Packet, Error> {
        let packet = self.inbox.take().ok_or_else(|| self.no_packet())?;
        self.pace.taken(self.inbox.available() > 0);
        Ok(packet)
    }

    /// The sender of the packet that [`MultiplayerPeer::get_packet`] will return.
    ///
    /// # Errors
    /// As [`MultiplayerPeer::get_packet`].
    pub fn packet_peer(&self) -> Result<i32, Error> {
        self.inbox.peek().map(|packet| packet.peer).ok_or_else(|| self.no_packet())
    }

    /// Packets that can be taken. When the last one has been taken, the replies to it leave.
    pub fn available(&mut self) -> usize {
        let available = self.inbox.available();
        if available == 0 && self.pace.found_empty() {
            self.flush();
        }
        available
    }

    /// Sets whom packets are sent to: a peer, all (0), or all but one (its negated id).
    pub fn set_target(&mut self, target: i32) {
        self.target = target;
    }

    /// Sets whether packets may be lost. It has an effect with `drop_stale_packets` only.
    pub fn set_delivery(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// Ends the session at once and without signals. What is queued, and a close frame, are offered
    /// to the kernel.
    pub fn close(&mut self) {
        match &mut self.mode {
            Mode::Disconnected => {}
            Mode::Server(server) => server.close(&mut self.stats),
            Mode::Client(client) => client.close(&mut self.stats),
        }
        self.start(Mode::Disconnected);
    }

    /// Disconnected, connecting or connected.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.mode {
            Mode::Disconnected => Status::Disconnected,
            Mode::Server(_) => Status::Connected,
            Mode::Client(client) if client.is_connected() => Status::Connected,
            Mode::Client(_) => Status::Connecting,
        }
    }

    /// Our own id: 1 on a server, 0 unless connected.
    #[must_use]
    pub fn unique_id(&self) -> i32 {
        match &self.mode {
            Mode::Disconnected => 0,
            Mode::Server(_) => SERVER_ID,
            Mode::Client(client) => client.id(),
        }
    }

    /// Whether this is a server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.mode, Mode::Server(_))
    }

    /// The view of the connection to a peer.
    #[must_use]
    pub fn view(&self, id: i32) -> Option<Peer> {
        let reactor = self.reactor()?;
        self.connection(id).map(|connection| Peer::view(connection.clone(), reactor.clone()))
    }

    /// The connection to a peer.
    #[must_use]
    pub fn connection(&self, id: i32) -> Option<&SharedConnection> {
        match &self.mode {
            Mode::Server(server) => server.connection(id),
            Mode::Client(client) if id == SERVER_ID => Some(client.connection()),
            _ => None,
        }
    }

    /// The ids of all peers that are connected, in the order in which they came; on a client that of
    /// the server, once it is connected.
    #[must_use]
    pub fn peer_ids(&self) -> Vec<i32> {
        match &self.mode {
            Mode::Server(server) => server.peer_ids().collect(),
            Mode::Client(client) if client.is_connected() => vec![SERVER_ID],
            _ => Vec::new(),
        }
    }

    /// The port that the server listens on; 0 for anything else.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        match &self.mode {
            Mode::Server(server) => server.local_port(),
            _ => 0,
        }
    }

    /// Time from accept or `create_client` until a peer is connected: name, TCP, TLS, upgrade
    /// and id.
    #[must_use]
    pub fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout.unwrap_or(DEFAULT_HANDSHAKE_TIMEOUT)
    }

    /// Sets [`MultiplayerPeer::handshake_timeout`].
    pub fn set_handshake_timeout(&mut self, timeout: Duration) {
        self.handshake_timeout = Some(timeout);
    }

    /// The next line for the log.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop()
    }

    /// Adds an error line for the log, within the same bound as all others.
    pub fn note_error(&mut self, now: Instant, text: &str) {
        self.notices.error(now, text);
    }

    fn start(&mut self, mode: Mode) {
        self.enter(mode);
        self.inbox.clear();
        self.pace.flushed();
        self.watch.start_anew();
    }

    fn enter(&mut self, mode: Mode) {
        self.past = self.traffic();
        self.mode = mode;
        self.session += 1;
    }

    fn reactor(&self) -> Option<&SharedReactor> {
        match &self.mode {
            Mode::Disconnected => None,
            Mode::Server(server) => Some(server.reactor()),
            Mode::Client(client) => Some(client.reactor()),
        }
    }

    fn check_idle(&self) -> Result<(), Error> {
        if self.status() == Status::Disconnected { Ok(()) } else { Err(Error::AlreadyInUse) }
    }

    fn no_packet(&self) -> Error {
        if self.status() == Status::Connected { Error::Unavailable } else { Error::Unconfigured }
    }
}

impl Drop for MultiplayerPeer {
    fn drop(&mut self) {
        self.close();
    }
}
