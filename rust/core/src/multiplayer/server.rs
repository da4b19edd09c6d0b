//! The server's side of the multiplayer rules: ids, peers in the order of connection, targets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::drain::Drain;
use super::inbox::{Event, Inbox};
use crate::admission::{Admission, Place};
use crate::config::PollBudget;
use crate::connection::{ClientRequest, Delivery, SharedConnection, State};
use crate::error::Error;
use crate::reactor::{Reactor, SharedReactor};
use crate::stats::Stats;
use crate::tls::ServerTls;
use crate::transport::{ByteStream, Transport};
use crate::websocket::close;

/// Peers that a drain closes in one poll: each costs a write of its own, some microseconds.
const CLOSED_IN_A_POLL: usize = 256;

/// Place of a peer in the order of connection.
type Order = u64;

pub(super) struct Server {
    reactor: SharedReactor,
    peers: BTreeMap<Order, Peer>,
    by_id: FxHashMap<i32, Known>,
    by_serial: FxHashMap<u64, Order>,
    next_order: Order,
    /// Peers whose end is signalled in the next poll: they were told to go, or packets of theirs
    /// came together with their end.
    gone_next: Vec<Order>,
    /// Requests of which the owner has to be told.
    requests: BTreeMap<u64, ClientRequest>,
    /// Empty between polls; kept for its memory.
    touched: Vec<Order>,
    drain: Option<Drain>,
}

/// What sending to one peer needs.
struct Known {
    order: Order,
    connection: SharedConnection,
}

struct Peer {
    id: i32,
    connection: SharedConnection,
    /// `peer_disconnected` is due or under way.
    is_gone: bool,
    /// Kept until the end has been signalled: the game never has more peers than places.
    _place: Option<Place>,
}

impl Server {
    pub(super) fn listen(
        port: i64,
        bind_address: &str,
        tls: Option<ServerTls>,
    ) -> Result<Self, Error> {
        let mut reactor = Reactor::new()?;
        reactor.listen(port, bind_address, tls)?;
        Ok(Self {
            reactor: Rc::new(RefCell::new(reactor)),
            peers: BTreeMap::new(),
            by_id: FxHashMap::default(),
            by_serial: FxHashMap::default(),
            next_order: 0,
            gone_next: Vec::new(),
            requests: BTreeMap::new(),
            touched: Vec::new(),
            drain: None,
        })
    }

    pub(super) fn reactor(&self) -> &SharedReactor {
        &self.reactor
    }

    /// How many peers are in.
    pub(super) fn len(&self) -> usize {
        self.peers.values().filter(|peer| !peer.is_gone).count()
    }

    pub(super) fn local_port(&self) -> u16 {
        self.reactor.borrow().local_port()
    }

    /// Takes in a stream that somebody else has accepted.
    pub(super) fn accept(
        &self,
        stream: Box<dyn ByteStream>,
        now: Instant,
        admission: &mut Admission<'_>,
    ) {
        self.reactor.borrow_mut().admit(Transport::foreign(stream), now, admission);
    }

