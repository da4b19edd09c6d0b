//! A multiplayer peer as its caller drives it, and the promises that hold for any.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio_websocket_core::config::KeepaliveConfig;
use mio_websocket_core::connection::ClientRequest;
use mio_websocket_core::error::{Error, Failure};
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer, Packet, SessionEvent};

use crate::memory;

/// How often a handler may poll inside a poll, at most.
const DEEPEST: usize = 3;

/// Pings that are due after a short jump of the clock, and missed after a longer one.
pub const KEEPALIVE: KeepaliveConfig =
    KeepaliveConfig { interval: Duration::from_millis(100), timeout: Duration::from_secs(3) };

/// What a handler does while an event is signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Nothing,
    /// Polls.
    Poll,
    /// Takes a packet.
    Take,
    /// Disconnects the peer that the event is about, by force or not. Of a client that wants to be
    /// let in, rejects or accepts the request.
    Disconnect(bool),
}

/// A peer and what has been seen of it.
pub struct Game {
    /// The peer under test.
    pub peer: MultiplayerPeer,
    /// Its time.
    pub clock: Instant,
    /// The frame of the engine.
    frame: Rc<Cell<u64>>,
    /// Whether new connections are refused.
    pub refuse: bool,
    /// What the next handlers do, the last first.
    pub reactions: Vec<Reaction>,
    /// Packets taken, by sender.
    pub received: BTreeMap<i32, Vec<Vec<u8>>>,
    /// Peers that are there: announced and not gone.
    pub present: BTreeSet<i32>,
    /// All peers that were ever announced.
    pub known: BTreeSet<i32>,
    /// The port of each peer's address; on streams in memory that is their number.
    pub ports: BTreeMap<i32, u16>,
    /// The close code of each peer that has gone.
    pub codes: BTreeMap<i32, i32>,
    /// Peers that went because something took too long.
    pub late: BTreeSet<i32>,
    /// Peers that were told to go from here.
    pub told_to_go: BTreeSet<i32>,
    /// Clients that wait for a decision.
    requests: Vec<ClientRequest>,
    /// Clients that were let in.
    accepted: usize,
    /// Somebody was turned away.
    pub has_rejected: bool,
    /// When the peers of a server that drains are told to go.
    deadline: Option<Instant>,
    /// The end of the present drain has been told.
    pub is_drained: bool,
    /// Peers of whom no packet can come any more: they went in a poll before which none waited, and
    /// the last packets of a peer come in a poll before that.
    silent: BTreeSet<i32>,
    depth: usize,
}

impl Game {
    /// A peer that is neither server nor client yet.
    #[must_use]
    pub fn new(clock: Instant) -> Self {
        let frame = Rc::new(Cell::new(0));
        let frames = frame.clone();
        let mut peer = memory::counted(|| MultiplayerPeer::new(move || frames.get()));
        // How fast this runs decides nothing.
        (peer.budget.time, peer.budget.handshakes) = (Duration::MAX, Duration::MAX);
        peer.keepalive_on_client = true;
        Self {
            peer,
            clock,
            frame,
            refuse: false,
            reactions: Vec::new(),
            received: BTreeMap::new(),
            present: BTreeSet::new(),
            known: BTreeSet::new(),
            ports: BTreeMap::new(),
            codes: BTreeMap::new(),
            late: BTreeSet::new(),
            told_to_go: BTreeSet::new(),
            requests: Vec::new(),
            accepted: 0,
            has_rejected: false,
            deadline: None,
            is_drained: false,
            silent: BTreeSet::new(),
            depth: 0,
        }
    }

    /// Goes on to the next frame of the engine.
    pub fn next_frame(&self) {
        self.frame.set(self.frame.get() + 1);
    }

    /// Moves the clock.
    pub fn wait(&mut self, time: Duration) {
        self.clock += time;
    }

    /// One poll with all that its caller does, but for taking packets.
    pub fn poll(&mut self) {
        let none_wait = self.depth == 0 && self.peer.available() == 0;
        memory::counted(|| self.peer.poll(self.clock, self.refuse));
        if self.is_time_up() {
            self.told_to_go.extend(&self.present);
        }
        while let Some(event) = memory::counted(|| self.peer.next_event()) {
            self.signal(event);
            if let Event::PeerDisconnected(id) = event.event
                && none_wait
                && !self.told_to_go.contains(&id)
            {
                self.silent.insert(id);
            }
            memory::counted(|| self.peer.finish_event(event));
        }
        memory::counted(|| {
            while self.peer.next_notice().is_some() {}
            self.peer.flush();
        });
    }

