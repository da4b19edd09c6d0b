//! A WebSocket by itself, as `WebSocketPeer` is: dials, or takes over an accepted stream, or is
//! the view of a connection that a multiplayer peer owns.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::config::{ConnectionConfig, PollBudget};
use crate::connection::{SharedConnection, State, limit_after};
use crate::dial::{Dial, Resolve};
use crate::error::Error;
use crate::reactor::Reactor;
use crate::transport::{ByteStream, Transport};
use crate::upgrade::check_config;
use crate::url::Url;
use crate::websocket::{Kind, Message};

/// One WebSocket connection, or none yet.
#[derive(Default)]
pub struct Peer {
    config: ConnectionConfig,
    connection: Option<SharedConnection>,
    /// `None` when somebody else's reactor drives the connection.
    reactor: Option<Reactor>,
}

impl Peer {
    /// The view of a connection that somebody else drives.
    #[must_use]
    pub fn view(connection: SharedConnection) -> Self {
        let config = connection.borrow().config().clone();
        Self { config, connection: Some(connection), reactor: None }
    }

    /// Starts to connect to `url`; the TCP connection may take `connect_timeout`.
    ///
    /// # Errors
    /// When connecting or open already, or when an argument or setting cannot be used.
    pub fn connect(
        &mut self,
        url: &str,
        resolver: impl FnOnce(&str) -> Box<dyn Resolve>,
        connect_timeout: Duration,
        now: Instant,
    ) -> Result<(), Error> {
        let target = Url::parse(url);
        self.check_idle()?;
        let target = target?;
        check_config(&self.config)?;
        if target.secure {
            return Err(Error::TlsUnavailable);
        }
        let dial = match target.ip() {
            Some(ip) => Dial::address(SocketAddr::new(ip, target.port)),
            None => Dial::name(resolver(&target.host), target.port),
        };
        let config = Rc::new(self.config.clone());
        let limit = limit_after(now, connect_timeout);
        self.start(|reactor| reactor.dial(dial, target, url.to_owned(), config, limit))
    }

    /// Becomes the server's end of a stream that somebody else has accepted.
    ///
    /// # Errors
    /// When connecting or open already, or when a setting cannot be used.
    pub fn accept(&mut self, stream: Box<dyn ByteStream>) -> Result<(), Error> {
        self.check_idle()?;
        check_config(&self.config)?;
        let config = Rc::new(self.config.clone());
        self.start(|reactor| reactor.adopt(Transport::Foreign(stream), config, None))
    }

    /// Does everything that can be done now, without waiting. A view only writes: its owner reads.
    pub fn poll(&mut self, now: Instant) {
        let Some(reactor) = &mut self.reactor else {
            if let Some(connection) = &self.connection {
                connection.borrow_mut().flush();
            }
            return;
        };
        // Without a listener nothing can fail to be accepted.
        let _ = reactor.poll(now, None, &mut PollBudget::default());
        reactor.flush(now);
        while reactor.next_touched().is_some() {}
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

    fn start(&mut self, begin: impl FnOnce(&mut Reactor) -> SharedConnection) -> Result<(), Error> {
        // A connection that is still closing is given up.
        self.close(-1, "");
        let mut reactor = Reactor::new()?;
        self.connection = Some(begin(&mut reactor));
        self.reactor = Some(reactor);
        self.limit_inbox();
        Ok(())
    }

    /// A peer by itself leaves in the kernel what exceeds `max_queued_packets`, so that the sender
    /// waits.
    fn limit_inbox(&self) {
        if let (Some(connection), Some(_)) = (&self.connection, &self.reactor) {
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

impl Drop for Peer {
    fn drop(&mut self) {
        // A view does not own its connection.
        if self.reactor.is_some() {
            self.close(-1, "");
        }
    }
}
