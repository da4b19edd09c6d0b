//! One `mio::Poll`, a listener and the connections by token: drives those that are ready.
//!
//! A poll with nothing to do costs one `epoll_wait`, however many connections there are. Nothing
//! is known here of peers and ids.

mod arrivals;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::net::TcpListener;
use mio::{Events, Poll, Token};
use slab::Slab;

use crate::admission::{Admission, Entrance};
use crate::config::{AdmissionConfig, ConnectionConfig, PollBudget, READ_SIZE};
use crate::connection::{
    Attention, Connection, Context, DialLimit, Driven, SharedConnection, State, Target,
};
use crate::error::Error;
use crate::memory;
use crate::stats::{Queued, Traffic};
use crate::transport::{Scratch, Transport};

const LISTENER: Token = Token(usize::MAX);
/// Events taken from the system in one call; when it returns this many it is asked again.
const EVENTS: usize = 1024;

/// Bits of a token that hold the slot; the rest tell apart the connections that had the slot.
const SLOT_BITS: u32 = usize::BITS / 2;
/// Keeps the generation below the bits that would make a token equal to [`LISTENER`].
const GENERATIONS: usize = (1 << (usize::BITS - SLOT_BITS - 1)) - 1;

/// A reactor and those that poll it.
pub type SharedReactor = Rc<RefCell<Reactor>>;

/// The event loop of one peer, or of a server and its peers.
pub struct Reactor {
    poll: Poll,
    events: Events,
    listener: Option<TcpListener>,
    /// Connections may wait in the listener's backlog.
    accept_ready: bool,
    entrance: Entrance,
    slots: Slab<Slot>,
    generation: usize,
    serial: u64,
    ready: VecDeque<Token>,
    /// Ready ones whose turn is in the next poll.
    postponed: Vec<Token>,
    /// Somebody who is in has had less than a turn.
    is_behind: bool,
    /// When all who are in had been read to the end by the end of a poll.
    caught_up: Option<Instant>,
    /// Connections that have to be looked at in each poll.
    polled: Vec<Token>,
    attention: Attention,
    attended: Vec<Token>,
    deadlines: BinaryHeap<Reverse<(Instant, Token)>>,
    /// Counts the polls, so that those who share a reactor poll it once a round.
    round: u64,
    touched: VecDeque<SharedConnection>,
    /// What has gone over connections that have ended.
    past: Traffic,
    scratch: Scratch,
    arena: BytesMut,
}

struct Slot {
    token: Token,
    connection: SharedConnection,
    is_ready: bool,
    is_touched: bool,
    /// It stands among the newcomers.
    is_newcomer: bool,
    /// The deadline that stands in the heap.
    deadline: Option<Instant>,
}

