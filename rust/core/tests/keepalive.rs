//! Pings of a multiplayer peer: who is there, who is not, and how far away.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Read;
use std::time::Duration;

use mio_websocket_core::config::KeepaliveConfig;
use mio_websocket_core::connection::Ending;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer, Status};
use support::{Node, Raw, frame, listen, masked, pair, raw_pair, raw_server, settle};

const INTERVAL: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);
/// What one poll after the other may be apart, so that all of the time counts.
const FRAME: Duration = Duration::from_millis(500);

/// Polls every half a second for `time`; how the first peer that went ended.
fn play(node: &mut Node, time: Duration) -> Option<Ending> {
    let mut ended = None;
    for _ in 0..time.as_millis() / FRAME.as_millis() {
        node.wait(FRAME);
        node.poll_with(|peer, event| {
            if let Event::PeerDisconnected(id) = event {
                ended = peer.ending(id);
            }
        });
    }
    ended
}

/// Plays until a ping is due; its payload.
#[track_caller]
fn ping(node: &mut Node, raw: &mut Raw) -> Vec<u8> {
    assert_eq!(play(node, INTERVAL), None);
    let (first, payload) = raw.frame().unwrap();
    assert_eq!((first, payload.len()), (0x89, 8));
    payload
}

fn round_trip(node: &Node, id: i32) -> Option<Duration> {
    Some(node.peer.connection(id).unwrap().borrow().round_trip()?.time)
}

fn on_client(peer: &mut MultiplayerPeer) {
    peer.keepalive_on_client = true;
}

#[test]
fn a_server_pings_and_measures_and_a_client_answers() {
    let (mut server, mut client, id) = pair();
    assert_eq!(round_trip(&server, id), None);
    for _ in 0..200 {
        server.wait(FRAME);
        server.poll();
        settle();
        client.poll();
        settle();
        server.poll();
    }
    assert_eq!((server.events.len(), client.events.len()), (0, 0));
    // Answered within the poll, for which the clock stands still.
    assert_eq!(round_trip(&server, id), Some(Duration::ZERO));
    assert_eq!(round_trip(&client, 1), None, "clients do not ask");
}

#[test]
fn the_first_ping_comes_after_the_interval_and_the_answer_is_timed() {
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    assert_eq!(play(&mut server, INTERVAL - INTERVAL / 10 - FRAME), None);
    assert!(raw.is_silent(), "too early");
    let first = ping(&mut server, &mut raw);
    // Not the answer.
    raw.send(&masked(0x8a, &[7; 8]));
    raw.send(&masked(0x8a, b""));
    settle();
    server.poll();
    assert_eq!(round_trip(&server, id), None);
    // Exactly at the poll of the ping the clock is not known here; one interval later it is.
    raw.send(&masked(0x8a, &first));
    settle();
    server.poll();
    let measured = round_trip(&server, id);
    assert!(measured.is_some());
    raw.send(&masked(0x8a, &first));
    settle();
    server.wait(FRAME);
    server.poll();
    assert_eq!(round_trip(&server, id), measured, "stale");
    assert_ne!(ping(&mut server, &mut raw), first, "each is new");
}

#[test]
fn who_says_nothing_is_gone_after_the_timeout() {
    let mut server = Node::server();
    let (_raw, id) = server.join_raw();
    assert_eq!(play(&mut server, TIMEOUT + INTERVAL - INTERVAL / 10 - FRAME), None);
    let ending = play(&mut server, INTERVAL / 10 + 2 * FRAME).unwrap();
    assert_eq!((ending.code, ending.was_clean), (1006, false));
    assert!(ending.reason.contains("heartbeat"), "{}", ending.reason);
    assert_eq!(server.events, [Event::PeerDisconnected(id)]);
    server.notes_once("heartbeat");
}

#[test]
fn who_says_anything_stays() {
    let mut server = Node::server();
    let (mut raw, _) = server.join_raw();
    for _ in 0..10 {
        raw.send(&masked(0x82, b"I am here and answer no pings"));
        settle();
        assert_eq!(play(&mut server, TIMEOUT - 2 * FRAME), None);
    }
    // Half a frame is a sign of life.
    raw.send(&masked(0x82, b"half")[..3]);
    settle();
    assert_eq!(play(&mut server, TIMEOUT - 2 * FRAME), None);
    assert!(play(&mut server, INTERVAL + 4 * FRAME).is_some());
}

#[test]
fn a_game_that_stands_still_kills_nobody() {
    let mut server = Node::server();
    let (mut answering, _) = server.join_raw();
    let (mut slow, _) = server.join_raw();
    let payload = ping(&mut server, &mut answering);
    assert!(slow.frame().is_some());
    // One has answered while nobody looked, the other one stood still as well.
    answering.send(&masked(0x8a, &payload));
    settle();
    server.wait(Duration::from_secs(600));
    assert_eq!(server.poll(), []);
    assert_eq!(play(&mut server, TIMEOUT - 2 * FRAME), None);
    for raw in [&mut answering, &mut slow] {
        raw.send(&masked(0x8a, b"late"));
    }
    settle();
    assert_eq!(play(&mut server, INTERVAL / 2), None);
    assert_eq!(server.events, []);
}

