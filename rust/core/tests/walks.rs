//! Clients that come and go in every way, an owner who decides at once, later or never, drains, and
//! servers that are closed and made anew, in any order: what has to hold whatever the order is.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use mio_websocket_core::connection::ClientRequest;
use mio_websocket_core::multiplayer::Event;
use mio_websocket_core::peer::Peer;
use proptest::prelude::*;
use support::{Node, Raw, close_payload, eventually, masked, request, serve_on, settle};

const PLACES: u32 = 3;

struct Walk {
    server: Node,
    clients: Vec<TcpStream>,
    /// Of whom nobody has decided.
    requests: Vec<ClientRequest>,
    /// Who has been announced and not gone.
    present: BTreeSet<i32>,
    is_drained: bool,
    /// What a script may keep of servers that are closed.
    views: Vec<Peer>,
}

impl Walk {
    fn new() -> Self {
        let server = Node::server_with(|peer| {
            peer.admission.asks_owner = true;
            peer.admission.max_clients = PLACES;
            peer.admission.max_pending_handshakes = 6;
        });
        let (clients, requests, views) = (Vec::new(), Vec::new(), Vec::new());
        Self { server, clients, requests, present: BTreeSet::new(), is_drained: false, views }
    }

    fn step(&mut self, what: u8, which: u8) {
        let index = usize::from(which);
        match what {
            0..=3 => self.poll(which),
            4..=5 => {
                let mut client = support::tcp(self.server.port());
                let request = request();
                // Some say it in two pieces, of which the second never comes.
                let len = if which.is_multiple_of(8) { 30 } else { request.len() };
                client.write_all(&request[..len]).unwrap();
                self.clients.push(client);
            }
            6..=7 if !self.clients.is_empty() => {
                let index = index % self.clients.len();
                let frame = match which % 4 {
                    0 => masked(0x88, &close_payload(4000, "bye")),
                    1 => masked(0x83, b"a broken rule"),
                    _ => masked(0x82, b"packet"),
                };
                // It may have been ended.
                let _ = self.clients[index].write_all(&frame);
            }
            8 if !self.clients.is_empty() => {
                drop(self.clients.remove(index % self.clients.len()));
            }
            9..=10 if !self.requests.is_empty() => {
                let request = self.requests.remove(index % self.requests.len());
                let was_pending = request.is_pending();
                let answered = match which % 3 {
                    0 => request.reject(403, "").is_ok(),
                    _ => request.accept(&[], "", self.server.clock).is_ok(),
                };
                assert!(!request.is_pending() && (was_pending || !answered));
            }
            11 => {
                if let Some(id) = self.present.iter().nth(index % 4).copied() {
                    let force = which & 1 == 1;
                    self.server.peer.disconnect_peer(id, force).unwrap();
                    if force {
                        self.present.remove(&id);
                    }
                }
            }
            12 => {
                let seconds = f64::from(which % 3);
                self.server.peer.begin_drain(seconds, 1001, "", self.server.clock).unwrap();
                self.is_drained = false;
            }
            13 => {
                self.server.peer.cancel_drain();
                self.is_drained = false;
            }
            14 => self.server.wait(Duration::from_millis(20 * u64::from(which))),
            15 if which.is_multiple_of(4) => self.start_anew(),
            _ => settle(),
        }
    }

    fn poll(&mut self, which: u8) {
        let Self { server, requests, present, is_drained, .. } = self;
        let clock = server.clock;
        // Some polls may not read anything.
        server.peer.budget.frames = if which % 5 == 4 { 0 } else { 1000 };
        server.poll_with(|peer, event| match event {
            Event::ClientRequest(serial) => {
                let Some(request) = peer.take_request(serial) else { return };
                match which % 4 {
                    0 => drop(request.accept(&[], "", clock)),
                    1 => request.reject(401, "").unwrap(),
                    _ => requests.push(request),
                }
            }
            Event::PeerConnected(id) => {
                assert!(!*is_drained, "{id} came when nobody was left");
                assert!(present.insert(id), "{id} came twice");
            }
            Event::PeerDisconnected(id) => assert!(present.remove(&id), "{id} went twice"),
            Event::Drained => {
                assert!(present.is_empty(), "some are left");
                assert!(!std::mem::replace(is_drained, true), "told twice");
            }
        });
        server.take();
        self.check();
    }

    fn start_anew(&mut self) {
        let port = self.server.port();
        let peer = &mut self.server.peer;
        self.views.extend(self.present.iter().filter_map(|id| peer.view(*id)));
        peer.close();
        serve_on(peer, port, "127.0.0.1", self.server.clock).unwrap();
        assert!(self.requests.iter().all(|request| !request.is_pending()));
        self.present.clear();
        self.is_drained = false;
    }

    fn check(&self) {
        let peer = &self.server.peer;
        assert_eq!(peer.peer_ids().into_iter().collect::<BTreeSet<_>>(), self.present);
        assert!(self.present.len() <= PLACES as usize);
        let gone: u64 = peer.stats.closes.entries().map(|(_, count)| count).sum();
        assert_eq!(peer.stats.joined, gone + peer.peers() as u64);
        assert!(peer.snapshot().pending_handshakes <= 6);
    }

    /// When all have gone all places are free.
    fn check_end(mut self) {
        self.server.peer.cancel_drain();
        self.is_drained = false;
        self.clients.clear();
        eventually(|| {
            self.server.wait(Duration::from_secs(1));
            self.poll(3);
            self.present.is_empty() && self.server.peer.snapshot().pending_handshakes == 0
        });
        self.server.events.clear();
        self.server.peer.admission.asks_owner = false;
        let _inside: Vec<_> = (0..PLACES).map(|_| self.server.join_raw()).collect();
        let mut late = Raw::connect(self.server.port());
        late.send(&request());
        self.server.poll_for_nothing();
        assert!(late.head().starts_with("HTTP/1.1 503 "));
    }
}

fn walk(steps: &[(u8, u8)]) {
    let mut walk = Walk::new();
    for (what, which) in steps {
        walk.step(*what, *which);
    }
    walk.check_end();
}

/// Most of the time is waiting for the kernel.
fn cases() -> ProptestConfig {
    ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_the_order_is(steps in prop::collection::vec((0..16_u8, any::<u8>()), 0..200)) {
        walk(&steps);
    }
}
