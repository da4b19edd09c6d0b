//! Packets that have arrived and wait for the game: bounded over all peers, and nothing is lost.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::time::Duration;

use support::{Node, Raw, eventually, masked, numbered, settle};

const STALL: Duration = Duration::from_secs(10);
const FRAME: Duration = Duration::from_millis(16);

/// Three clients that have sent `count` numbered packets of `size` bytes each.
fn senders(server: &mut Node, count: u32, size: usize) -> Vec<(Raw, i32)> {
    let mut clients: Vec<_> = (0..3).map(|_| server.join_raw()).collect();
    server.poll_for_nothing();
    let bytes: Vec<u8> = (0..count).flat_map(|n| masked(0x82, &numbered(n, size))).collect();
    for (client, _) in &mut clients {
        client.send(&bytes);
    }
    settle();
    clients
}

/// Takes `count` packets of each client, which come in order; then all play on.
#[track_caller]
fn finds_all(server: &mut Node, mut clients: Vec<(Raw, i32)>, count: u32, size: usize) {
    let packets = server.receive(clients.len() * count as usize);
    let expected: Vec<_> = (0..count).map(|number| numbered(number, size)).collect();
    for (_, id) in &clients {
        let own = packets.iter().filter(|(sender, _)| sender == id);
        assert!(own.map(|(_, data)| data).eq(&expected));
    }
    for (client, id) in &mut clients {
        assert_eq!(server.plays_on(client, *id), []);
    }
    assert_eq!(server.events, []);
}

#[test]
fn a_game_that_does_not_poll_for_ten_seconds_finds_its_packets_and_peers() {
    let mut server = Node::server();
    let clients = senders(&mut server, 100, 100);
    server.wait(STALL);
    finds_all(&mut server, clients, 100, 100);
}

#[test]
fn a_game_that_takes_nothing_for_ten_seconds_finds_its_packets_and_peers() {
    let mut server = Node::server_with(|peer| peer.waiting.packets = 10);
    let clients = senders(&mut server, 100, 100);
    for _ in 0..STALL.as_millis() / FRAME.as_millis() {
        server.wait(FRAME);
        assert_eq!(server.poll(), []);
        assert!(server.peer.available() <= 10);
    }
    assert_eq!(server.peer.available(), 10);
    finds_all(&mut server, clients, 100, 100);
}

#[test]
fn bytes_are_bounded_too_up_to_one_read() {
    const READ: usize = 64 * 1024;
    let mut server = Node::server_with(|peer| peer.waiting.bytes = 10_000);
    let clients = senders(&mut server, 100, 5000);
    let mut most = 0;
    for _ in 0..STALL.as_millis() / FRAME.as_millis() {
        server.wait(FRAME);
        assert_eq!(server.poll(), []);
        most = most.max(server.peer.available() * 5000);
    }
    assert!((10_000..10_000 + READ).contains(&most), "{most}");
    finds_all(&mut server, clients, 100, 5000);
}

#[test]
fn a_poll_reads_a_bounded_number_of_bytes() {
    let mut server = Node::server_with(|peer| {
        // Each poll reads once.
        peer.budget.bytes = 1;
        peer.budget.time = Duration::from_secs(3600);
    });
    let clients = senders(&mut server, 10, 100);
    for round in 1..=3 {
        server.poll();
        assert_eq!(server.peer.available(), round * 10);
    }
    finds_all(&mut server, clients, 10, 100);
}

#[test]
fn bytes_leave_when_the_flush_threshold_is_reached() {
    for (threshold, put) in [(0, 1), (500, 5)] {
        let mut server = Node::server_with(|peer| peer.config.flush_threshold = threshold);
        let (mut client, id) = server.join_raw();
        for _ in 0..2 {
            server.next_frame();
            server.poll();
        }
        for _ in 1..put {
            server.put(id, &[7; 100]).unwrap();
            assert!(client.is_silent());
        }
        server.put(id, &[7; 100]).unwrap();
        for _ in 0..put {
            assert_eq!(client.frame(), Some((0x82, vec![7; 100])));
        }
    }
}

#[test]
fn packets_wait_for_a_game_that_takes_one_a_frame() {
    let mut server = Node::server_with(|peer| peer.waiting.packets = 1);
    let mut clients = senders(&mut server, 5, 10);
    let mut taken = 0;
    eventually(|| {
        server.poll();
        assert!(server.peer.available() <= 1);
        taken += server.take().len();
        taken == 15
    });
    for (client, id) in &mut clients {
        server.plays_on(client, *id);
    }
}
