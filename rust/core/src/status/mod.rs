//! The status endpoint: a plain HTTP server for machines that watch a game server. `/healthz` says
//! that it is polled, `/readyz` whether players can join, `/metrics` how it is in numbers.
//!
//! It has a listener and sockets of its own and nothing to do with players: it goes on while there
//! is no server, so that its restart can be watched. A poll that finds nothing to do costs one
//! system call. Whoever is slow keeps nobody out: there is a limit in time, and when there are too
//! many the oldest goes.

mod answer;
mod metrics;
mod visitor;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use self::visitor::{Step, Visitor};
use crate::error::Error;
use crate::listen;
use crate::notice::Notices;
use crate::stats::Snapshot;

/// Connections at a time. Watchers are few, and each is there for a moment.
const MOST: usize = 16;
/// Connections accepted in one poll, so that a flood of questions leaves time for the game.
const ACCEPTS: usize = 4;
/// Time from accept until the answer has been taken and the connection ended.
const LIMIT: Duration = Duration::from_secs(5);
const LISTENER: Token = Token(usize::MAX);

/// Why nobody can join at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// There is no server.
    #[error("not listening")]
    NotListening,
    /// The server lets nobody new in, because it ends soon.
    #[error("draining")]
    Draining,
    /// `refuse_new_connections` is set.
    #[error("refusing new connections")]
    Refusing,
    /// `max_clients` are in.
    #[error("full")]
    Full,
}

/// Whom the endpoint asks.
pub(crate) trait Source {
    /// Whether players can join.
    fn readiness(&self) -> Result<(), Unready>;
    /// How the server is in numbers.
    fn snapshot(&self) -> Snapshot;
}

/// A listener and those who ask.
pub(crate) struct StatusEndpoint {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    /// Connections may wait in the listener's backlog.
    accept_ready: bool,
    /// Oldest first; their tokens ascend.
    visitors: VecDeque<(Token, Visitor)>,
    next: usize,
}

impl StatusEndpoint {
    /// Listens on `port` (0: chosen by the system) of `bind_address`: an IP address, or `*` for
    /// both families.
    ///
    /// # Errors
    /// When an argument cannot be used, or when the address is taken or not of this machine.
    pub(crate) fn listen(port: i64, bind_address: &str) -> Result<Self, Error> {
        let port = u16::try_from(port).map_err(|_| Error::Port(port))?;
        let mut listener = listen::listen(listen::bind_address(bind_address)?, port)?;
        let poll = Poll::new().map_err(|error| Error::system(&error))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(|error| Error::system(&error))?;
        Ok(Self {
            poll,
            events: Events::with_capacity(2 * MOST),
            listener,
            accept_ready: false,
            visitors: VecDeque::new(),
            next: 0,
        })
    }

    /// The port that is listened on.
    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }

    /// Does what can be done now, without waiting.
    pub(crate) fn poll(&mut self, now: Instant, source: &dyn Source, notices: &mut Notices) {
        self.visitors.retain(|(_, visitor)| !visitor.is_late(now));
        // What is ready is told again in the next poll if the call was interrupted.
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return;
        }
        for event in &self.events {
            if event.token() == LISTENER {
                self.accept_ready = true;
            } else if let Ok(index) =
                self.visitors.binary_search_by_key(&event.token(), |(token, _)| *token)
                && self.visitors[index].1.advance(now, source, notices) == Step::Done
            {
                self.visitors.remove(index);
            }
        }
        if self.accept_ready {
            self.accept(now, source, notices);
        }
    }

    fn accept(&mut self, now: Instant, source: &dyn Source, notices: &mut Notices) {
        for _ in 0..ACCEPTS {
            let (mut stream, remote) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors: the next poll tries again.
                    self.accept_ready &= error.kind() != io::ErrorKind::WouldBlock;
                    return;
                }
            };
            let token = Token(self.next);
            self.next = (self.next + 1) % LISTENER.0;
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, token, interest).is_err() {
                continue;
            }
            let mut visitor = Visitor::new(stream, remote, now.checked_add(LIMIT));
            // Most questions are here already.
            if visitor.advance(now, source, notices) == Step::Done {
                continue;
            }
            if self.visitors.len() >= MOST {
                self.visitors.pop_front();
            }
            self.visitors.push_back((token, visitor));
        }
    }
}
