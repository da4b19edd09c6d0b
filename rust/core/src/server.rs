//! A WebSocket server whose connections are peers by themselves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admission::Admission;
use crate::config::{AdmissionConfig, ConnectionConfig, DEFAULT_HANDSHAKE_TIMEOUT, PollBudget};
use crate::connection::{SharedConnection, State};
use crate::error::Error;
use crate::notice::Notices;
use crate::peer::Peer;
use crate::proxy;
use crate::reactor::{Reactor, SharedReactor};
use crate::stats::Stats;
use crate::tls::ServerTls;
use crate::upgrade::check_config;

/// Accepts connections, does their upgrade, and gives them out as peers that share one reactor: one
/// system call tells which of them are ready.
pub struct Server {
    /// Settings for connections accepted from now on.
    pub config: ConnectionConfig,
    /// Who is let in.
    pub admission: AdmissionConfig,
    /// What has happened so far.
    pub stats: Stats,
    /// Time from accept until a connection is open. Default: 3 s.
    pub handshake_timeout: Duration,
    listening: Option<Listening>,
    /// Lines for the log.
    pub notices: Notices,
}

struct Listening {
    reactor: SharedReactor,
    /// Open connections that nobody has taken.
    waiting: VecDeque<SharedConnection>,
    /// One has been taken since the last poll.
    is_giving: bool,
}

impl Listening {
    fn poll(&mut self, now: Instant, admission: &mut Admission<'_>) {
        let mut reactor = self.reactor.borrow_mut();
        reactor.poll(now, Some(admission), &mut PollBudget::default());
        reactor.flush(now);
        while let Some(shared) = reactor.next_touched() {
            let mut connection = shared.borrow_mut();
            connection.report(now, admission.notices, admission.stats);
            if connection.claim() && connection.state() == State::Open {
                // Nobody takes its messages yet.
                let limit = usize::try_from(connection.config().max_queued_packets).unwrap_or(0);
                connection.set_inbox_limit(limit);
                drop(connection);
                self.waiting.push_back(shared);
            }
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            config: ConnectionConfig::default(),
            admission: AdmissionConfig::default(),
            stats: Stats::default(),
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            listening: None,
            notices: Notices::default(),
        }
    }
}

impl Server {
    /// Listens on `port` (0: chosen by the system) of `bind_address`: an IP address, or `*` for
    /// both families. With `tls` all connections speak TLS.
    ///
    /// # Errors
    /// When listening already, when an argument or setting cannot be used, or when the system does
    /// not give the address.
    pub fn listen(
        &mut self,
        port: i64,
        bind_address: &str,
        tls: Option<ServerTls>,
    ) -> Result<(), Error> {
        if self.listening.is_some() {
            return Err(Error::AlreadyInUse);
        }
        check_config(&self.config)?;
        proxy::check_config(&self.admission.proxy)?;
        let mut reactor = Reactor::new()?;
        reactor.listen(port, bind_address, tls)?;
        let reactor = Rc::new(RefCell::new(reactor));
        let waiting = VecDeque::new();
        self.listening = Some(Listening { reactor, waiting, is_giving: false });
        Ok(())
    }

    /// Whether it listens.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// The port that is listened on; 0 when it does not listen.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.listening.as_ref().map_or(0, |listening| listening.reactor.borrow().local_port())
    }

    /// Whether an open connection waits to be taken. Accepts and upgrades those that came.
    pub fn is_connection_available(&mut self, now: Instant) -> bool {
        let Some(listening) = &mut self.listening else {
            return false;
        };
        // What one poll has brought is given out before the next.
        if listening.waiting.is_empty() || !std::mem::take(&mut listening.is_giving) {
            let mut admission = Admission {
                config: &self.admission,
                connections: &self.config,
                handshake_timeout: self.handshake_timeout,
                is_refusing: false,
                stats: &mut self.stats,
                notices: &mut self.notices,
            };
            listening.poll(now, &mut admission);
        }
        listening.waiting.retain(|connection| {
            let is_open = connection.borrow().state() == State::Open;
            if !is_open {
                // Nobody will take what it has brought, for want of which its end would not be read.
                connection.borrow_mut().leave();
            }
            is_open
        });
        !listening.waiting.is_empty()
    }

    /// The oldest open connection that nobody has taken.
    pub fn take_connection(&mut self) -> Option<Peer> {
        let listening = self.listening.as_mut()?;
        let connection = listening.waiting.pop_front()?;
        listening.is_giving = true;
        Some(Peer::accepted(connection, listening.reactor.clone()))
    }

    /// Ends listening. Connections that have been taken stay; the others are closed.
    pub fn stop(&mut self) {
        let Some(listening) = self.listening.take() else { return };
        for connection in listening.waiting {
            connection.borrow_mut().close(i32::from(crate::websocket::close::GOING_AWAY), "");
            connection.borrow_mut().leave_now();
        }
        listening.reactor.borrow_mut().stop_listening();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
