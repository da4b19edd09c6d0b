//! A server and a client of core's, with faults, time and calls in any order.
//!
//! Input: two bytes that choose TLS and the settings, then steps: a byte that says which, and what
//! that step needs.

use std::io::ErrorKind;
use std::time::Duration;

use mio_websocket_core::config::{ConnectionConfig, KeepaliveConfig};
use mio_websocket_core::multiplayer::SERVER_ID;

use crate::game::KEEPALIVE;
use crate::memory;
use crate::pair::Pair;
use crate::script::Script;
use crate::wire::Fault;

/// See the [module](self).
pub fn run(input: &[u8]) {
    memory::reset();
    let mut script = Script::new(input);
    let is_secure = script.flag();
    let choices = script.byte();
    let choose = |shift: u8, values: [i32; 4]| values[usize::from(choices >> shift & 3)];
    let config = ConnectionConfig {
        inbound_buffer_size: choose(0, [65535, 66_000, 70_000, 100_000]),
        outbound_buffer_size: choose(2, [65535, 0, 100, 3000]),
        max_queued_packets: choose(4, [4096, 1, 2, 8]),
        keepalive: if choices & 0x80 == 0 { KeepaliveConfig::default() } else { KEEPALIVE },
        ..ConnectionConfig::default()
    };
    let mut pair = Pair::new(&config, is_secure);
    if choices & 0x40 != 0 {
        (pair.server.peer.budget.frames, pair.client.peer.budget.frames) = (3, 3);
    }
    let mut trial = Trial { pair, count: 0, is_late: false, is_cut: false };
    while !script.is_empty() {
        trial.step(&mut script);
    }
    trial.finish();
}

struct Trial {
    pair: Pair,
    /// Packets so far.
    count: usize,
    /// Time has passed, so that a handshake may have taken too long.
    is_late: bool,
    /// One of both was told to end it.
    is_cut: bool,
}

impl Trial {
    fn step(&mut self, script: &mut Script<'_>) {
        let pair = &mut self.pair;
        match script.below(14) {
            0..=2 => pair.poll_server(),
            3..=5 => pair.poll_client(),
            6 => {
                let data = self.packet(script);
                self.pair.put_to_client(data);
            }
            7 => {
                let data = self.packet(script);
                self.pair.put_to_server(data);
            }
            8..=9 => fault(pair, script),
            10 => {
                let way = if script.flag() { &pair.wire.in_ } else { &pair.wire.out };
                way.borrow_mut().room = script.one_of(&[usize::MAX, 0, 1, 7, 100, 5000]);
            }
            11 => {
                let game = if script.flag() { &mut pair.server } else { &mut pair.client };
                game.take();
            }
            12 => {
                let jump = Duration::from_millis(script.one_of(&[0, 1, 3001, 1_000_000_000]));
                let (server, client) = script.one_of(&[(true, true), (true, false), (false, true)]);
                if server {
                    pair.server.wait(jump);
                }
                if client {
                    pair.client.wait(jump);
                }
                self.is_late |= !jump.is_zero();
            }
            _ => self.end(script),
        }
    }

    /// A packet that shows its place in the order.
    fn packet(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let mut data = format!("{}.", self.count).into_bytes();
        let size = usize::from(script.byte());
        data.resize(data.len() + size * size, b'x');
        self.count += 1;
        data
    }

    fn end(&mut self, script: &mut Script<'_>) {
        let pair = &mut self.pair;
        match script.below(16) {
            0 => {
                if let Some(id) = pair.id() {
                    pair.server.disconnect(id, script.flag());
                }
            }
            1 => pair.client.disconnect(SERVER_ID, script.flag()),
            2 => pair.server.peer.close(),
            3 => pair.client.peer.close(),
            4 => pair.wire.in_.borrow_mut().end(),
            5 => pair.wire.out.borrow_mut().end(),
            _ => return,
        }
        self.is_cut = true;
    }

    fn finish(&mut self) {
        let pair = &mut self.pair;
        pair.wire.heal();
        pair.settle();
        pair.check();
        let ways = [&pair.wire.in_, &pair.wire.out].map(|way| way.borrow());
        let has_failed = ways.iter().any(|way| way.reads.has_failed() || way.writes.has_failed());
        if !(self.is_late || self.is_cut || has_failed) {
            assert!(pair.is_up(), "they did not come together, or did not stay");
        }
    }
}

/// Lets something go wrong on one of the four sides.
fn fault(pair: &Pair, script: &mut Script<'_>) {
    let way = if script.flag() { &pair.wire.in_ } else { &pair.wire.out };
    let mut way = way.borrow_mut();
    let plan = if script.flag() { &mut way.reads } else { &mut way.writes };
    let after = script.number();
    plan.add(
        after,
        script.one_of(&[
            Fault::Pause,
            Fault::Interrupt,
            Fault::Short,
            Fault::Pause,
            Fault::Fail(ErrorKind::ConnectionReset),
        ]),
    );
}
