//! A whole session of two peers, with something going wrong at every byte.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio_websocket_core::config::ConnectionConfig;
use mio_websocket_core::multiplayer::SERVER_ID;
use mio_websocket_fuzz::pair::Pair;
use mio_websocket_fuzz::wire::{Fault, Plan, SharedWay};

/// More polls than any session here needs, though each may move a single byte. One that takes more
/// hangs.
const MOST_ROUNDS: usize = 3000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// The sizes of the packets that go each way.
const SIZES: [usize; 3] = [1, 130, 20];

/// The four places where a fault can be.
const PLACES: [Place; 4] = [
    Place { to_server: true, on_read: true },
    Place { to_server: true, on_read: false },
    Place { to_server: false, on_read: true },
    Place { to_server: false, on_read: false },
];

#[derive(Clone, Copy, Debug)]
struct Place {
    to_server: bool,
    on_read: bool,
}

impl Place {
    fn way(self, pair: &Pair) -> &SharedWay {
        if self.to_server { &pair.wire.in_ } else { &pair.wire.out }
    }

    fn plan(self, pair: &Pair, change: impl FnOnce(&mut Plan)) {
        let mut way = self.way(pair).borrow_mut();
        change(if self.on_read { &mut way.reads } else { &mut way.writes });
    }
}

fn pair(is_secure: bool) -> Pair {
    Pair::new(&ConnectionConfig::default(), is_secure)
}

/// Lets both connect, send each other packets, and part when all have come. `before` is called before
/// each round of polls.
fn play(pair: &mut Pair, mut before: impl FnMut(&mut Pair, usize)) {
    for round in 0..MOST_ROUNDS {
        before(pair, round);
        pair.poll_server();
        while pair.server.take() {}
        pair.poll_client();
        while pair.client.take() {}
        if pair.is_up() && pair.to_client.is_empty() {
            for size in SIZES {
                pair.put_to_client(vec![size as u8; size]);
                pair.put_to_server(vec![size as u8; size]);
            }
        }
        if has_all(pair) && pair.client.told_to_go.is_empty() {
            pair.client.disconnect(SERVER_ID, false);
        }
        if pair.is_over() && round > 3 {
            pair.check();
            return;
        }
    }
    panic!("it does not come to an end");
}

fn has_all(pair: &Pair) -> bool {
    [pair.taken_by_client(), pair.taken_by_server()].iter().all(|taken| taken.len() == SIZES.len())
}

/// Everything has come, and the end was told on both sides.
fn assert_complete(pair: &Pair) {
    assert!(has_all(pair), "packets are missing");
    let id = pair.id().unwrap();
    assert_eq!(pair.server.codes.get(&id), Some(&1000));
    assert_eq!(pair.client.codes.get(&SERVER_ID), Some(&1000));
}

/// Each place with the number of bytes that pass it in a session.
fn places(is_secure: bool) -> Vec<(Place, usize)> {
    let mut pair = pair(is_secure);
    play(&mut pair, |_, _| {});
    assert_complete(&pair);
    PLACES
        .map(|place| {
            let way = place.way(&pair).borrow();
            (place, if place.on_read { way.read } else { way.written })
        })
        .into()
}

/// Plays a session for each `step`th byte of each place, with that fault there.
fn play_with(fault: Fault, is_secure: bool, step: usize, check: impl Fn(&Pair)) {
    for (place, size) in places(is_secure) {
        assert!(size > 250, "{size} bytes are no session");
        for after in (0..size).step_by(step) {
            println!("{fault:?} after {after} bytes at {place:?}");
            let mut pair = pair(is_secure);
            place.plan(&pair, |plan| plan.add(after, fault));
            play(&mut pair, |_, _| {});
            let mut is_met = false;
            place.plan(&pair, |plan| is_met = plan.is_met());
            assert!(is_met, "the fault did not come: {after} of {size}");
            check(&pair);
        }
    }
}

/// TLS moves more bytes and takes longer; a prime number of them is left out each time.
const TLS_STEP: usize = 7;

#[test]
fn a_stop_at_any_byte_loses_nothing() {
    play_with(Fault::Pause, false, 1, assert_complete);
}

#[test]
fn a_stop_under_tls_loses_nothing() {
    play_with(Fault::Pause, true, TLS_STEP, assert_complete);
}

