//! A multiplayer server with clients that send what they like, or a multiplayer client with such a
//! server: bytes, faults, time and calls in any order, decisions about clients and drains among them.
//!
//! Input: two bytes that choose the side and the settings, then steps: a byte that says which, and
//! what that step needs. See `Trial::step` and [`Link::act`].

use std::time::{Duration, Instant};

use mio_websocket_core::config::{ConnectionConfig, KeepaliveConfig};
use mio_websocket_core::connection::{State, Target};
use mio_websocket_core::error::{Error, Failure};
use mio_websocket_core::multiplayer::{SERVER_ID, Status};
use mio_websocket_core::websocket::Role;

use crate::game::{Game, KEEPALIVE, Reaction};
use crate::link::{Given, Judgement, Link, MOST_FRAMES};
use crate::memory;
use crate::reference::frames::End;
use crate::reference::upgrade::Fate;
use crate::script::Script;

/// Most connections of a server.
const MOST_LINKS: usize = 4;

/// What a poll takes, if little.
const FEW_FRAMES: usize = 3;

/// See the [module](self).
pub fn run(input: &[u8]) {
    memory::reset();
    let mut script = Script::new(input);
    let mut trial = Trial::new(&mut script);
    while !script.is_empty() && trial.is_running() {
        trial.step(&mut script);
        trial.check_limits();
    }
    if trial.is_running() {
        trial.settle();
        trial.check_limits();
    }
    trial.check_end();
}

struct Trial {
    role: Role,
    game: Game,
    config: ConnectionConfig,
    links: Vec<Peer>,
    /// Messages that were given to core; shows the place of each in the order.
    count: usize,
    /// New connections were refused at some time.
    has_refused: bool,
    /// Time has passed, so that a handshake may have taken too long.
    is_late: bool,
    /// The session was ended from here.
    is_closed: bool,
}

/// The other end of a link, and what the game knows of it.
struct Peer {
    link: Link,
    /// What the game calls it, when it has been announced.
    id: Option<i32>,
    given: Vec<Given>,
}

impl Trial {
    fn new(script: &mut Script<'_>) -> Self {
        let first = script.byte();
        let role = if first & 1 == 0 { Role::Server } else { Role::Client };
        let choices = script.byte();
        let choose = |shift: u8, values: [i32; 4]| values[usize::from(choices >> shift & 3)];
        let config = ConnectionConfig {
            inbound_buffer_size: choose(0, [1000, 16, 125, 65535]),
            outbound_buffer_size: choose(2, [1000, 0, 100, 65535]),
            max_queued_packets: choose(4, [8, 1, 2, 4096]),
            keepalive: if choices & 0x80 == 0 { KeepaliveConfig::default() } else { KEEPALIVE },
            ..ConnectionConfig::default()
        };
        let clock = Instant::now();
        let mut game = Game::new(clock);
        game.peer.config = config.clone();
        game.peer.admission.asks_owner = role == Role::Server && choices & 0x40 != 0;
        if first & 2 != 0 {
            game.peer.budget.frames = FEW_FRAMES;
        }
        let mut links = Vec::new();
        match role {
            Role::Server => game.peer.create_server(0, "127.0.0.1", None, clock).unwrap(),
            Role::Client => {
                let link = Link::new(role);
                let target =
                    Target::over(link.wire.near(1), "ws://game.example/play", || panic!()).unwrap();
                game.peer.create_client(target, clock).unwrap();
                links.push(Peer { link, id: None, given: Vec::new() });
            }
        }
        Self {
            role,
            game,
            config,
            links,
            count: 0,
            has_refused: false,
            is_late: false,
            is_closed: false,
        }
    }

