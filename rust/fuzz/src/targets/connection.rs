//! One connection through its whole life, as a peer by itself: bytes, faults, time and calls in any
//! order.
//!
//! Input: two bytes that choose the role and the settings, then steps: a byte that says which, and
//! what that step needs. See `Trial::step` and [`Link::act`].

use std::rc::Rc;
use std::time::{Duration, Instant};

use mio_websocket_core::config::{CLOSE_TIMEOUT, ConnectionConfig, DEFAULT_HANDSHAKE_TIMEOUT};
use mio_websocket_core::connection::{State, Target};
use mio_websocket_core::error::{Error, Failure};
use mio_websocket_core::peer::Peer;
use mio_websocket_core::websocket::{Kind, Role};

use crate::link::{Given, Judgement, Link};
use crate::memory;
use crate::reference::frames::End;
use crate::reference::upgrade::Fate;
use crate::script::Script;

/// See the [module](self).
pub fn run(input: &[u8]) {
    memory::reset();
    let mut script = Script::new(input);
    let mut trial = Trial::new(&mut script);
    while !script.is_empty() {
        trial.step(&mut script);
        trial.check_limits();
    }
    trial.settle();
    trial.check_limits();
    trial.check_end();
}

struct Trial {
    peer: Peer,
    link: Link,
    clock: Instant,
    config: ConnectionConfig,
    /// What the largest limits so far have been.
    most_outbound: Option<usize>,
    most_queued: usize,
    given: Vec<Given>,
    received: Vec<(bool, Vec<u8>)>,
    /// We have closed it: what has not been taken is gone.
    is_closed: bool,
    /// Time has passed, so that any limit may be over.
    is_late: bool,
}

