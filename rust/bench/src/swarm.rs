//! All clients and the one loop that drives them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use crate::client::{Client, Incoming, Link};
use crate::stream::Stream;

const SCRATCH: usize = 256 * 1024;
const EVENTS: usize = 4096;

/// Who is told what happens.
pub(crate) trait Handler {
    fn opened(&mut self, link: &mut Link) -> Result<()>;
    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()>;
    /// All that was sent is written.
    fn flushed(&mut self, link: &mut Link);
    /// The server ended a connection; `opened` if the client had an id.
    fn closed(&mut self, opened: bool) -> Result<()>;
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
        let index = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        let mut stream =
            Stream::connect(self.address, self.tls.as_ref()).context("failed to connect")?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.socket(), Token(index), interest)?;
        self.clients[index] = Some(Client::new(index, stream));
        self.opening += 1;
        Ok(())
    }

    fn forget(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index).and_then(Option::take) {
            self.opening -= usize::from(client.is_opening());
            self.free.push(index);
        }
    }

    /// Lets a client say goodbye.
    pub(crate) fn leave(&mut self, index: usize) -> Result<()> {
        self.clients.get_mut(index).and_then(Option::as_mut).map_or(Ok(()), Client::leave)
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
            let index = event.token().0;
            let Some(client) = self.clients[index].as_mut() else {
                continue;
            };
            let was_opening = client.is_opening();
            let mut goes_on = true;
            if event.is_readable() {
                goes_on = client.receive(&mut self.scratch, |link, incoming| match incoming {
                    Incoming::Opened => handler.opened(link),
                    Incoming::Message(payload) => handler.message(link, payload),
                })?;
            }
            if goes_on && client.link.flush()? && event.is_writable() {
                handler.flushed(&mut client.link);
            }
            let is_opening = client.is_opening();
            self.opening -= usize::from(was_opening && !is_opening);
            if !goes_on {
                self.forget(index);
                handler.closed(!is_opening)?;
            }
        }
        self.events = events;
        Ok(())
    }
}
