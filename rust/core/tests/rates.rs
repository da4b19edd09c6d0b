//! How much a peer may send a second: with a clock of the test's own, and with a well-behaved client
//! on the same server.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::time::Duration;

use mio_websocket_core::config::KeepaliveConfig;
use mio_websocket_core::multiplayer::Event;
use support::{Node, Raw, close_payload, eventually, frame, masked, numbered, raw_pair, settle};

/// The well-behaved client and its id.
type Good = (Raw, i32);

const SECOND: Duration = Duration::from_secs(1);
const STALL: Duration = Duration::from_secs(10);
const FRAME: Duration = Duration::from_millis(16);

/// A server to which peers may send so many packets and bytes a second.
fn limited(packets: u32, bytes: u64) -> Node {
    Node::server_with(|peer| {
        peer.config.inbound_packets_per_second = packets;
        peer.config.inbound_bytes_per_second = bytes;
    })
}

/// Sends `bytes`, of which `packets` messages arrive before the connection is closed for `reason`,
/// while `good` plays on.
#[track_caller]
fn is_closed(server: &mut Node, good: &mut Good, bytes: &[u8], packets: usize, reason: &str) {
    let (good, good_id) = (&mut good.0, good.1);
    let (mut bad, bad_id) = server.join_raw();
    let before = server.peer.stats.closed_rate;
    server.notices();
    bad.send(bytes);
    settle();
    assert_eq!(server.plays_on(good, good_id).len(), packets);
    if server.events.is_empty() {
        server.next_events();
    }
    assert_eq!(server.events, [Event::PeerDisconnected(bad_id)]);
    assert_eq!(server.peer.stats.closed_rate, before + 1);
    server.notes_once("_per_second (close code 1008)");
    let close = std::iter::from_fn(|| bad.frame()).find(|(first, _)| *first != 0x8a);
    assert_eq!(close, Some((0x88, close_payload(1008, reason))));
    server.plays_on(good, good_id);
}

/// `count` numbered packets.
fn burst(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| masked(0x82, &numbered(number, 4))).collect()
}

/// Polls until `count` packets of `id` have come, in order; a frame passes with each poll.
#[track_caller]
fn arrive(server: &mut Node, id: i32, count: u32) {
    let mut arrived = Vec::new();
    eventually(|| {
        server.wait(FRAME);
        server.poll();
        arrived.extend(server.take());
        arrived.len() >= count as usize || !server.events.is_empty()
    });
    let expected: Vec<_> = (0..count).map(|number| (id, numbered(number, 4))).collect();
    assert_eq!(arrived, expected);
    assert_eq!(server.events, []);
}

#[test]
fn two_seconds_of_packets_may_come_at_once_and_not_one_more() {
    let mut server = limited(10, 0);
    let (mut client, id) = server.join_raw();
    client.send(&burst(20));
    settle();
    arrive(&mut server, id, 20);
    let mut good = server.join_raw();
    is_closed(&mut server, &mut good, &burst(21), 20, "Too many packets per second");
}

#[test]
fn fragments_and_control_frames_are_packets() {
    let mut server = limited(10, 0);
    let mut good = server.join_raw();
    let reason = "Too many packets per second";
    is_closed(&mut server, &mut good, &masked(0x89, b"").repeat(21), 0, reason);
    is_closed(&mut server, &mut good, &masked(0x8a, b"").repeat(21), 0, reason);
    let fragments = [masked(0x02, b""), masked(0x00, b"").repeat(20)].concat();
    is_closed(&mut server, &mut good, &fragments, 0, reason);
}

#[test]
fn two_seconds_of_bytes_may_come_at_once_and_not_one_more() {
    let mut server = limited(0, 1000);
    let (mut client, id) = server.join_raw();
    client.send(&masked(0x82, &[7; 100]).repeat(20));
    assert_eq!(server.receive(20), vec![(id, vec![7; 100]); 20]);
    let mut good = server.join_raw();
    let reason = "Too many bytes per second";
    is_closed(
        &mut server,
        &mut good,
        &[masked(0x82, &[7; 2000]), masked(0x82, b"x")].concat(),
        1,
        reason,
    );
    // Found out before the frame is complete.
    is_closed(&mut server, &mut good, &masked(0x82, &[7; 60_000])[..2020], 0, reason);
    is_closed(&mut server, &mut good, &masked(0x89, &[7; 120]).repeat(17), 0, reason);
}