impl Trial {
    fn new(script: &mut Script<'_>) -> Self {
        let role = script.one_of(&[Role::Server, Role::Client]);
        let protocols: &[&str] = script.one_of(&[&[], &["a", "b"]]);
        let choices = script.byte();
        let choose = |shift: u8, values: [i32; 4]| values[usize::from(choices >> shift & 3)];
        let config = ConnectionConfig {
            supported_protocols: protocols.iter().map(|&name| name.to_owned()).collect(),
            inbound_buffer_size: choose(0, [1000, 16, 125, 65535]),
            outbound_buffer_size: choose(2, [1000, 0, 100, 65535]),
            max_queued_packets: choose(4, [8, 1, 2, 4096]),
            ..ConnectionConfig::default()
        };
        let link = Link::new(role);
        let clock = Instant::now();
        let near = link.wire.near(1);
        let mut peer = memory::counted(Peer::default);
        memory::counted(|| {
            peer.configure(|own| *own = config.clone());
            match role {
                Role::Server => peer.accept(near).unwrap(),
                Role::Client => {
                    let target = || Target::over(near, "ws://game.example/play", || panic!());
                    peer.connect(target, DEFAULT_HANDSHAKE_TIMEOUT, clock).unwrap();
                }
            }
        });
        let mut trial = Self {
            peer,
            link,
            clock,
            config,
            most_outbound: Some(0),
            most_queued: 0,
            given: Vec::new(),
            received: Vec::new(),
            is_closed: false,
            is_late: false,
        };
        trial.note_limits();
        trial
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0..=1 => self.poll(),
            2..=7 => self.link.act(script),
            8..=9 => self.send(script),
            10 => {
                for _ in 0..=script.below(4) {
                    self.receive();
                }
            }
            11 => {
                let code = script.one_of(&[1000, 0, 4000, 4999, -1, i32::MAX, 70_000]);
                let reason = "é".repeat(script.below(100));
                memory::counted(|| self.peer.close(code, &reason));
                self.is_closed = true;
            }
            12 => {
                let jump = script.one_of(&[
                    Duration::ZERO,
                    Duration::from_millis(1),
                    Duration::from_millis(100),
                    CLOSE_TIMEOUT,
                    Duration::from_secs(100_000_000),
                ]);
                self.clock += jump;
                self.is_late |= !jump.is_zero();
            }
            13 => {
                let interval = Duration::from_millis(script.one_of(&[50, 0, 1, 1_000_000]));
                memory::counted(|| self.peer.set_heartbeat(interval));
            }
            14 => {
                self.config.outbound_buffer_size = script.one_of(&[1000, 0, 1, 100]);
                self.config.max_queued_packets = script.one_of(&[8, 1, 2, 100]);
                let (outbound, queued) =
                    (self.config.outbound_buffer_size, self.config.max_queued_packets);
                memory::counted(|| {
                    self.peer.configure(|config| {
                        config.outbound_buffer_size = outbound;
                        config.max_queued_packets = queued;
                    });
                });
                self.note_limits();
            }
            _ => {
                let connection = Rc::clone(self.peer.connection().unwrap());
                memory::counted(|| connection.borrow_mut().flush());
            }
        }
    }

    fn poll(&mut self) {
        memory::counted(|| {
            self.peer.poll(self.clock);
            while self.peer.next_notice().is_some() {}
        });
        self.link.collect_if_roomy();
    }

    /// Takes a message; whether there was one.
    fn receive(&mut self) -> bool {
        let Some(message) = memory::counted(|| self.peer.receive()) else { return false };
        self.received.push((message.kind == Kind::Text, message.data.to_vec()));
        memory::counted(|| drop(message));
        true
    }

    fn send(&mut self, script: &mut Script<'_>) {
        let is_text = script.flag();
        // What it is shows its place in the order.
        let mut data = format!("{}.", self.given.len()).into_bytes();
        data.resize(data.len() + 9 * usize::from(script.byte()), b'x');
        let kind = if is_text { Kind::Text } else { Kind::Binary };
        let was_open = self.peer.state() == State::Open;
        let is_free = self.link.wire.out.borrow().is_free();
        match memory::counted(|| self.peer.send(kind, &data)) {
            Ok(()) => {
                assert!(was_open);
                self.given.push(Given { is_text, data, is_certain: true });
            }
            Err(Error::NotOpen) => {
                // The stream broke under it: what became of it cannot be known.
                let is_certain = false;
                if was_open {
                    assert!(self.link.has_failed(), "refused although open");
                    self.given.push(Given { is_text, data, is_certain });
                }
            }
            Err(Error::OutOfMemory { size, .. }) => {
                assert_eq!(size, data.len());
                let limit = self.config.outbound_buffer_size;
                let fits = limit <= 0 || size <= limit as usize;
                assert!(!is_free || !fits, "refused although there is room");
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn note_limits(&mut self) {
        let outbound = usize::try_from(self.config.outbound_buffer_size).unwrap();
        self.most_outbound =
            self.most_outbound.filter(|_| outbound > 0).map(|most| most.max(outbound));
        self.most_queued = self.most_queued.max(self.config.max_queued_packets as usize);
    }

    /// Nothing that core holds is more than the settings say.
    fn check_limits(&self) {
        const PONGS: usize = (64 << 10) + 125;
        const OVERHEAD: usize = 640 << 10;
        let connection = self.peer.connection().unwrap().borrow();
        assert!(connection.available() <= self.most_queued, "{}", connection.available());
        let outbound = self
            .most_outbound
            .unwrap_or_else(|| self.given.iter().map(|given| given.data.len()).sum());
        if connection.buffered() > outbound {
            let is_pinged = !self.judge().incoming.pings().is_empty();
            let most = outbound + if is_pinged { PONGS } else { 0 };
            assert!(connection.buffered() <= most, "{} bytes wait", connection.buffered());
        }
        let inbound = self.config.inbound_buffer_size as usize;
        let queued = self.most_queued * inbound;
        let most = OVERHEAD + 3 * inbound + 3 * outbound + queued;
        assert!(memory::held() <= most as isize, "{} bytes are held", memory::held());
    }

    /// Lets everything through and polls until nothing happens any more.
    fn settle(&mut self) {
        self.link.wire.heal();
        let mut quiet = 0;
        for _ in 0..100_000 {
            let before = (self.link.wire.traffic(), self.received.len());
            self.poll();
            self.link.collect();
            while self.receive() {}
            let is_quiet = before == (self.link.wire.traffic(), self.received.len());
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet == 4 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn check_end(&self) {
        let connection = self.peer.connection().unwrap().borrow();
        let state = connection.state();
        let judgement = self.judge();
        let failure = connection.failure();
        match &judgement.fate {
            Fate::More => assert!(matches!(state, State::Connecting | State::Closed)),
            Fate::Refused => assert_eq!(state, State::Closed),
            Fate::Accepted { terms, .. } => {
                assert_ne!(state, State::Connecting, "the upgrade is done");
                if state == State::Open {
                    assert_eq!(connection.protocol(), terms);
                }
            }
        }
        // Nothing ends without a reason.
        let has_reason = failure.is_some() || connection.close_code() != -1 || self.is_closed;
        assert!(state != State::Closed || has_reason, "ended for no reason");
        if let Some(failure) = failure {
            self.check_failure(failure, &judgement);
        }

        let is_open = state == State::Open;
        let is_broken =
            matches!(failure, Some(Failure::Socket(..) | Failure::Heartbeat | Failure::Timeout(_)));
        // What came before any other end can be taken.
        judgement.check_received(&self.received, !self.is_closed && !is_broken);
        judgement.check_written(0, &self.given, is_open);
        match judgement.incoming.end {
            End::Open | End::Doomed => assert_eq!(connection.close_code(), -1),
            _ if self.is_closed || is_broken => {}
            End::Closed => {
                assert_eq!((state, failure), (State::Closed, None));
                let close = judgement.incoming.close().cloned().flatten();
                let (code, reason) = close.unwrap_or((0, String::new()));
                assert_eq!(connection.close_code(), i32::from(code));
                assert_eq!(connection.close_reason(), reason);
            }
            End::Broken(code) => {
                let ended = (state, connection.close_code());
                assert_eq!(ended, (State::Closed, i32::from(code)), "{failure:?}");
            }
        }
    }

    /// What is said to have happened has happened.
    fn check_failure(&self, failure: &Failure, judgement: &Judgement) {
        let has_happened = match failure {
            Failure::Timeout(_) | Failure::Heartbeat => self.is_late,
            Failure::Refused(_) | Failure::Answer(_) => judgement.fate == Fate::Refused,
            Failure::Violation(violation) => match judgement.incoming.end {
                End::Broken(code) => violation.code == code,
                End::Doomed => violation.code == 1002,
                _ => false,
            },
            Failure::Ended(_) => self.link.has_ended(),
            Failure::Socket(..) => self.link.has_failed() || self.link.has_ended(),
            _ => false,
        };
        assert!(has_happened, "{failure} with {judgement:?}");
    }

    fn judge(&self) -> Judgement {
        let limit = self.config.inbound_buffer_size as usize;
        self.link.judge(limit, &self.config.supported_protocols)
    }
}
