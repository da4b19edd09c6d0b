//! Peers that read too slowly: what becomes of them, and of packets for them, while a well-behaved
//! client plays on.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use mio_websocket_core::config::OverflowPolicy;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, Status};
use support::{Node, Raw, TOO_LONG, close_payload, frame, numbered, raw_server};

const SIZE: usize = 10_000;

fn disconnecting() -> Node {
    Node::server_with(|peer| peer.config.overflow_policy = OverflowPolicy::Disconnect)
}

/// Sends numbered packets until one is not accepted; how many were, and why that one was not.
fn fill(node: &mut Node, target: i32) -> (u32, Error) {
    let refused = (0..10_000)
        .find_map(|number| Some((number, node.put(target, &numbered(number, SIZE)).err()?)));
    refused.expect("everything is accepted")
}

/// Reads `count` numbered packets.
#[track_caller]
fn reads(client: &mut Raw, count: u32) {
    for number in 0..count {
        assert_eq!(client.frame(), Some((0x82, numbered(number, SIZE))));
    }
}

#[test]
fn a_packet_without_room_is_refused_and_counted() {
    let mut server = Node::server();
    let (mut good, good_id) = server.join_raw();
    let (mut slow, slow_id) = server.join_slow();
    let (accepted, error) = fill(&mut server, slow_id);
    assert_eq!(error, Error::OutOfMemory { size: SIZE, peers: format!("peer {slow_id}") });
    assert_eq!(server.peer.stats.packets_refused, 1);
    server.put(slow_id, &[0; SIZE]).unwrap_err();
    server.put(0, &[0; SIZE]).unwrap_err();
    assert_eq!(server.peer.stats.packets_refused, 3);
    assert_eq!(good.frame(), Some((0x82, vec![0; SIZE])), "the broadcast reaches the other");
    server.plays_on(&mut good, good_id);
    assert_eq!(server.events, []);
    let reader = std::thread::spawn(move || {
        reads(&mut slow, accepted);
        slow
    });
    let mut slow = server.run(reader);
    server.plays_on(&mut slow, slow_id);
    let stats = server.peer.stats;
    assert_eq!((stats.packets_refused, stats.closed_overflow), (3, 0));
}

#[test]
fn a_peer_without_room_is_disconnected_if_that_is_the_policy() {
    let mut server = disconnecting();
    let (mut good, good_id) = server.join_raw();
    let (mut slow, slow_id) = server.join_slow();
    server.notices();
    let (accepted, error) = fill(&mut server, slow_id);
    assert_eq!(error, Error::NotOpen);
    assert_eq!(server.put(slow_id, b"more"), Err(Error::NotOpen));
    server.put(0, b"all").unwrap();
    assert_eq!(good.frame(), Some((0x82, b"all".to_vec())));
    assert_eq!(server.next_events(), [Event::PeerDisconnected(slow_id)]);
    server.notes_once("too slowly (close code 1013)");
    server.plays_on(&mut good, good_id);
    // What was accepted before arrives, then the reason.
    let reader = std::thread::spawn(move || {
        reads(&mut slow, accepted);
        assert_eq!(slow.frame(), Some((0x88, close_payload(1013, "Reads too slowly"))));
        assert_eq!(slow.frame(), None);
    });
    server.run(reader);
    server.plays_on(&mut good, good_id);
    assert_eq!(server.events, [Event::PeerDisconnected(slow_id)]);
    let stats = server.peer.stats;
    assert_eq!((stats.packets_refused, stats.closed_overflow), (0, 1));
}

#[test]
fn a_broadcast_that_disconnects_somebody_is_fine_for_the_others() {
    let mut server = disconnecting();
    let (mut good, _) = server.join_raw();
    let (_slow, slow_id) = server.join_slow();
    let mut sent = 0;
    while server.peer.connection(slow_id).is_some() {
        server.put(0, &numbered(sent, SIZE)).unwrap();
        assert_eq!(good.frame(), Some((0x82, numbered(sent, SIZE))));
        sent += 1;
        if sent % 10 == 0 {
            server.poll();
        }
        assert!(sent < 10_000, "nobody is disconnected");
    }
    assert_eq!(server.peer.stats.closed_overflow, 1);
    assert_eq!(server.events, [Event::PeerDisconnected(slow_id)]);
}

#[test]
fn a_packet_that_never_fits_is_refused_and_nobody_disconnected() {
    let mut server = disconnecting();
    let (mut good, good_id) = server.join_raw();
    let (_slow, slow_id) = server.join_slow();
    while server.buffered(slow_id) == 0 {
        server.put(slow_id, &[0; 1000]).unwrap();
    }
    for id in [good_id, slow_id] {
        assert!(matches!(server.put(id, &[0; 65536]), Err(Error::OutOfMemory { .. })));
    }
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    server.plays_on(&mut good, good_id);
    assert_eq!(server.peer.stats.closed_overflow, 0);
    assert_eq!(server.peer.stats.packets_refused, 2);

    // Nothing fits into a queue without room, however fast it is read.
    server.peer.config.max_queued_packets = 0;
    let (_fast, fast_id) = server.join_raw();
    assert!(matches!(server.put(fast_id, b"x"), Err(Error::OutOfMemory { .. })));
    server.poll_for_nothing();
    assert_eq!(server.events, []);
}

#[test]
fn who_does_not_even_read_the_close_is_dropped_in_time() {
    let mut server = disconnecting();
    let (mut good, good_id) = server.join_raw();
    let (mut slow, slow_id) = server.join_slow();
    let (accepted, _) = fill(&mut server, slow_id);
    server.next_events();
    server.poll();
    server.wait(TOO_LONG);
    server.plays_on(&mut good, good_id);
    // Nothing is left of the queue but what the kernel has taken.
    let rest = slow.rest();
    assert!(!rest.is_empty() && rest.len() < accepted as usize * SIZE, "{}", rest.len());
}

/// A client whose server reads nothing, with the policy to disconnect, when it has done so; how
/// many packets were accepted.
#[track_caller]
fn client_that_left() -> (Node, Raw, u32) {
    let mut client = Node::new();
    client.peer.config.overflow_policy = OverflowPolicy::Disconnect;
    let (listener, port) = support::listen();
    client.dial(port).unwrap();
    let mut server = raw_server(&mut client, &listener);
    server.send(&frame(0x82, &7_i32.to_le_bytes()));
    client.next_events();
    let (accepted, error) = fill(&mut client, 1);
    assert_eq!(error, Error::NotOpen);
    client.poll();
    client.events.clear();
    (client, server, accepted)
}

#[test]
fn a_client_has_the_same_policy() {
    let (mut client, _server, _) = client_that_left();
    client.wait(TOO_LONG);
    assert_eq!(client.next_events(), [Event::PeerDisconnected(1)]);
    assert_eq!(client.peer.stats.closed_overflow, 1);
    assert_eq!(client.peer.status(), Status::Disconnected);
}

#[test]
fn that_a_client_left_is_counted_also_when_its_server_answers_the_close() {
    let (mut client, mut server, accepted) = client_that_left();
    let reader = std::thread::spawn(move || {
        reads(&mut server, accepted);
        let (first, close) = server.frame().unwrap();
        assert_eq!((first, &close), (0x88, &close_payload(1013, "Reads too slowly")));
        server.send(&frame(0x88, &close));
    });
    client.run(reader);
    client.poll_for_nothing();
    assert_eq!(client.events, [Event::PeerDisconnected(1)]);
    assert_eq!(client.peer.stats.closed_overflow, 1);
}
