//! A WebSocket by itself, as `WebSocketPeer` is: dials, or takes over an accepted stream, or is
//! the view of a connection that a multiplayer peer owns.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::config::{ConnectionConfig, PollBudget};
use crate::connection::{DialLimit, SharedConnection, State, Target, limit_after};
use crate::error::Error;
use crate::notice::{Notice, Notices};
use crate::reactor::{Reactor, SharedReactor};
use crate::stats::Stats;
use crate::transport::{ByteStream, Transport};
use crate::upgrade::check_config;
use crate::websocket::{Kind, Message};

/// One WebSocket connection, or none yet.
#[derive(Default)]
pub struct Peer {
    config: ConnectionConfig,
    connection: Option<SharedConnection>,
    driver: Driver,
    heartbeat: Duration,
    notices: Notices,
}

/// Who drives the connection.
#[derive(Default)]
enum Driver {
    #[default]
    Nobody,
    /// This peer, with a reactor of its own.
    Own(SharedReactor),
    /// All the peers of one server: the first that is polled in a round does it for all.
    Together { reactor: SharedReactor, round: u64 },
    /// A multiplayer peer; this is a view of its connection.
    Owner(SharedReactor),
}

impl Peer {
    /// The view of a connection that somebody else drives.
    #[must_use]
    pub(crate) fn view(connection: SharedConnection, reactor: SharedReactor) -> Self {
        Self::of(connection, Driver::Owner(reactor))
    }

    /// A connection that a server has accepted; its peers share the reactor.
    pub(crate) fn accepted(connection: SharedConnection, reactor: SharedReactor) -> Self {
        let round = reactor.borrow().round();
        let peer = Self::of(connection, Driver::Together { reactor, round });
        peer.limit_inbox();
        peer
    }

    fn of(connection: SharedConnection, driver: Driver) -> Self {
        let config = connection.borrow().config().clone();
        let heartbeat = Duration::ZERO;
        let notices = Notices::default();
        Self { config, connection: Some(connection), driver, heartbeat, notices }
    }

    /// Starts to connect to `target`; the TCP connection may take `connect_timeout`. A connection
    /// that is still closing is given up first, also when the target then cannot be used.
    ///
    /// # Errors
    /// When connecting or open already, or when an argument or setting cannot be used.
    pub fn connect(
        &mut self,
        target: impl FnOnce() -> Result<Target, Error>,
        connect_timeout: Duration,
        now: Instant,
    ) -> Result<(), Error> {
        self.check_idle()?;
        self.close(-1, "");
        let target = target()?;
        check_config(&self.config)?;
        let config = Rc::new(self.config.clone());
        let limit = limit_after(now, connect_timeout);
        self.start(|reactor| reactor.dial(target, config, DialLimit::Connect(limit)))
    }

    /// Becomes the server's end of a stream that somebody else has accepted.
    ///
    /// # Errors
    /// When connecting or open already, or when a setting cannot be used.
    pub fn accept(&mut self, stream: Box<dyn ByteStream>) -> Result<(), Error> {
        self.check_idle()?;
        check_config(&self.config)?;
        let config = Rc::new(self.config.clone());
        self.start(|reactor| reactor.adopt(Transport::foreign(stream), config, None))
    }

    /// Does everything that can be done now, without waiting. Messages that a view reads are not
    /// given to its owner if they are taken here first.
    pub fn poll(&mut self, now: Instant) {
        let Some(connection) = &self.connection else { return };
        match &mut self.driver {
            Driver::Nobody => {}
            Driver::Own(reactor) => {
                poll(reactor, now);
                let mut reactor = reactor.borrow_mut();
                while reactor.next_touched().is_some() {}
            }
            Driver::Together { reactor, round } => {
                if *round == reactor.borrow().round() {
                    poll(reactor, now);
                }
                *round = reactor.borrow().round();
            }
            // Its owner reports how it ended.
            Driver::Owner(reactor) => return reactor.borrow_mut().poll_one(connection, now),
        }
        // There is nobody whose counts these would be.
        connection.borrow_mut().report(now, &mut self.notices, &mut Stats::default());
    }

