//! All clients and the one loop that drives them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use crate::client::{Client, End, Incoming, Link, REQUEST};
use crate::stream::Stream;

const SCRATCH: usize = 256 * 1024;
const EVENTS: usize = 4096;

/// Who is told what happens.
pub(crate) trait Handler {
    fn opened(&mut self, link: &mut Link) -> Result<()>;
    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()>;
    /// All that was sent is written.
    fn flushed(&mut self, link: &mut Link);
    /// The payload of a pong.
    fn pong(&mut self, _link: &mut Link, _payload: &[u8]) -> Result<()> {
        Ok(())
    }
    /// The server ended a connection.
    fn closed(&mut self, index: usize, end: End) -> Result<()>;
}

/// What the system tells of a client's socket.
#[derive(Clone, Copy)]
struct Readiness {
    readable: bool,
    /// The server may have ended its half.
    ended: bool,
    writable: bool,
}

/// Clients by index; an index is used again when its client has gone.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    /// Clients that have no id yet.
    opening: usize,
}

impl Swarm {
    pub(crate) fn new(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("failed to create a poll")?,
            events: Events::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH],
            address,
            tls,
            clients: Vec::new(),
            free: Vec::new(),
            opening: 0,
        })
    }

    /// Clients that are connecting or connected.
    pub(crate) fn len(&self) -> usize {
        self.clients.len() - self.free.len()
    }

    pub(crate) fn opening(&self) -> usize {
        self.opening
    }

    /// Starts a client.
    pub(crate) fn open(&mut self) -> Result<()> {
        let stream =
            Stream::connect(self.address, self.tls.as_ref()).context("failed to connect")?;
        self.add(stream, REQUEST).map(drop)
    }

    /// Takes in a client that is connecting, and begins with `request`. Its index.
    pub(crate) fn add(&mut self, mut stream: Stream, request: &[u8]) -> Result<usize> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.socket(), Token(index), interest)?;
        self.clients[index] = Some(Client::new(index, stream, request));
        self.opening += 1;
        Ok(index)
    }

    /// Drops a client's connection as it is.
    pub(crate) fn forget(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index).and_then(Option::take) {
            self.opening -= usize::from(client.is_opening());
            self.free.push(index);
        }
    }

    /// Has a client read nothing until it resumes.
    pub(crate) fn pause(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) {
            client.is_paused = true;
        }
    }

    /// Has a client read again, first what has come meanwhile.
    pub(crate) fn resume(&mut self, index: usize, handler: &mut impl Handler) -> Result<()> {
        if let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) {
            client.is_paused = false;
        }
        // What was told during the pause is not told again.
        self.serve(index, Readiness { readable: true, ended: true, writable: false }, handler)
    }

    /// Lets a client say goodbye.
    pub(crate) fn leave(&mut self, index: usize) -> Result<()> {
        self.clients.get_mut(index).and_then(Option::as_mut).map_or(Ok(()), Client::leave)
    }

    /// The way out of a client, whatever it has come to.
    pub(crate) fn any_link(&mut self, index: usize) -> Option<&mut Link> {
        self.clients.get_mut(index)?.as_mut().map(|client| &mut client.link)
    }

    /// The way out of a client that has an id.
    pub(crate) fn link(&mut self, index: usize) -> Option<&mut Link> {
        let client = self.clients.get_mut(index)?.as_mut()?;
        client.is_open().then_some(&mut client.link)
    }

    /// The ways out of all that have an id.
    pub(crate) fn links(&mut self) -> impl Iterator<Item = &mut Link> {
        self.clients
            .iter_mut()
            .flatten()
            .filter(|client| client.is_open())
            .map(|client| &mut client.link)
    }

    /// Waits for events and handles them.
    pub(crate) fn turn(&mut self, timeout: Duration, handler: &mut impl Handler) -> Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout)) {
            // strace interrupts, for one.
            return if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error.into()) };
        }
        // Taken out, because clients come and go meanwhile.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let readiness = Readiness {
                readable: event.is_readable(),
                ended: event.is_read_closed(),
                writable: event.is_writable(),
            };
            self.serve(event.token().0, readiness, handler)?;
        }
        self.events = events;
        Ok(())
    }

    /// Reads and writes what a client can.
    fn serve(
        &mut self,
        index: usize,
        readiness: Readiness,
        handler: &mut impl Handler,
    ) -> Result<()> {
        let Some(client) = self.clients[index].as_mut() else {
            return Ok(());
        };
        let was_opening = client.is_opening();
        let mut goes_on = true;
        if readiness.readable && !client.is_paused {
            let ended = readiness.ended;
            goes_on =
                client.receive(&mut self.scratch, ended, |link, incoming| match incoming {
                    Incoming::Opened => handler.opened(link),
                    Incoming::Message(payload) => handler.message(link, payload),
                    Incoming::Pong(payload) => handler.pong(link, payload),
                })?;
        }
        if goes_on && client.link.flush()? && readiness.writable {
            handler.flushed(&mut client.link);
        }
        let (is_opening, end) = (client.is_opening(), client.end());
        self.opening -= usize::from(was_opening && !is_opening);
        if !goes_on {
            self.forget(index);
            handler.closed(index, end)?;
        }
        Ok(())
    }
}