#[test]
fn a_client_notices_that_its_server_is_gone_if_it_is_told_to() {
    let (mut client, _raw) = raw_pair();
    assert_eq!(play(&mut client, 10 * TIMEOUT), None);
    assert!(client.is_connected(), "not told to");

    let (listener, port) = listen();
    let mut client = Node::client_with(port, on_client);
    let mut raw = raw_server(&mut client, &listener);
    raw.send(&frame(0x82, &[7, 0, 0, 0]));
    client.next_events();
    let payload = ping(&mut client, &mut raw);
    raw.send(&frame(0x8a, &payload));
    settle();
    client.poll();
    assert!(round_trip(&client, 1).is_some());
    let ending = play(&mut client, TIMEOUT + INTERVAL + FRAME).unwrap();
    assert_eq!((ending.code, client.peer.status()), (1006, Status::Disconnected));
    let error = client.peer.connection_error().unwrap();
    assert_eq!(error.phase.name(), "open");
}

#[test]
fn no_interval_means_no_pings() {
    let mut server = Node::server_with(|peer| peer.config.keepalive = KeepaliveConfig::default());
    let (raw, _) = server.join_raw();
    assert_eq!(play(&mut server, 10 * TIMEOUT), None);
    assert!(raw.is_silent());
}

#[test]
fn no_timeout_means_pings_alone() {
    let mut server = Node::server_with(|peer| peer.config.keepalive.timeout = Duration::ZERO);
    let (mut raw, _) = server.join_raw();
    assert_eq!(play(&mut server, 10 * TIMEOUT), None);
    let pings = std::iter::from_fn(|| (!raw.is_silent()).then(|| raw.frame().unwrap().0));
    assert!(pings.count() >= 30);
}

#[test]
fn pings_do_not_pile_up_for_one_who_reads_nothing() {
    let mut server = Node::server_with(|peer| {
        peer.config.keepalive = KeepaliveConfig { interval: FRAME, timeout: Duration::ZERO };
        peer.config.outbound_buffer_size = 1 << 24;
    });
    let (_raw, id) = server.join_slow();
    server.put(id, &[0; 1 << 23]).unwrap();
    server.peer.flush();
    server.poll_for_nothing();
    let before = server.buffered(id);
    assert!(before > 0, "all of it has been taken");
    assert_eq!(play(&mut server, 100 * FRAME), None);
    assert!(server.buffered(id) <= before, "{} {before}", server.buffered(id));
}

#[test]
fn who_still_takes_what_was_sent_stays() {
    let mut server = Node::server_with(|peer| peer.config.outbound_buffer_size = 1 << 25);
    let (mut raw, id) = server.join_slow();
    server.put(id, &vec![0; 1 << 24]).unwrap();
    server.peer.flush();
    server.poll_for_nothing();
    for _ in 0..10 {
        let before = server.buffered(id);
        assert!(before > 0, "all of it has been taken");
        // The kernel tells of room when there is much.
        let mut piece = vec![0; 1 << 19];
        raw.stream.read_exact(&mut piece).unwrap();
        settle();
        assert_eq!(play(&mut server, INTERVAL), None);
    }
    assert!(play(&mut server, TIMEOUT + 2 * INTERVAL).is_some());
}

#[test]
fn who_is_being_closed_is_not_pinged() {
    let (listener, port) = listen();
    let mut client = Node::client_with(port, |peer| {
        on_client(peer);
        peer.config.keepalive.interval = FRAME;
    });
    let mut raw = raw_server(&mut client, &listener);
    raw.send(&frame(0x82, &[7, 0, 0, 0]));
    client.next_events();
    client.peer.close_peer(1, 4000, "").unwrap();
    assert_eq!(raw.frame().unwrap().0, 0x88);
    for _ in 0..4 {
        client.wait(FRAME);
        raw.send(&frame(0x82, b"on its way"));
        settle();
        client.poll();
    }
    assert!(raw.is_silent());
}

#[test]
fn polls_between_the_pings_find_nothing_to_do_however_many_peers_there_are() {
    let mut server = Node::server();
    let _peers: Vec<_> = (0..200).map(|_| server.join_raw()).collect();
    server.poll_for_nothing();
    let time = server.peer.snapshot().polls.time();
    for _ in 0..1000 {
        server.wait(Duration::from_millis(10));
        server.poll();
    }
    assert_eq!(server.peer.snapshot().polls.time(), time, "nothing was timed");
    // One poll for each ping at most; in between they are idle.
    let mut busy = 0;
    for _ in 0..2000 {
        let before = server.peer.snapshot().polls.time();
        server.wait(Duration::from_millis(10));
        server.poll();
        busy += usize::from(server.peer.snapshot().polls.time() > before);
    }
    assert!((1..=200).contains(&busy), "{busy}");
    assert_eq!(server.events, []);
}