    /// Puts an error line into the log, unless there have been too many within a second.
    pub fn note_error(&mut self, now: Instant, text: &str) {
        self.notices.error(now, text);
    }

    /// The next line for the log.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop()
    }

    /// Sends a message at once, as far as the kernel takes it.
    ///
    /// # Errors
    /// [`Error::NotOpen`], or [`Error::OutOfMemory`] when there is no room.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        let mut connection = self.connection.as_ref().ok_or(Error::NotOpen)?.borrow_mut();
        connection.send(kind, payload)?;
        connection.flush();
        if connection.state() == State::Open { Ok(()) } else { Err(Error::NotOpen) }
    }

    /// The oldest message that has not been taken.
    pub fn receive(&self) -> Option<Message> {
        self.connection.as_ref()?.borrow_mut().receive()
    }

    /// Starts the closing handshake; see
    /// [`Connection::close`](crate::connection::Connection::close).
    pub fn close(&self, code: i32, reason: &str) {
        if let Some(connection) = &self.connection {
            connection.borrow_mut().close(code, reason);
        }
    }

    /// The state; closed without a connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.connection.as_ref().map_or(State::Closed, |connection| connection.borrow().state())
    }

    /// The connection, unless there never was one.
    #[must_use]
    pub fn connection(&self) -> Option<&SharedConnection> {
        self.connection.as_ref()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// Changes the settings. The limits act on the present connection at once, except
    /// `inbound_buffer_size` when it is open; the rest is for the next connection.
    pub fn configure<T>(&mut self, change: impl FnOnce(&mut ConnectionConfig) -> T) -> T {
        let result = change(&mut self.config);
        if let Some(connection) = &self.connection {
            connection.borrow_mut().set_limits(&self.config);
        }
        self.limit_inbox();
        result
    }

    /// Time between two pings; zero for none.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Sends a ping every `interval` (zero: never) while open, and ends the connection when one has
    /// not been answered by the time of the next. What has arrived is read before that is judged.
    pub fn set_heartbeat(&mut self, interval: Duration) {
        self.heartbeat = interval;
        if let Some(connection) = &self.connection {
            connection.borrow_mut().set_heartbeat(interval);
        }
    }

    fn start(&mut self, begin: impl FnOnce(&mut Reactor) -> SharedConnection) -> Result<(), Error> {
        // A connection that is still closing is given up.
        self.close(-1, "");
        let mut reactor = Reactor::new()?;
        let connection = begin(&mut reactor);
        connection.borrow_mut().set_heartbeat(self.heartbeat);
        self.connection = Some(connection);
        self.driver = Driver::Own(Rc::new(RefCell::new(reactor)));
        self.limit_inbox();
        Ok(())
    }

    /// A peer by itself leaves in the kernel what exceeds `max_queued_packets`, so that the sender
    /// waits.
    fn limit_inbox(&self) {
        if let (Some(connection), Driver::Own(_) | Driver::Together { .. }) =
            (&self.connection, &self.driver)
        {
            let limit = usize::try_from(self.config.max_queued_packets).unwrap_or(0);
            connection.borrow_mut().set_inbox_limit(limit);
        }
    }

    fn check_idle(&self) -> Result<(), Error> {
        match self.state() {
            State::Connecting | State::Open => Err(Error::AlreadyInUse),
            State::Closing | State::Closed => Ok(()),
        }
    }
}

fn poll(reactor: &SharedReactor, now: Instant) {
    let mut reactor = reactor.borrow_mut();
    reactor.poll(now, None, &mut PollBudget::default());
    reactor.flush(now);
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A view does not own its connection.
        if !matches!(self.driver, Driver::Owner(_)) {
            self.close(-1, "");
        }
    }
}