#[test]
fn a_short_read_or_write_at_any_byte_loses_nothing() {
    play_with(Fault::Short, false, 1, assert_complete);
    play_with(Fault::Short, true, TLS_STEP, assert_complete);
}

#[test]
fn an_interruption_at_any_byte_loses_nothing() {
    play_with(Fault::Interrupt, false, 1, assert_complete);
}

#[test]
fn an_interruption_under_tls_loses_nothing() {
    play_with(Fault::Interrupt, true, TLS_STEP, assert_complete);
}

/// `play` checks that nothing came twice or in another order, and `Game` that each end has a reason.
#[test]
fn a_reset_at_any_byte_ends_both_sides() {
    play_with(Fault::Fail(ErrorKind::ConnectionReset), false, 1, |_| {});
}

#[test]
fn a_reset_under_tls_ends_both_sides() {
    play_with(Fault::Fail(ErrorKind::ConnectionReset), true, TLS_STEP, |_| {});
}

#[test]
fn every_byte_may_come_alone() {
    for is_secure in [false, true] {
        for place in PLACES {
            println!("{place:?}, tls: {is_secure}");
            let mut pair = pair(is_secure);
            place.plan(&pair, |plan| {
                for _ in 0..10_000 {
                    plan.add(1, Fault::Interrupt);
                }
            });
            play(&mut pair, |_, _| {});
            assert_complete(&pair);
        }
    }
}

#[test]
fn a_stream_that_holds_a_few_bytes_carries_everything() {
    for is_secure in [false, true] {
        for room in [100, 150] {
            let mut pair = pair(is_secure);
            for place in PLACES {
                place.way(&pair).borrow_mut().room = room;
            }
            play(&mut pair, |_, _| {});
            assert_complete(&pair);
        }
    }
}

#[test]
fn an_end_at_any_round_ends_both_sides() {
    for is_secure in [false, true] {
        for place in [PLACES[0], PLACES[2]] {
            for end in 0..10 {
                let mut pair = pair(is_secure);
                play(&mut pair, |pair, round| {
                    if round == end {
                        place.way(pair).borrow_mut().end();
                    }
                });
            }
        }
    }
}

/// Who moves its clock.
#[derive(Clone, Copy, Debug)]
struct Movers {
    server: bool,
    client: bool,
}

const MOVERS: [Movers; 3] = [
    Movers { server: true, client: false },
    Movers { server: false, client: true },
    Movers { server: true, client: true },
];

fn jump(pair: &mut Pair, movers: Movers) {
    if movers.server {
        pair.server.wait(DAY);
    }
    if movers.client {
        pair.client.wait(DAY);
    }
}

/// Without a jump the clocks of these tests stand still: nothing ever depends on their moving.
#[test]
fn a_clock_that_jumps_once_breaks_off_a_handshake_and_nothing_else() {
    for is_secure in [false, true] {
        for movers in MOVERS {
            for when in 0..12 {
                println!("{movers:?} in round {when}, tls: {is_secure}");
                let mut pair = pair(is_secure);
                let mut was_up = false;
                play(&mut pair, |pair, round| {
                    if round == when {
                        was_up = pair.is_up();
                        jump(pair, movers);
                    }
                });
                if was_up {
                    assert!(has_all(&pair), "packets are missing");
                }
            }
        }
    }
}

/// A system whose clock is not as steady as it promises.
#[test]
fn a_clock_that_goes_back_breaks_off_nothing() {
    for is_secure in [false, true] {
        for movers in MOVERS {
            for when in 0..12 {
                let mut pair = pair(is_secure);
                play(&mut pair, |pair, round| {
                    if round == when {
                        let back = |clock: &mut Instant| *clock -= MINUTE;
                        movers.server.then(|| back(&mut pair.server.clock));
                        movers.client.then(|| back(&mut pair.client.clock));
                    }
                });
                assert_complete(&pair);
            }
        }
    }
}

#[test]
fn a_clock_that_jumps_all_the_time_ends_what_takes_time_and_nothing_hangs() {
    for is_secure in [false, true] {
        for movers in MOVERS {
            let mut pair = pair(is_secure);
            play(&mut pair, |pair, _| jump(pair, movers));
        }
    }
}
