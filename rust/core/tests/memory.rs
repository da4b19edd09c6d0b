//! The memory limit of the process. In a file of its own, and in one test, because all queues of the
//! process count.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use mio_websocket_core::config::OverflowPolicy;
use mio_websocket_core::error::Error;
use mio_websocket_core::memory::{UNCOUNTED, limit, set_limit, used};
use mio_websocket_core::multiplayer::Event;
use support::{Node, alone_and_raw, close_payload, eventually, frame, masked, numbered, settle};

const LIMIT: usize = 1 << 20;
const LARGE: usize = 20_000;

/// A server whose peers may fill the memory.
fn server() -> Node {
    Node::server_with(|peer| {
        peer.config.inbound_buffer_size = 16 << 20;
        peer.config.outbound_buffer_size = 16 << 20;
    })
}

#[test]
fn all_queues_together_are_bounded() {
    assert_eq!((limit(), used()), (1 << 30, 0));
    set_limit(LIMIT);
    packets_that_nobody_reads();
    assert_eq!(used(), 0);
    a_peer_that_is_not_slow_is_not_disconnected();
    assert_eq!(used(), 0);
    a_message_that_is_never_complete();
    assert_eq!(used(), 0);
    packets_that_nobody_takes();
    assert_eq!(used(), 0);
    a_peer_by_itself();
    assert_eq!(used(), 0);
}

fn packets_that_nobody_reads() {
    let mut server = server();
    let (mut good, good_id) = server.join_raw();
    let (mut slow, slow_id) = server.join_slow();
    let (mut other, other_id) = server.join_raw();
    let mut accepted = 0;
    let error = loop {
        match server.put(slow_id, &numbered(accepted, LARGE)) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    let Error::MemoryLimit { size: LARGE, used: reported, limit: LIMIT } = error else {
        panic!("{error:?}");
    };
    assert_eq!(reported, used());
    assert!((LIMIT - LARGE - UNCOUNTED..=LIMIT).contains(&used()), "{}", used());
    assert_eq!(server.peer.stats.packets_refused, 1);
    // Nobody's queue grows to a size that counts; what is smaller comes and goes.
    assert!(matches!(server.put(good_id, &[0; LARGE]), Err(Error::MemoryLimit { .. })));
    assert!(matches!(server.put(0, &[0; LARGE]), Err(Error::MemoryLimit { .. })));
    server.plays_on(&mut good, good_id);
    server.plays_on(&mut other, other_id);
    good.send(&masked(0x82, &[9; 2 * LARGE]));
    server.plays_on(&mut other, other_id);
    server.poll_for_nothing();
    assert_eq!(server.take(), [], "the rest of it is not read");
    // Control frames and closes still go.
    other.send(&masked(0x89, b"ping"));
    eventually(|| {
        server.poll();
        !other.is_silent()
    });
    assert_eq!(other.frame(), Some((0x8a, b"ping".to_vec())));
    server.peer.disconnect_peer(other_id, false).unwrap();
    assert_eq!(server.next_events(), [Event::PeerDisconnected(other_id)]);
    assert_eq!(other.frame(), Some((0x88, close_payload(1000, ""))));
    // When the memory is free again everything goes on.
    let reader = std::thread::spawn(move || {
        for number in 0..accepted {
            assert_eq!(slow.frame(), Some((0x82, numbered(number, LARGE))));
        }
        slow
    });
    let _slow = server.run(reader);
    assert_eq!(server.receive(1), [(good_id, vec![9; 2 * LARGE])]);
    assert_eq!(used(), 0);
    server.put(good_id, &[0; LARGE]).unwrap();
    assert_eq!(good.frame(), Some((0x82, vec![0; LARGE])));
}

fn a_peer_that_is_not_slow_is_not_disconnected() {
    let mut server = server();
    let (mut good, good_id) = server.join_raw();
    let (_slow, slow_id) = server.join_slow();
    while server.put(slow_id, &[0; LARGE]).is_ok() {}
    server.peer.config.overflow_policy = OverflowPolicy::Disconnect;
    let (mut newcomer, id) = server.join_raw();
    assert!(matches!(server.put(id, &[0; LARGE]), Err(Error::MemoryLimit { .. })));
    server.plays_on(&mut newcomer, id);
    server.plays_on(&mut good, good_id);
    // What waits when the server ends counts no more.
    assert!(used() > LIMIT / 2);
}

fn a_message_that_is_never_complete() {
    let mut server = server();
    let (mut good, good_id) = server.join_raw();
    let (mut bad, bad_id) = server.join_raw();
    let sender = std::thread::spawn(move || {
        let message = masked(0x82, &[7; 16 << 20]);
        // Blocks when the server reads no more.
        bad.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        bad.stream.write_all(&message[..message.len() - 1]).unwrap_err();
        bad
    });
    let _bad = server.run(sender);
    server.plays_on(&mut good, good_id);
    assert!(server.events.contains(&Event::PeerDisconnected(bad_id)));
    assert_eq!(server.peer.stats.closed_memory, 1);
    assert_eq!(used(), 0);
}

fn packets_that_nobody_takes() {
    const COUNT: u32 = 3000;
    let mut server = server();
    let (mut good, good_id) = server.join_raw();
    let sender = std::thread::spawn(move || {
        for number in 0..COUNT {
            good.send(&masked(0x82, &numbered(number, 1000)));
        }
        good
    });
    let mut polls = 0;
    while used() < LIMIT || polls < 100 {
        server.poll();
        settle();
        polls += 1;
        assert!(polls < 10_000, "{} of {LIMIT}", used());
    }
    assert!(used() < LIMIT + 256 * 1024, "{}", used());
    assert!((server.peer.available() as u32) < COUNT);
    let packets = server.receive(COUNT as usize);
    let expected = (0..COUNT).map(|number| (good_id, numbered(number, 1000)));
    assert!(packets.into_iter().eq(expected));
    let mut good = server.run(sender);
    server.plays_on(&mut good, good_id);
}

fn a_peer_by_itself() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&frame(0x82, &[7; 60_000]).repeat(10));
    eventually(|| {
        peer.poll(Instant::now());
        used() >= 10 * 60_000 - UNCOUNTED
    });
    while peer.receive().is_some() {}
    assert_eq!(used(), 0);
}
