//! A game that did not poll for a while, as one that loads a scene: what came in time counts.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use mio_websocket_core::config::PhaseTimeouts;
use mio_websocket_core::connection::State;
use mio_websocket_core::error::Phase;
use mio_websocket_core::multiplayer::{Event, Status};
use support::{
    Node, Raw, TOO_LONG, accept, alone_and_raw, answer, close_payload, eventually, frame, listen,
    settle,
};

/// What a server answers to a request.
type Part = fn(&str) -> Vec<u8>;

/// A client that has sent its request, and its server, which sends `parts` then.
fn answered(timeouts: PhaseTimeouts, parts: &[Part]) -> (Node, Raw) {
    let (listener, port) = listen();
    let mut client = Node::client_with(port, |peer| peer.phase_timeouts = timeouts);
    client.poll();
    let mut server = Raw::new(accept(&listener));
    client.poll();
    let request = server.head();
    for part in parts {
        server.send(&part(&request));
    }
    settle();
    (client, server)
}

fn upgrade(request: &str) -> Vec<u8> {
    answer(request).into_bytes()
}

fn id(_request: &str) -> Vec<u8> {
    frame(0x82, &7_i32.to_le_bytes())
}

#[test]
fn a_client_finds_the_answer_and_the_id() {
    let upgrade_limit = Duration::from_secs(1);
    let timeouts = PhaseTimeouts { upgrade: upgrade_limit, ..PhaseTimeouts::default() };
    for timeouts in [PhaseTimeouts::default(), timeouts] {
        let (mut client, _server) = answered(timeouts, &[upgrade, id]);
        client.wait(TOO_LONG);
        assert_eq!(client.poll(), [Event::PeerConnected(1)]);
        assert_eq!((client.peer.status(), client.peer.unique_id()), (Status::Connected, 7));
    }
}

#[test]
fn a_client_without_an_id_is_late_all_the_same() {
    let parts: [&[Part]; 2] = [&[upgrade], &[]];
    for (parts, phase) in parts.into_iter().zip([Phase::Id, Phase::Upgrade]) {
        let (mut client, _server) = answered(PhaseTimeouts::default(), parts);
        client.wait(TOO_LONG);
        assert_eq!(client.poll(), []);
        assert_eq!(client.peer.status(), Status::Disconnected);
        assert_eq!(client.peer.connection_error().unwrap().phase, phase);
    }
}

#[test]
fn a_server_that_goes_on_sending_wins_no_time() {
    let (mut client, mut server) = answered(PhaseTimeouts::default(), &[]);
    client.wait(TOO_LONG);
    server.send(b"HTTP/1.1 101 Switching Protocols\r\n");
    settle();
    client.poll();
    assert_eq!(client.peer.status(), Status::Disconnected);
}

#[test]
fn the_answer_to_a_close_frame_is_found() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    let now = Instant::now();
    peer.close(4001, "bye");
    peer.poll(now);
    let (code, payload) = server.frame().unwrap();
    assert_eq!((code, &payload), (0x88, &close_payload(4001, "bye")));
    server.send(&frame(0x88, &payload));
    settle();
    peer.poll(now + Duration::from_secs(4));
    assert_eq!(peer.connection().unwrap().borrow().close_code(), 4001);
}

#[test]
fn it_is_found_behind_much_else_but_not_for_ever() {
    for (count, code) in [(600, 4001), (0, -1)] {
        let (mut peer, mut server) = alone_and_raw(|_| {});
        let mut now = Instant::now();
        peer.close(4001, "bye");
        peer.poll(now);
        let (_, payload) = server.frame().unwrap();
        let much = frame(0x82, &[7; 1000]).repeat(600);
        let mut sender = server.stream.try_clone().unwrap();
        let script = std::thread::spawn(move || {
            // The connection may be ended while this is sent.
            let _ = sender.write_all(&much);
            if count > 0 {
                let _ = sender.write_all(&frame(0x88, &payload));
            }
            while count == 0 && sender.write_all(&much).is_ok() {}
        });
        settle();
        now += Duration::from_secs(4);
        eventually(|| {
            peer.poll(now);
            now += Duration::from_millis(10);
            peer.state() == State::Closed
        });
        assert_eq!(peer.connection().unwrap().borrow().close_code(), code);
        drop(server);
        script.join().unwrap();
    }
}

#[test]
fn a_pong_behind_packets_that_nobody_takes_is_not_missed() {
    let (mut peer, mut server) = alone_and_raw(|config| config.max_queued_packets = 3);
    let second = Duration::from_secs(1);
    peer.set_heartbeat(second);
    let mut now = Instant::now();
    eventually(|| {
        peer.poll(now);
        !server.is_silent()
    });
    assert_eq!(server.frame(), Some((0x89, vec![])));
    server.send(&[frame(0x82, b"x").repeat(4), frame(0x8a, b"")].concat());
    settle();
    for _ in 0..3 {
        now += second + Duration::from_millis(1);
        peer.poll(now);
    }
    assert_eq!(peer.state(), State::Open);
    // When they have been taken, the pong is there; the next is awaited.
    let mut taken = 0;
    eventually(|| {
        peer.poll(now);
        taken += usize::from(peer.receive().is_some());
        taken == 4
    });
    now += second + Duration::from_millis(1);
    peer.poll(now);
    assert_eq!(server.frame(), Some((0x89, vec![])));
    now += second + Duration::from_millis(1);
    peer.poll(now);
    assert_eq!(peer.state(), State::Closed);
}