    fn signal(&mut self, event: SessionEvent) {
        let id = match event.event {
            Event::ClientRequest(serial) => {
                self.hear(serial);
                return;
            }
            Event::PeerConnected(id) => {
                assert!(self.known.insert(id), "{id} is announced twice");
                self.present.insert(id);
                let is_asked = self.peer.admission.asks_owner;
                assert!(!is_asked || self.known.len() <= self.accepted, "{id} was not let in");
                assert!(!self.is_drained, "{id} came after the drain");
                if self.is_time_up() {
                    self.told_to_go.insert(id);
                }
                let address = self.peer.connection(id).unwrap().borrow().remote();
                self.ports.insert(id, address.unwrap().port());
                id
            }
            Event::PeerDisconnected(id) => {
                assert!(self.present.remove(&id), "{id} was not there, or went twice");
                let connection = self.peer.connection(id).unwrap().borrow();
                let has_reason = connection.failure().is_some() || connection.close_code() != -1;
                self.codes.insert(id, connection.close_code());
                if let Some(Failure::Timeout(_)) = connection.failure() {
                    self.late.insert(id);
                }
                assert!(has_reason || self.told_to_go.contains(&id), "{id} went for no reason");
                id
            }
            Event::Drained => {
                assert!(self.deadline.is_some(), "nothing drains");
                assert!(self.present.is_empty(), "{:?} are still there", self.present);
                assert!(!std::mem::replace(&mut self.is_drained, true), "told twice");
                return;
            }
        };
        match self.reactions.pop().unwrap_or(Reaction::Nothing) {
            Reaction::Nothing => {}
            Reaction::Poll => {
                if self.depth < DEEPEST {
                    self.depth += 1;
                    self.poll();
                    self.depth -= 1;
                }
            }
            Reaction::Take => drop(self.take()),
            Reaction::Disconnect(force) => self.disconnect(id, force),
        }
    }

    /// A client wants to be let in.
    fn hear(&mut self, serial: u64) {
        assert!(self.peer.admission.asks_owner, "nobody wants to be asked");
        let request = memory::counted(|| self.peer.take_request(serial));
        assert!(self.peer.take_request(serial).is_none(), "taken twice");
        let Some(request) = request else { return };
        assert!(request.is_pending() && !request.is_over());
        self.requests.push(request);
        match self.reactions.pop() {
            Some(Reaction::Disconnect(is_rejected)) => {
                self.decide(self.requests.len() - 1, !is_rejected);
            }
            Some(Reaction::Take) => drop(self.take()),
            _ => {}
        }
    }

    /// Decides about one of those who wait.
    pub fn decide(&mut self, index: usize, is_accepted: bool) {
        if index >= self.requests.len() {
            return;
        }
        let request = self.requests.swap_remove(index);
        let was_pending = request.is_pending();
        let decided = memory::counted(|| match is_accepted {
            true => request.accept(&[], "", self.clock),
            false => request.reject(403, "not you"),
        });
        assert_eq!(was_pending, decided != Err(Error::NotPending));
        match decided {
            Ok(()) if is_accepted => self.accepted += 1,
            Ok(()) => self.has_rejected = true,
            Err(Error::NotPending) => {}
            Err(Error::Full) => {
                assert!(self.deadline.is_some(), "there is room");
                self.has_rejected = true;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(!request.is_pending());
        assert_eq!(request.reject(403, ""), Err(Error::NotPending));
        memory::counted(|| drop(request));
    }

    /// Lets in all who wait.
    pub fn accept_all(&mut self) {
        while !self.requests.is_empty() {
            self.decide(0, true);
        }
    }

    /// Begins a drain, or another one.
    pub fn drain(&mut self, seconds: f64, code: i64) {
        let drained =
            memory::counted(|| self.peer.begin_drain(seconds, code, "restart", self.clock));
        if drained.is_ok() {
            self.deadline = self.clock.checked_add(Duration::from_secs_f64(seconds));
            self.is_drained = false;
        }
        assert_eq!(self.peer.is_draining(), self.deadline.is_some());
    }

    /// Ends the drain.
    pub fn cancel_drain(&mut self) {
        memory::counted(|| self.peer.cancel_drain());
        self.deadline = None;
        self.is_drained = false;
    }

    /// Whether a drain is under way and its time is up.
    fn is_time_up(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.clock >= deadline)
    }

    /// Takes a packet; whether there was one.
    pub fn take(&mut self) -> bool {
        let sender = self.peer.packet_peer();
        let Ok(packet) = memory::counted(|| self.peer.get_packet()) else {
            assert!(sender.is_err());
            return false;
        };
        let Packet { peer, data } = &packet;
        assert_eq!(sender.as_ref(), Ok(peer));
        assert!(self.known.contains(peer), "a packet of {peer}, who was not announced");
        assert!(!self.silent.contains(peer), "a packet of {peer}, who has gone");
        assert!(!data.is_empty());
        self.received.entry(*peer).or_default().push(data.to_vec());
        memory::counted(|| drop(packet));
        true
    }

    /// Tells a peer to go.
    pub fn disconnect(&mut self, id: i32, force: bool) {
        match memory::counted(|| self.peer.disconnect_peer(id, force)) {
            Ok(()) => {
                self.told_to_go.insert(id);
                if force {
                    self.present.remove(&id);
                }
            }
            Err(error) => assert_eq!(error, Error::UnknownPeer(id)),
        }
    }

    /// Tells a peer to go with a code and a reason.
    pub fn close_peer(&mut self, id: i32, code: i64, reason: &str) {
        match memory::counted(|| self.peer.close_peer(id, code, reason)) {
            Ok(()) => drop(self.told_to_go.insert(id)),
            Err(Error::CloseCode(refused)) => assert_eq!(refused, code),
            Err(error) => assert_eq!(error, Error::UnknownPeer(id)),
        }
    }

    /// What has been taken from `id`.
    #[must_use]
    pub fn received_from(&self, id: i32) -> &[Vec<u8>] {
        self.received.get(&id).map_or(&[], Vec::as_slice)
    }
}
