//! What has gone over connections, as it is counted here and by those at the other ends.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Read;
use std::time::Duration;

use mio_websocket_core::config::OverflowPolicy;
use mio_websocket_core::connection::Delivery;
use mio_websocket_core::stats::{Queued, Traffic};
use support::{Node, Raw, close_payload, eventually, masked, numbered, request};

/// The answer to [`request`] without extra headers.
const ANSWER: u64 = 129;
/// The frame of the id.
const ID: u64 = 6;

fn closes(node: &Node) -> Vec<(u16, u64)> {
    node.peer.stats.closes.entries().collect()
}

/// A server and its client.
fn pair() -> (Node, Node) {
    let mut server = Node::server();
    let mut client = Node::client(server.port());
    eventually(|| {
        server.poll();
        client.poll();
        client.is_connected() && server.peer.peers() == 1
    });
    (server, client)
}

/// As many as have joined are in or have gone.
#[track_caller]
fn adds_up(node: &Node) {
    let gone: u64 = closes(node).iter().map(|(_, count)| count).sum();
    assert_eq!(node.peer.stats.joined, gone + node.peer.peers() as u64);
}

#[test]
fn packets_payload_and_the_bytes_of_the_socket_are_counted_for_a_peer() {
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    let handshake = Traffic {
        wire_bytes_received: request().len() as u64,
        wire_bytes_sent: ANSWER + ID,
        ..Traffic::default()
    };
    assert_eq!(server.peer.peer_stats(id, server.clock).unwrap().traffic, handshake);
    // A ping and its answer are no packets.
    raw.send(&masked(0x89, b"ping"));
    raw.send(&masked(0x82, &[1; 10]));
    raw.send(&masked(0x81, b"text"));
    assert_eq!(server.receive(2).len(), 2);
    server.put(id, &[2; 1000]).unwrap();
    server.put(0, &[2; 7]).unwrap();
    server.peer.flush();
    server.wait(Duration::from_secs(3));
    let stats = server.peer.peer_stats(id, server.clock).unwrap();
    let traffic = Traffic {
        packets_received: 2,
        bytes_received: 14,
        packets_sent: 2,
        bytes_sent: 1007,
        wire_bytes_received: handshake.wire_bytes_received + (6 + 4) + (6 + 10) + (6 + 4),
        wire_bytes_sent: ANSWER + ID + (2 + 4) + (4 + 1000) + (2 + 7),
    };
    assert_eq!(stats.traffic, traffic);
    assert_eq!((stats.packets_refused, stats.packets_dropped), (0, 0));
    assert_eq!((stats.queued, stats.connected), (Queued::default(), Duration::from_secs(3)));
    assert_eq!(server.peer.traffic(), traffic);
    assert!(server.peer.peer_stats(id + 1, server.clock).is_err());
}

#[test]
fn both_ends_of_ours_count_the_same() {
    let (mut server, mut client) = pair();
    let id = client.peer.unique_id();
    for size in [1, 200, 70_000] {
        client.put(1, &vec![1; size]).unwrap_or_default();
        server.put(id, &vec![2; size / 2]).unwrap_or_default();
    }
    client.peer.flush();
    server.peer.flush();
    server.receive(2);
    client.receive(1);
    let here = server.peer.traffic();
    let there = client.peer.peer_stats(1, client.clock).unwrap().traffic;
    assert_eq!((here.packets_received, here.bytes_received), (2, 201));
    assert_eq!((there.packets_sent, there.bytes_sent), (2, 201));
    assert_eq!(
        (here.packets_sent, here.bytes_sent, here.wire_bytes_sent),
        (there.packets_received, there.bytes_received, there.wire_bytes_received)
    );
    assert_eq!(here.wire_bytes_received, there.wire_bytes_sent);
    assert_eq!(client.peer.peers(), 1);
    adds_up(&server);
}

#[test]
fn totals_keep_what_went_over_connections_that_have_ended() {
    let mut server = Node::server();
    let port = server.port();
    let mut total = 0;
    let ways: [fn(&mut Node, &mut Raw, i32); 5] = [
        |_, raw, _| raw.send(&masked(0x88, &close_payload(4001, "bye"))),
        |_, raw, _| raw.end(),
        |server, _, id| server.peer.disconnect_peer(id, false).unwrap(),
        |server, _, id| server.peer.disconnect_peer(id, true).unwrap(),
        |server, _, _| server.peer.close(),
    ];
    for way in ways {
        if server.port() == 0 {
            support::serve_on(&mut server.peer, port, "127.0.0.1", server.clock).unwrap();
        }
        let before = server.peer.traffic();
        let (mut raw, id) = server.join_raw();
        raw.send(&masked(0x82, &[1; 100]));
        server.receive(1);
        way(&mut server, &mut raw, id);
        server.poll_for_nothing();
        total += 100;
        let after = server.peer.traffic();
        assert_eq!(after.bytes_received, total);
        assert!(after.wire_bytes_received >= before.wire_bytes_received + 100);
        assert!(after.wire_bytes_sent > before.wire_bytes_sent);
        assert_eq!(server.peer.peers(), 0);
        adds_up(&server);
        // Its last bytes, too.
        drop(raw);
        server.poll_for_nothing();
    }
    assert_eq!(closes(&server), [(1000, 2), (1001, 1), (1006, 1), (4001, 1)]);
}