impl Reactor {
    /// A reactor without connections.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            poll: Poll::new().map_err(|error| Error::system(&error))?,
            events: Events::with_capacity(EVENTS),
            listener: None,
            accept_ready: false,
            entrance: Entrance::default(),
            slots: Slab::new(),
            generation: 0,
            serial: 0,
            ready: VecDeque::new(),
            postponed: Vec::new(),
            is_behind: false,
            caught_up: None,
            polled: Vec::new(),
            attention: Attention::default(),
            attended: Vec::new(),
            deadlines: BinaryHeap::new(),
            round: 0,
            touched: VecDeque::new(),
            past: Traffic::default(),
            scratch: Scratch::new(READ_SIZE),
            arena: BytesMut::new(),
        })
    }

    /// Whether a connection that was let in is there, if only to write what is left.
    pub(crate) fn has_upgraded(&self) -> bool {
        self.slots.iter().any(|(_, slot)| slot.connection.borrow().is_upgraded())
    }

    /// What has gone over all connections so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.slots.iter().fold(self.past, |mut sum, (_, slot)| {
            sum += slot.connection.borrow().traffic();
            sum
        })
    }

    /// What waits to be sent on all connections.
    #[must_use]
    pub fn queued(&self) -> Queued {
        self.slots.iter().fold(Queued::default(), |mut sum, (_, slot)| {
            sum += slot.connection.borrow().queued();
            sum
        })
    }

    /// Starts to connect to `target`.
    pub(crate) fn dial(
        &mut self,
        target: Target,
        config: Rc<ConnectionConfig>,
        limit: DialLimit,
    ) -> SharedConnection {
        let attention = self.attention.clone();
        self.insert(Connection::dialing(target, config, limit, attention))
    }

    /// Takes in a stream that has been accepted.
    pub fn adopt(
        &mut self,
        transport: Transport,
        config: Rc<ConnectionConfig>,
        limit: Option<Instant>,
    ) -> SharedConnection {
        let attention = self.attention.clone();
        self.insert(Connection::accepted(transport, config, limit, attention))
    }

    /// Does what can be done now within `budget`, without waiting: flushes, accepts (with an
    /// `admission`), reads and decodes. [`Reactor::next_touched`] tells which connections to look
    /// at. What there is to write in answer waits for [`Reactor::flush`], so that the owner can add
    /// to it.
    pub fn poll(
        &mut self,
        now: Instant,
        admission: Option<&mut Admission<'_>>,
        budget: &mut PollBudget,
    ) {
        self.round += 1;
        if let Some(admission) = &admission {
            self.entrance.limit_places(admission.config.max_clients);
        }
        self.flush(now);
        self.expire(now, budget);
        self.shed();
        self.wait();
        for index in 0..self.polled.len() {
            self.make_ready(self.polled[index]);
        }
        self.drive_ready(now, admission.as_deref().map(|admission| admission.config), budget);
        match admission {
            Some(admission) if self.accept_ready && !admission.is_refusing => {
                self.take_in(now, admission, budget);
            }
            _ => {}
        }
        if !self.is_behind {
            self.caught_up = Some(now);
        }
    }

    /// Does what can be done now for one connection.
    pub(crate) fn poll_one(&mut self, connection: &SharedConnection, now: Instant) {
        let token = connection.borrow().token();
        self.wait();
        if self.polled.contains(&token) || self.slot(token).is_some_and(|slot| slot.is_ready) {
            // It is open already, so nobody has to judge its request.
            self.drive(token, now, None, &mut PollBudget::default());
            self.ready.extend(self.postponed.drain(..));
        }
        self.flush(now);
    }

    /// How many times [`Reactor::poll`] has been called.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Writes what connections asked to have flushed.
    pub fn flush(&mut self, now: Instant) {
        loop {
            // Two lists by turns, so that neither is allocated anew.
            let mut listed = std::mem::take(&mut self.attended);
            std::mem::swap(&mut listed, &mut *self.attention.borrow_mut());
            if listed.is_empty() {
                self.attended = listed;
                return;
            }
            for token in listed.drain(..) {
                let Some(connection) = self.connection(token) else {
                    continue;
                };
                if connection.borrow_mut().attend(now) == Driven::More {
                    self.make_ready(token);
                }
                if connection.borrow().state() != State::Open {
                    self.touch(token);
                }
                self.settle(token);
            }
            self.attended = listed;
        }
    }

    /// A connection that something has happened to since it was last given out here.
    pub fn next_touched(&mut self) -> Option<SharedConnection> {
        let connection = self.touched.pop_front()?;
        let token = connection.borrow().token();
        if let Some(slot) = self.slot(token) {
            slot.is_touched = false;
        }
        Some(connection)
    }

    /// Acts on the deadlines that have come, before anything is read; many at once in the time that
    /// newcomers have. What is late stays late: it is looked at again before a connection is driven.
    fn expire(&mut self, now: Instant, budget: &mut PollBudget) {
        while let Some(Reverse((deadline, token))) = self.deadlines.peek().copied() {
            if deadline >= now {
                return;
            }
            self.deadlines.pop();
            // A deadline that has been replaced stays in the heap until its time comes.
            let Some(slot) = self.slot(token).filter(|slot| slot.deadline == Some(deadline)) else {
                continue;
            };
            slot.deadline = None;
            let connection = slot.connection.clone();
            budget.begin();
            let started = Instant::now();
            if connection.borrow_mut().expire(now) == Driven::More {
                // Its next deadline is known when it has been driven.
                self.make_ready(token);
            } else {
                self.touch(token);
                self.settle(token);
            }
            budget.count_deadline(started);
            if !budget.has_time_for_deadlines() {
                return;
            }
        }
    }

    /// At the memory limit, if messages that are not complete take half of it, ends the connections
    /// that hold most of them: nobody can do anything with those, and all others would have to wait.
    fn shed(&mut self) {
        let limit = memory::limit();
        if memory::used() < limit {
            return;
        }
        let mut hoards: Vec<_> = self
            .slots
            .iter()
            .map(|(_, slot)| (slot.connection.borrow().incomplete(), slot.token))
            .collect();
        let mut hoarded: usize = hoards.iter().map(|(bytes, _)| bytes).sum();
        if hoarded < limit / 2 {
            return;
        }
        hoards.sort_unstable();
        while let Some((bytes, token)) = hoards.pop().filter(|_| hoarded >= limit / 4) {
            hoarded -= bytes;
            if let Some(connection) = self.connection(token) {
                connection.borrow_mut().shed();
            }
            self.touch(token);
            self.settle(token);
        }
    }

    /// Asks the system which sockets are ready.
    fn wait(&mut self) {
        loop {
            // An interrupted call has nothing to report; what is ready is told in the next poll.
            if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
                return;
            }
            let mut count = 0;
            for event in &self.events {
                count += 1;
                if event.token() == LISTENER {
                    self.accept_ready = true;
                    continue;
                }
                let Some(slot) = find(&mut self.slots, event.token()) else {
                    continue;
                };
                if event.is_read_closed() || event.is_error() {
                    slot.connection.borrow_mut().note_read_ended();
                }
                if !std::mem::replace(&mut slot.is_ready, true) {
                    self.ready.push_back(slot.token);
                }
            }
            if count < EVENTS {
                return;
            }
        }
    }

    /// Gives every ready connection its turns until all are idle or the budget is used up.
    fn drive_ready(
        &mut self,
        now: Instant,
        admission: Option<&AdmissionConfig>,
        budget: &mut PollBudget,
    ) {
        self.is_behind = false;
        if self.ready.is_empty() {
            return;
        }
        budget.begin();
        while !budget.is_used_up() {
            let Some(token) = self.ready.pop_front() else {
                break;
            };
            let Some(slot) = self.slot(token).filter(|slot| slot.is_ready) else {
                continue;
            };
            let is_newcomer = slot.is_newcomer;
            let is_handshaking = slot.connection.borrow().is_handshaking();
            if !is_handshaking {
                self.drive(token, now, admission, budget);
            } else if !budget.has_handshake_time() || is_newcomer && admission.is_none() {
                // The latter waits for a poll by the server, which knows who may come in.
                self.postponed.push(token);
            } else {
                let started = Instant::now();
                self.drive(token, now, admission, budget);
                budget.count_handshake(started);
            }
            // After a turn, so that there is one in each poll.
            if budget.is_late() {
                break;
            }
        }
        // Newcomers who are postponed do not count: a rush of them must not loosen the limits of those
        // who are in.
        self.is_behind |= !self.ready.is_empty();
        self.ready.extend(self.postponed.drain(..));
    }

    /// Gives a connection its turn.
    fn drive(
        &mut self,
        token: Token,
        now: Instant,
        admission: Option<&AdmissionConfig>,
        budget: &mut PollBudget,
    ) {
        let Some(slot) = find(&mut self.slots, token) else {
            return;
        };
        slot.is_ready = false;
        let connection = slot.connection.clone();
        let is_late = slot.deadline.is_some_and(|deadline| deadline < now);
        if is_late && connection.borrow_mut().expire(now) == Driven::Idle {
            self.touch(token);
            self.settle(token);
            return;
        }
        let mut cx = Context {
            now,
            caught_up: self.caught_up,
            registry: self.poll.registry(),
            scratch: &mut self.scratch,
            arena: &mut self.arena,
            budget,
            door: admission.map(|config| self.entrance.door(config)),
        };
        let driven = connection.borrow_mut().drive(&mut cx);
        connection.borrow_mut().flush_later();
        match driven {
            Driven::Idle => {}
            Driven::More => self.make_ready(token),
            Driven::Later => {
                slot.is_ready = true;
                self.postponed.push(token);
                self.is_behind = true;
            }
        }
        self.touch(token);
        self.settle(token);
    }

    /// Brings the heap and the slots up to date with a connection that may have changed.
    fn settle(&mut self, token: Token) {
        let Some(slot) = find(&mut self.slots, token) else {
            return;
        };
        let (deadline, is_finished, needs_polling) = {
            let connection = slot.connection.borrow();
            let is_finished = connection.is_finished();
            if slot.is_newcomer && (is_finished || connection.is_upgraded()) {
                slot.is_newcomer = false;
                self.entrance.newcomers.remove(connection.serial());
            }
            (connection.deadline(), is_finished, connection.needs_polling())
        };
        if is_finished {
            self.touch(token);
            let slot = self.slots.remove(slot_index(token));
            self.past += slot.connection.borrow().traffic();
            self.polled.retain(|polled| *polled != token);
            return;
        }
        if deadline != slot.deadline {
            slot.deadline = deadline;
            self.deadlines.extend(deadline.map(|deadline| Reverse((deadline, token))));
            self.forget_replaced_deadlines();
        }
        if !needs_polling && !self.polled.is_empty() {
            self.polled.retain(|polled| *polled != token);
        }
    }

    /// Takes deadlines that have been replaced, and those of connections that have gone, out of the
    /// heap when most are such.
    fn forget_replaced_deadlines(&mut self) {
        if self.deadlines.len() <= 64 + 4 * self.slots.len() {
            return;
        }
        let slots = &mut self.slots;
        self.deadlines.retain(|Reverse((deadline, token))| {
            find(slots, *token).is_some_and(|slot| slot.deadline == Some(*deadline))
        });
    }

    fn insert(&mut self, connection: Connection) -> SharedConnection {
        let entry = self.slots.vacant_entry();
        self.generation = (self.generation + 1) & GENERATIONS;
        let token = Token(self.generation << SLOT_BITS | entry.key());
        let connection = Rc::new(RefCell::new(connection));
        entry.insert(Slot {
            token,
            connection: connection.clone(),
            is_ready: false,
            is_touched: false,
            is_newcomer: false,
            deadline: None,
        });
        self.serial += 1;
        let attached = connection.borrow_mut().attach(self.poll.registry(), token, self.serial);
        if let Err(error) = attached {
            connection.borrow_mut().refuse(&error);
        }
        if connection.borrow().needs_polling() {
            self.polled.push(token);
        }
        // A dial has its first step to make, a foreign stream may have been read ahead.
        if connection.borrow().starts_ready() {
            self.make_ready(token);
        }
        self.settle(token);
        connection
    }

    fn connection(&mut self, token: Token) -> Option<SharedConnection> {
        self.slot(token).map(|slot| slot.connection.clone())
    }

    fn slot(&mut self, token: Token) -> Option<&mut Slot> {
        find(&mut self.slots, token)
    }

    fn make_ready(&mut self, token: Token) {
        if let Some(slot) = find(&mut self.slots, token)
            && !std::mem::replace(&mut slot.is_ready, true)
        {
            self.ready.push_back(token);
        }
    }

    fn touch(&mut self, token: Token) {
        if let Some(slot) = find(&mut self.slots, token)
            && !std::mem::replace(&mut slot.is_touched, true)
        {
            self.touched.push_back(slot.connection.clone());
        }
    }
}

/// The slot that `token` names, unless another connection has it by now.
fn find(slots: &mut Slab<Slot>, token: Token) -> Option<&mut Slot> {
    slots.get_mut(slot_index(token)).filter(|slot| slot.token == token)
}

fn slot_index(token: Token) -> usize {
    token.0 & ((1 << SLOT_BITS) - 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_of_those_who_have_gone_do_not_pile_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut reactor = Reactor::new().unwrap();
        let now = Instant::now();
        for _ in 0..300 {
            let _client = TcpStream::connect(address).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let transport = Transport::tcp(mio::net::TcpStream::from_std(stream));
            let limit = now + Duration::from_secs(3600);
            reactor.adopt(transport, Rc::default(), Some(limit)).borrow_mut().leave_now();
            reactor.poll(now, None, &mut PollBudget::default());
        }
        assert_eq!(reactor.slots.len(), 0);
        assert!(reactor.deadlines.len() <= 64, "{}", reactor.deadlines.len());
    }
}