#[test]
fn who_keeps_to_the_rate_is_never_closed() {
    let mut server = limited(10, 40);
    let (mut client, id) = server.join_raw();
    for number in 0..100 {
        server.wait(SECOND / 10);
        client.send(&masked(0x82, &numbered(number, 4)));
        assert_eq!(server.receive(1), [(id, numbered(number, 4))]);
    }
    assert_eq!(server.events, []);
}

#[test]
fn silence_does_not_add_up() {
    let mut server = limited(10, 0);
    // It would take this one for dead.
    server.peer.config.keepalive = KeepaliveConfig::default();
    let (mut client, _) = server.join_raw();
    for _ in 0..1000 {
        server.wait(SECOND / 10);
        server.poll();
    }
    client.send(&burst(21));
    server.next_events();
    assert_eq!(server.take().len(), 20);
}

/// Joins, and lets the game stop for ten seconds in which `count` packets come.
#[track_caller]
fn stall(server: &mut Node, count: u32) -> (Raw, i32) {
    let (mut client, id) = server.join_raw();
    server.poll_for_nothing();
    client.send(&burst(count));
    settle();
    server.wait(STALL);
    (client, id)
}

#[test]
fn a_game_that_did_not_poll_for_ten_seconds_finds_its_packets_and_peers() {
    let mut server = limited(10, 40);
    let (mut good, good_id) = server.join_raw();
    let (mut client, id) = stall(&mut server, 100);
    arrive(&mut server, id, 100);
    server.plays_on(&mut client, id);
    server.plays_on(&mut good, good_id);
}

#[test]
fn also_when_the_poll_after_it_has_no_time_for_all_of_them() {
    let mut server = limited(10, 40);
    server.peer.budget.frames = 7;
    // Several, whose turns come in different polls.
    let mut clients: Vec<_> = (0..5).map(|_| server.join_raw()).collect();
    server.poll_for_nothing();
    for (client, _) in &mut clients {
        client.send(&burst(100));
    }
    settle();
    server.wait(STALL);
    let mut arrived = 0;
    eventually(|| {
        server.wait(FRAME);
        server.poll();
        arrived += server.take().len();
        arrived == 500
    });
    assert_eq!(server.events, []);
}

#[test]
fn who_sent_too_much_in_that_time_is_closed() {
    let mut server = limited(10, 0);
    let (mut client, _) = stall(&mut server, 121);
    server.next_events();
    assert_eq!(server.take().len(), 120);
    assert_eq!(client.frame(), Some((0x88, close_payload(1008, "Too many packets per second"))));
}

#[test]
fn a_game_that_took_no_packets_for_ten_seconds_finds_its_packets_and_peers() {
    let mut server = limited(10, 0);
    server.peer.waiting.packets = 5;
    let (mut client, id) = server.join_raw();
    server.poll_for_nothing();
    for number in 0..100 {
        client.send(&masked(0x82, &numbered(number, 4)));
        server.wait(SECOND / 10);
        server.poll();
        assert!(server.peer.available() <= 5);
    }
    arrive(&mut server, id, 100);
}

/// Newcomers for whom there is no time do not make a peer one that was not read from.
#[test]
fn a_rush_of_newcomers_is_no_excuse_for_a_peer() {
    let mut server = limited(10, 0);
    server.peer.set_handshake_timeout(Duration::from_secs(60));
    let (mut client, id) = server.join_raw();
    // One step of a handshake in each poll.
    server.peer.budget.handshakes = Duration::ZERO;
    let mut newcomers: Vec<_> = (0..4).map(|_| Raw::connect(server.port())).collect();
    server.poll_for_nothing();
    for _ in 0..100 {
        newcomers.iter_mut().for_each(|newcomer| newcomer.send(b"G"));
        settle();
        server.wait(SECOND / 10);
        server.poll();
    }
    client.send(&burst(21));
    eventually(|| {
        server.poll();
        server.events == [Event::PeerDisconnected(id)]
    });
    assert_eq!(server.take().len(), 20);
}

#[test]
fn a_client_limits_its_server_too() {
    let (mut client, _server) = raw_pair();
    client.peer.close();
    client.peer.config.inbound_packets_per_second = 10;
    let (listener, port) = support::listen();
    client.dial(port).unwrap();
    let mut server = support::raw_server(&mut client, &listener);
    // The id is a packet, too.
    server.send(&frame(0x82, &7_i32.to_le_bytes()));
    server.send(&frame(0x82, b"x").repeat(20));
    eventually(|| {
        client.poll();
        client.events.contains(&Event::PeerDisconnected(1))
    });
    assert_eq!(client.take().len(), 19);
    assert_eq!(client.peer.stats.closed_rate, 1);
    assert_eq!(server.frame(), Some((0x88, close_payload(1008, "Too many packets per second"))));
}