    /// Takes in new peers, then the messages of all, then notes who has gone.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        admission: &mut Admission<'_>,
        budget: &mut PollBudget,
        inbox: &mut Inbox,
    ) {
        let mut gone = std::mem::take(&mut self.gone_next);
        // Who comes now is told that the server is going, instead of being left waiting for it.
        admission.is_refusing &= self.drain.is_none();
        let mut reactor = self.reactor.borrow_mut();
        reactor.poll(now, Some(admission), budget);
        let mut opened = Vec::new();
        let mut asked = Vec::new();
        let mut touched = std::mem::take(&mut self.touched);
        while let Some(connection) = reactor.next_touched() {
            let serial = connection.borrow().serial();
            if let Some(order) = self.by_serial.get(&serial) {
                touched.push(*order);
            } else if connection.borrow_mut().claim() {
                opened.push((serial, connection));
            } else if let Some(request) = ClientRequest::of(&connection) {
                asked.push(serial);
                self.requests.insert(serial, request);
            } else {
                connection.borrow_mut().report(now, admission.notices, admission.stats);
            }
        }
        drop(reactor);
        opened.sort_unstable_by_key(|(serial, _)| *serial);
        for (serial, connection) in opened {
            // Whom the owner has let in is in.
            let is_refused = admission.is_refusing && !connection.borrow().is_invited();
            // Refused since it was accepted; or the client gave up before it was answered.
            if is_refused || connection.borrow().state() == State::Closed {
                connection.borrow_mut().report(now, admission.notices, admission.stats);
                connection.borrow_mut().leave();
                continue;
            }
            let (order, id) = self.add(serial, connection);
            admission.stats.joined += 1;
            inbox.push_event(Event::PeerConnected(id));
            touched.push(order);
        }
        asked.sort_unstable();
        for serial in asked {
            inbox.push_event(Event::ClientRequest(serial));
        }
        touched.sort_unstable();
        for order in touched.drain(..) {
            let Some(peer) = self.peers.get(&order) else {
                continue;
            };
            let mut connection = peer.connection.borrow_mut();
            let mut delivered = false;
            while let Some(message) = connection.receive() {
                inbox.push(peer.id, message.data);
                delivered = true;
            }
            // Closed, or told to go through its view.
            if connection.state() != State::Open && !connection.is_read_on() {
                // Its last packets are delivered in this poll, its end is told in the next: a
                // packet from an unknown sender would be dropped.
                if delivered { &mut self.gone_next } else { &mut gone }.push(order);
                connection.report(now, admission.notices, admission.stats);
            }
        }
        self.touched = touched;
        gone.sort_unstable();
        for order in gone {
            let Some(peer) = self.peers.get_mut(&order) else {
                continue;
            };
            if !std::mem::replace(&mut peer.is_gone, true) {
                count_close(&peer.connection, admission.stats);
                inbox.push_event(Event::PeerDisconnected(peer.id));
            }
        }
        self.advance_drain(now, inbox);
    }

    /// Begins a drain, replaces it, or ends it.
    pub(super) fn set_drain(&mut self, drain: Option<Drain>) {
        self.reactor.borrow().set_departure(drain.as_ref().map(Drain::deadline));
        self.drain = drain;
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Closes whoever is still there when the time is up, so many in a poll, and notes when nobody is
    /// left: then the process can end without taking a close frame back.
    fn advance_drain(&mut self, now: Instant, inbox: &mut Inbox) {
        let Some(drain) = &mut self.drain else { return };
        if drain.is_due(now) {
            let left = self.peers.iter().filter(|(_, peer)| !peer.is_gone);
            for (order, peer) in left.take(CLOSED_IN_A_POLL) {
                peer.connection.borrow_mut().close(i32::from(drain.code), &drain.reason);
                self.gone_next.push(*order);
            }
        }
        let (peers, reactor) = (&self.peers, &self.reactor);
        if drain.is_over(|| peers.is_empty() && !reactor.borrow().has_upgraded()) {
            inbox.push_event(Event::Drained);
        }
    }

    /// The request with this number, if it waits.
    pub(super) fn take_request(&mut self, serial: u64) -> Option<ClientRequest> {
        self.requests.remove(&serial).filter(ClientRequest::is_pending)
    }

    /// Writes what waits to be written.
    pub(super) fn flush(&self, now: Instant) {
        self.reactor.borrow_mut().flush(now);
    }

    /// Sends to the peer `target`, to all (0), or to all but one (its negated id).
    pub(super) fn send(
        &self,
        target: i32,
        delivery: Delivery,
        data: &[u8],
        stats: &mut Stats,
    ) -> Result<(), Error> {
        if target > 0 {
            let connection = self.connection(target).ok_or(Error::UnknownPeer(target))?;
            return send(connection, target, delivery, data, stats);
        }
        let mut refusal = None;
        let mut full = 0;
        for peer in self.peers.values() {
            if i64::from(peer.id) == -i64::from(target) {
                continue;
            }
            match send(&peer.connection, peer.id, delivery, data, stats) {
                // A peer that is on its way out does not fail a broadcast.
                Ok(()) | Err(Error::NotOpen) => {}
                Err(error) => {
                    full += 1;
                    refusal = Some(error);
                }
            }
        }
        match refusal {
            None => Ok(()),
            Some(Error::OutOfMemory { size, .. }) if full > 1 => {
                Err(Error::OutOfMemory { size, peers: format!("{full} peers") })
            }
            Some(error) => Err(error),
        }
    }

    /// Tells a peer to go. Its end is signalled in the next poll.
    pub(super) fn disconnect(&mut self, id: i32, code: u16, reason: &str) -> Result<(), Error> {
        let known = self.by_id.get(&id).ok_or(Error::UnknownPeer(id))?;
        known.connection.borrow_mut().close(i32::from(code), reason);
        self.gone_next.push(known.order);
        Ok(())
    }

    /// Tells a peer to go and forgets it, so that its end is never signalled.
    pub(super) fn expel(&mut self, id: i32, stats: &mut Stats) -> Result<(), Error> {
        let known = self.by_id.get(&id).ok_or(Error::UnknownPeer(id))?;
        known.connection.borrow_mut().close(i32::from(close::NORMAL), "");
        if self.peers.get(&known.order).is_some_and(|peer| !peer.is_gone) {
            count_close(&known.connection, stats);
        }
        self.forget(id);
        Ok(())
    }

    /// Drops a peer whose end has been signalled.
    pub(super) fn forget(&mut self, id: i32) {
        if let Some(known) = self.by_id.remove(&id) {
            self.peers.remove(&known.order);
            let mut connection = known.connection.borrow_mut();
            self.by_serial.remove(&connection.serial());
            connection.leave();
            connection.flush();
        }
    }

    /// All ids, in the order of connection.
    pub(super) fn peer_ids(&self) -> impl Iterator<Item = i32> {
        self.peers.values().map(|peer| peer.id)
    }

    pub(super) fn connection(&self, id: i32) -> Option<&SharedConnection> {
        self.by_id.get(&id).map(|known| &known.connection)
    }

    /// Ends every connection within this call, and listening: a view of a peer, which a script may
    /// keep, keeps the reactor.
    pub(super) fn close(&self, stats: &mut Stats) {
        for peer in self.peers.values() {
            peer.connection.borrow_mut().close(i32::from(close::GOING_AWAY), "");
            if !peer.is_gone {
                count_close(&peer.connection, stats);
            }
        }
        self.reactor.borrow_mut().end();
    }

    /// Gives a new connection its id and sends it.
    fn add(&mut self, serial: u64, connection: SharedConnection) -> (Order, i32) {
        let id = loop {
            let id = rand::random_range(2..=i32::MAX);
            if !self.by_id.contains_key(&id) {
                break id;
            }
        };
        let place = {
            let mut connection = connection.borrow_mut();
            connection.send_id(id);
            connection.flush_later();
            connection.take_place()
        };
        let order = self.next_order;
        self.next_order += 1;
        self.by_id.insert(id, Known { order, connection: connection.clone() });
        self.by_serial.insert(serial, order);
        self.peers.insert(order, Peer { id, connection, is_gone: false, _place: place });
        (order, id)
    }
}

/// Counts the end of a peer.
fn count_close(connection: &SharedConnection, stats: &mut Stats) {
    stats.closes.count(connection.borrow().ending().code);
}

fn send(
    connection: &SharedConnection,
    id: i32,
    delivery: Delivery,
    data: &[u8],
    stats: &mut Stats,
) -> Result<(), Error> {
    let mut connection = connection.borrow_mut();
    let sent = connection.send_as(delivery, data);
    connection.flush_later();
    connection.count_sent(&sent, stats);
    sent.map_err(|error| match error {
        Error::OutOfMemory { size, .. } => Error::OutOfMemory { size, peers: format!("peer {id}") },
        error => error,
    })
}