    /// Whether there is a session.
    fn is_running(&self) -> bool {
        self.game.peer.status() != Status::Disconnected
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0..=1 => self.poll(),
            2..=6 => {
                let index = script.below(MOST_LINKS);
                if let Some(peer) = self.links.get_mut(index) {
                    peer.link.act(script);
                }
            }
            7 => self.add_link(),
            8..=9 => self.put(script),
            10 => {
                for _ in 0..=script.below(4) {
                    self.game.take();
                }
            }
            11 => {
                let id = self.id_of(script.below(MOST_LINKS + 1));
                let force = script.flag();
                self.game.disconnect(id, force);
            }
            12 => {
                let jump = Duration::from_millis(script.one_of(&[0, 1, 100, 3001, 1_000_000_000]));
                self.game.wait(jump);
                self.is_late |= !jump.is_zero();
            }
            13 => {
                self.game.refuse = script.flag();
                self.has_refused |= self.game.refuse;
            }
            14 => {
                self.game.reactions.push(script.one_of(&[
                    Reaction::Nothing,
                    Reaction::Poll,
                    Reaction::Take,
                    Reaction::Disconnect(false),
                    Reaction::Disconnect(true),
                ]));
            }
            _ => self.act(script),
        }
    }

    /// One of the rarer calls.
    fn act(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0..=4 => self.game.decide(script.below(MOST_LINKS), script.flag()),
            5..=6 => {
                let id = self.id_of(script.below(MOST_LINKS + 1));
                let code = script.one_of(&[4000, 1000, 3000, 1005, 0]);
                self.game.close_peer(id, code, &"e\u{301}".repeat(script.byte().into()));
            }
            7..=9 if self.role == Role::Server => {
                self.game
                    .drain(script.one_of(&[0.0, 0.1, 30.0, -1.0]), script.one_of(&[1001, 1006]));
                self.has_refused = true;
            }
            10 => self.game.cancel_drain(),
            15 => {
                memory::counted(|| self.game.peer.close());
                self.is_closed = true;
            }
            _ => memory::counted(|| self.game.peer.flush()),
        }
    }

    fn poll(&mut self) {
        self.game.next_frame();
        self.game.poll();
        self.learn_ids();
        for peer in &mut self.links {
            peer.link.collect_if_roomy();
        }
    }

    /// Finds out which peer of the game is which link.
    fn learn_ids(&mut self) {
        for (id, port) in &self.game.ports {
            let peer = &mut self.links[usize::from(*port) - 1];
            assert!(peer.id.is_none_or(|known| known == *id), "two peers are one connection");
            peer.id = Some(*id);
        }
    }

    fn add_link(&mut self) {
        if self.role == Role::Client || self.links.len() == MOST_LINKS {
            return;
        }
        let mut link = Link::new(self.role);
        link.is_lenient = self.game.peer.admission.asks_owner;
        let near = link.wire.near(self.links.len() as u16 + 1);
        memory::counted(|| self.game.peer.accept(near, self.game.clock)).unwrap();
        self.links.push(Peer { link, id: None, given: Vec::new() });
    }

    /// The id of a link; that of nobody if there is no such link.
    fn id_of(&self, index: usize) -> i32 {
        self.links.get(index).and_then(|peer| peer.id).unwrap_or(77)
    }

    fn put(&mut self, script: &mut Script<'_>) {
        let id = self.id_of(script.below(MOST_LINKS + 1));
        let target = script.one_of(&[id, 0, -id]);
        let mut data = format!("{}.", self.count).into_bytes();
        data.resize(data.len() + 9 * usize::from(script.byte()), b'x');
        self.count += 1;

        let before = self.states();
        let are_free = self.links.iter().all(|peer| peer.link.wire.out.borrow().is_free());
        self.game.peer.set_target(target);
        let sent = memory::counted(|| self.game.peer.put_packet(&data));
        let is_one = target > 0 || self.role == Role::Client;
        for (index, peer) in self.links.iter_mut().enumerate() {
            let Some(id) = peer.id else { continue };
            let is_meant = match target {
                _ if self.role == Role::Client => true,
                0 => true,
                1.. => id == target,
                _ => id != -target,
            };
            // A peer on its way out is left out of a broadcast; of one that not all had room for,
            // it cannot be known who got it; nor of a stream that broke under it.
            let is_certain = sent.is_ok() && before[index] == Some(State::Open);
            let may_be_sent =
                is_certain || (!is_one && matches!(sent, Err(Error::OutOfMemory { .. })));
            if is_meant && may_be_sent {
                let data = data.clone();
                let is_certain = is_certain && !peer.link.has_failed();
                peer.given.push(Given { is_text: false, data, is_certain });
            }
        }
        match sent {
            Ok(()) => {}
            Err(Error::Unconfigured) => assert_ne!(self.game.peer.status(), Status::Connected),
            Err(Error::UnknownPeer(unknown)) => {
                assert_eq!(unknown, target);
                assert!(self.game.peer.connection(target).is_none());
            }
            Err(Error::NotOpen) => assert!(is_one),
            Err(Error::OutOfMemory { size, .. }) => {
                assert_eq!(size, data.len());
                let limit = self.config.outbound_buffer_size;
                let fits = limit <= 0 || size <= limit as usize;
                // What has been collected is written before a packet is refused.
                assert!(!are_free || !fits, "refused although there is room");
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The states of the connections, link by link.
    fn states(&self) -> Vec<Option<State>> {
        let state = |peer: &Peer| Some(self.game.peer.connection(peer.id?)?.borrow().state());
        self.links.iter().map(state).collect()
    }

    /// Nothing that core holds is more than the settings say, but for packets that the game has not
    /// taken, which have a limit of their own.
    fn check_limits(&self) {
        const PONGS: usize = (64 << 10) + 125;
        const OVERHEAD: usize = 640 << 10;
        let inbound = self.config.inbound_buffer_size as usize;
        let outbound = |peer: &Peer| match self.config.outbound_buffer_size {
            0 => peer.given.iter().map(|given| given.data.len()).sum(),
            limit => limit as usize,
        };
        let mut most = OVERHEAD;
        for peer in &self.links {
            most += 3 * (inbound + outbound(peer)) + 2 * PONGS;
            if let Some(id) = peer.id
                && let Some(connection) = self.game.peer.connection(id)
            {
                // The id is not counted, nor are pings: one at a time, which may find another.
                let limit = outbound(peer) + 4 + 2 * 8;
                let buffered = connection.borrow().buffered();
                if buffered > limit {
                    let is_pinged = !peer.link.judge(inbound, &[]).incoming.pings().is_empty();
                    assert!(is_pinged && buffered <= limit + PONGS, "{buffered} bytes wait");
                }
            }
        }
        let waiting: usize = self.links.iter().map(|peer| peer.link.sent()).sum();
        // A packet of a few bytes takes its place in the queue, too.
        most += 16 * waiting;
        assert!(memory::held() <= most as isize, "{} bytes are held", memory::held());
    }

    /// Lets everything through and polls until nothing happens any more.
    fn settle(&mut self) {
        self.game.refuse = false;
        self.game.reactions.clear();
        for peer in &self.links {
            peer.link.wire.heal();
        }
        // Frames without bytes show nothing of themselves, however many there are: now those that
        // are there are through before it counts as quiet.
        let few = &mut self.game.peer.budget.frames;
        *few = (*few).max(MOST_FRAMES / 8);
        let mut quiet = 0;
        let mut last = 0;
        for _ in 0..10_000 {
            self.poll();
            self.game.accept_all();
            for peer in &mut self.links {
                peer.link.collect();
            }
            while self.game.take() {}
            let mut sum = self.game.received.values().map(Vec::len).sum::<usize>();
            sum += self.links.iter().map(|peer| peer.link.wire.traffic()).sum::<usize>();
            quiet = if sum == last { quiet + 1 } else { 0 };
            last = sum;
            if quiet == 12 || !self.is_running() {
                // Who was told to go, and does not answer, is waited for.
                let is_empty = self.game.present.is_empty() && self.links.is_empty();
                assert!(!self.game.peer.is_draining() || !is_empty || self.game.is_drained);
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn check_end(&mut self) {
        while self.game.take() {}
        for peer in &mut self.links {
            peer.link.collect();
        }
        if self.is_closed {
            assert_eq!(self.game.peer.available(), 0);
            assert_eq!(self.game.peer.next_event(), None);
        }
        for peer in &self.links {
            let limit = self.config.inbound_buffer_size as usize;
            let judgement = peer.link.judge(limit, &[]);
            match peer.id {
                Some(id) => self.check_peer(id, peer, &judgement),
                None => self.check_stranger(peer, &judgement),
            }
        }
    }

    fn check_peer(&self, id: i32, peer: &Peer, judgement: &Judgement) {
        assert!(matches!(judgement.fate, Fate::Accepted { .. }));
        let connection = self.game.peer.connection(id).map(|connection| connection.borrow());
        let is_open = connection.as_ref().is_some_and(|it| it.state() == State::Open);
        // Who has not taken the answer and the id in time is dropped, whatever has come meanwhile.
        let is_late = self.is_late && self.game.late.contains(&id);
        let was_cut = self.is_closed
            || self.game.told_to_go.contains(&id)
            || peer.link.has_failed()
            || is_late;
        // A message without bytes is no packet; a client's first is its id.
        let first = usize::from(self.role == Role::Client);
        let sent: Vec<&[u8]> =
            judgement.incoming.messages().iter().map(|(_, data)| *data).collect();
        if self.role == Role::Client {
            assert!(id_in(sent[0]).is_some(), "{:?} is no id", sent[0]);
        }
        let packets: Vec<&[u8]> =
            sent.into_iter().skip(first).filter(|data| !data.is_empty()).collect();
        let received = self.game.received_from(id);
        assert!(received.len() <= packets.len());
        assert!(received.iter().zip(&packets).all(|(received, sent)| received == sent));
        assert!(was_cut || received.len() == packets.len(), "packets are missing");

        let (own, given) = self.with_id(id, judgement);
        assert!(given || !is_open, "{id} was not told its id");
        judgement.check_written(own, &peer.given, is_open && !self.is_closed);

        let ended = judgement.incoming.end;
        if !was_cut && matches!(ended, End::Closed | End::Broken(_)) {
            assert!(!self.game.present.contains(&id), "{id} is there after its end");
        }
        if let Some(Failure::Violation(violation)) = connection.as_ref().and_then(|it| it.failure())
        {
            assert!(ended == End::Broken(violation.code) || ended == End::Doomed);
        }
    }

    /// How many messages of ours come before the packets, and whether they are there: a server's
    /// first is the client's id.
    fn with_id(&self, id: i32, judgement: &Judgement) -> (usize, bool) {
        let Role::Server = self.role else { return (0, true) };
        let messages = judgement.outgoing.as_ref().map(|outgoing| outgoing.messages());
        match messages.as_ref().and_then(|messages| messages.first()) {
            Some(first) => {
                assert_eq!(*first, (false, id.to_le_bytes().as_slice()));
                (1, true)
            }
            None => (1, false),
        }
    }

    /// Who was never announced was refused, has broken off, is late, or has not asked.
    fn check_stranger(&self, peer: &Peer, judgement: &Judgement) {
        let has_asked = matches!(judgement.fate, Fate::Accepted { .. });
        let is_excused = self.is_closed
            || self.has_refused
            || self.game.has_rejected
            || self.is_late
            || peer.link.has_failed()
            || peer.link.has_ended()
            || judgement.incoming.end != End::Open;
        match self.role {
            Role::Server => {
                assert!(!has_asked || is_excused, "was not announced");
            }
            // The session has ended when its first message was no id.
            Role::Client => {
                let id = judgement.incoming.messages().first().and_then(|(_, data)| id_in(data));
                assert!(!has_asked || id.is_none() || is_excused, "{id:?} is an id");
            }
        }
        assert!(self.game.received_from(77).is_empty());
    }
}

/// The id in a server's first message: four bytes, the lowest first, and not the server's own.
fn id_in(message: &[u8]) -> Option<i32> {
    let id = i32::from_le_bytes(message.try_into().ok()?);
    (id > SERVER_ID).then_some(id)
}