#[test]
fn a_client_counts_the_end_of_its_connection_once() {
    for by_server in [true, false] {
        let (mut server, mut client) = pair();
        if by_server {
            server.peer.disconnect_peer(client.peer.unique_id(), false).unwrap();
            server.peer.flush();
            client.next_events();
        }
        client.peer.close();
        client.peer.close();
        assert_eq!((closes(&client), client.peer.peers()), (vec![(1000, 1)], 0));
    }
    let mut client = Node::client(support::listen().1);
    client.peer.close();
    assert_eq!(closes(&client), []);
}

#[test]
fn what_waits_is_counted_and_what_had_no_room() {
    let mut server = Node::server_with(|peer| {
        peer.config.overflow_policy = OverflowPolicy::Refuse;
        peer.config.drop_stale_packets = true;
        peer.config.outbound_buffer_size = 100_500;
    });
    let (mut slow, id) = server.join_slow();
    let (_other, other) = server.join_raw();
    let mut accepted = 0_u64;
    while server.put(id, &numbered(0, 1000)).is_ok() {
        accepted += 1;
        server.peer.flush();
    }
    server.peer.set_delivery(Delivery::Unreliable);
    server.put(id, b"dropped").unwrap();
    server.peer.set_delivery(Delivery::UnreliableOrdered { channel: 0 });
    server.put(id, b"replaced").unwrap();
    server.put(id, b"held").unwrap();
    let stats = server.peer.peer_stats(id, server.clock).unwrap();
    assert_eq!(stats.packets_refused, 1);
    assert_eq!(stats.packets_dropped, 2);
    // What is held has not been sent.
    assert_eq!(stats.traffic.packets_sent, accepted);
    assert_eq!(stats.queued.bytes % 1000, 4);
    assert_eq!(stats.queued.packets, stats.queued.bytes / 1000 + 1);
    assert_eq!(server.peer.queued(), stats.queued);
    assert_eq!(server.peer.peer_stats(other, server.clock).unwrap().queued, Queued::default());
    let snapshot = server.peer.snapshot();
    assert_eq!((snapshot.counts.packets_refused, snapshot.counts.packets_dropped), (1, 2));
    assert_eq!((snapshot.peers, snapshot.queued), (2, stats.queued));
    // What was held goes out when the rest is through.
    let _slow = server.run(std::thread::spawn(move || {
        while slow.frame().unwrap().1 != b"held" {}
        slow
    }));
    let stats = server.peer.peer_stats(id, server.clock).unwrap();
    assert_eq!((stats.traffic.packets_sent, stats.queued), (accepted + 1, Queued::default()));
    assert_eq!(stats.traffic.bytes_sent, accepted * 1000 + 4);
}

#[test]
fn what_is_not_taken_and_who_is_not_in_is_counted() {
    let mut server = Node::server();
    let (mut raw, _) = server.join_raw();
    let _pending = Raw::connect(server.port());
    raw.send(&[masked(0x82, &[1; 30]), masked(0x82, &[1; 12])].concat());
    eventually(|| {
        server.poll();
        let snapshot = server.peer.snapshot();
        (snapshot.waiting_packets, snapshot.pending_handshakes) == (2, 1)
    });
    assert_eq!(server.peer.snapshot().waiting_bytes, 42);
    server.take();
    assert_eq!(server.peer.snapshot().waiting_bytes, 0);
}

#[test]
fn polls_that_find_nothing_to_do_are_not_timed() {
    let mut server = Node::server();
    let (mut raw, _) = server.join_raw();
    server.poll_for_nothing();
    let before = server.peer.snapshot().polls;
    server.poll_for_nothing();
    let idle = server.peer.snapshot().polls;
    assert_eq!((idle.polls() - before.polls(), idle.timed()), (10, before.timed()));
    raw.send(&masked(0x82, b"x"));
    server.receive(1);
    let busy = server.peer.snapshot().polls;
    assert!(busy.timed() > idle.timed() && busy.time() > idle.time());
    assert!(busy.timed() < busy.polls());
}

#[test]
fn the_answer_to_a_request_that_is_refused_is_counted() {
    let mut server = Node::server_with(|peer| {
        peer.admission.allowed_paths = vec!["/play".to_owned()];
    });
    let mut raw = Raw::connect(server.port());
    raw.send(&request());
    eventually(|| {
        server.poll();
        server.peer.stats.refused_path == 1
    });
    let mut answer = Vec::new();
    raw.end();
    raw.stream.read_to_end(&mut answer).unwrap();
    server.poll_for_nothing();
    let traffic = server.peer.traffic();
    assert_eq!(traffic.wire_bytes_sent, answer.len() as u64);
    assert_eq!(traffic.wire_bytes_received, request().len() as u64);
    assert_eq!((server.peer.peers(), closes(&server)), (0, vec![]));
}
