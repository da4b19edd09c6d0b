//! A server that goes and tells its players beforehand.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::time::{Duration, Instant};

use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::Event;
use support::{Node, Raw, close_payload, eventually, listen, masked, pair, request, serve_on};

const SECOND: Duration = Duration::from_secs(1);

/// As the close code of the tests.
const CODE: u16 = 4123;

fn drain(server: &mut Node, seconds: f64) {
    server.peer.begin_drain(seconds, CODE.into(), "new version", server.clock).unwrap();
}

/// The head of the answer to one who asks now.
#[track_caller]
fn ask(server: &mut Node) -> String {
    let port = server.port();
    answer(server, Raw::connect(port))
}

#[track_caller]
fn answer(server: &mut Node, mut raw: Raw) -> String {
    raw.send(&request());
    server.run(std::thread::spawn(move || raw.head()))
}

#[track_caller]
fn assert_refused(head: &str, seconds: u32) {
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains(&format!("\r\nRetry-After: {seconds}\r\n")), "{head}");
}

/// Polls until a poll brings `event`; what came before it.
#[track_caller]
fn until_event(server: &mut Node, event: Event) -> Vec<Event> {
    eventually(|| {
        server.poll();
        server.events.contains(&event)
    });
    let mut events = std::mem::take(&mut server.events);
    assert_eq!(events.pop(), Some(event));
    events
}

#[test]
fn newcomers_are_told_when_to_come_again() {
    let mut server = Node::server();
    let early = Raw::connect(server.port());
    let (mut player, id) = server.join_raw();
    drain(&mut server, 29.5);
    assert!(server.peer.is_draining());
    // One was there before the drain and had not asked, one comes now.
    assert_refused(&answer(&mut server, early), 30);
    assert_refused(&ask(&mut server), 30);
    server.wait(20 * SECOND);
    assert_refused(&ask(&mut server), 10);
    assert_eq!((server.peer.stats.refused_draining, server.peer.stats.refused_full), (3, 0));
    server.plays_on(&mut player, id);
    assert_eq!(server.events, []);
    // The time is up, but the server is still there: nobody is to come at once.
    server.wait(10 * SECOND);
    assert_refused(&ask(&mut server), 1);
}

#[test]
fn half_a_request_before_the_drain_is_refused_when_it_is_whole() {
    let mut server = Node::server();
    let mut raw = Raw::connect(server.port());
    let request = request();
    raw.send(&request[..40]);
    server.poll_for_nothing();
    drain(&mut server, 5.0);
    raw.send(&request[40..]);
    let head = server.run(std::thread::spawn(move || raw.head()));
    assert_refused(&head, 5);
}

#[test]
fn who_is_still_there_is_closed_with_code_and_reason() {
    let mut server = Node::server();
    let (mut first, first_id) = server.join_raw();
    let (mut second, second_id) = server.join_raw();
    drain(&mut server, 10.0);
    server.wait(10 * SECOND - Duration::from_millis(1));
    server.plays_on(&mut first, first_id);
    assert_eq!(server.events, []);
    server.put(0, b"last words").unwrap();
    server.wait(Duration::from_millis(1));
    first.send(&masked(0x82, b"just in time"));
    support::settle();
    server.poll();
    assert_eq!(server.take(), [(first_id, b"just in time".to_vec())]);
    assert_eq!(server.events, []);
    assert_eq!(
        server.poll(),
        [Event::PeerDisconnected(first_id), Event::PeerDisconnected(second_id)]
    );
    for raw in [&mut first, &mut second] {
        assert_eq!(raw.frame(), Some((0x82, b"last words".to_vec())));
        assert_eq!(raw.frame(), Some((0x88, close_payload(CODE, "new version"))));
    }
    server.events.clear();
    // They have not ended their half of the connection: what was written may be on its way.
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    drop((first, second));
    assert_eq!(until_event(&mut server, Event::Drained), []);
    server.wait(20 * SECOND);
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    assert!(server.peer.is_draining());
}

/// Somebody has been let in, and a poll that may not read anything does not know of it yet.
#[test]
fn who_was_let_in_before_the_drain_has_to_leave() {
    let mut server = Node::server_with(|peer| peer.admission.asks_owner = true);
    let mut raw = Raw::connect(server.port());
    raw.send(&request());
    let [Event::ClientRequest(serial)] = server.next_events()[..] else { panic!() };
    server.events.clear();
    let accepted = server.peer.take_request(serial).unwrap();
    accepted.accept(&[], "", server.clock).unwrap();
    drain(&mut server, 0.0);
    let budget = server.peer.budget;
    server.peer.budget.frames = 0;
    server.poll_for_nothing();
    assert_eq!(server.events, [], "it is not over");
    server.peer.budget = budget;
    let [Event::PeerConnected(id)] = server.next_events()[..] else { panic!() };
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame(), Some((0x82, id.to_le_bytes().to_vec())));
    assert_eq!(raw.frame(), Some((0x88, close_payload(CODE, "new version"))));
    drop(raw);
    server.events.clear();
    assert_eq!(until_event(&mut server, Event::Drained), []);
}

/// One that does not answer the close frame, reads nothing and stays connected.
#[test]
fn a_player_who_never_leaves_does_not_hold_the_server() {
    let mut server = Node::server();
    let (_slow, id) = server.join_slow();
    while server.put(id, &[0; 30_000]).is_ok() {
        server.peer.flush();
    }
    drain(&mut server, 1.0);
    server.wait(SECOND);
    server.poll();
    assert_eq!(server.poll(), [Event::PeerDisconnected(id)]);
    server.events.clear();
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    // The close timeout.
    server.wait(3 * SECOND + Duration::from_millis(1));
    assert_eq!(until_event(&mut server, Event::Drained), []);
}

#[test]
fn when_all_leave_by_themselves_it_is_over_before_the_time() {
    let mut server = Node::server();
    let (mut player, id) = server.join_raw();
    drain(&mut server, 60.0);
    player.send(&masked(0x88, &close_payload(1000, "")));
    drop(player);
    assert_eq!(until_event(&mut server, Event::Drained), [Event::PeerDisconnected(id)]);
    server.wait(60 * SECOND);
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    assert_refused(&ask(&mut server), 1);
}

#[test]
fn when_nobody_is_there_it_is_over_in_the_next_poll() {
    let mut server = Node::server();
    drain(&mut server, 60.0);
    assert_eq!(server.poll(), [Event::Drained]);
    assert_eq!(server.poll(), []);
    // Whoever waits for an answer is no player.
    let _silent = Raw::connect(server.port());
    server.poll_for_nothing();
    drain(&mut server, 60.0);
    assert_eq!(server.poll(), [Event::Drained]);
}

#[test]
fn without_time_players_get_their_packets_and_then_the_close() {
    let mut server = Node::server();
    let (mut player, id) = server.join_raw();
    drain(&mut server, 0.0);
    server.put(0, b"bye").unwrap();
    server.poll();
    assert_eq!(server.poll(), [Event::PeerDisconnected(id)]);
    assert_eq!(player.frame(), Some((0x82, b"bye".to_vec())));
    assert_eq!(player.frame(), Some((0x88, close_payload(CODE, "new version"))));
    assert_eq!(player.frame(), None);
}

#[test]
fn many_are_closed_in_several_polls() {
    let mut server = Node::server();
    let mut players: Vec<_> = (0..300).map(|_| server.join_raw()).collect();
    drain(&mut server, 0.0);
    let closed = |server: &mut Node| {
        server.events.clear();
        server.poll();
        server.events.len()
    };
    assert_eq!([closed(&mut server), closed(&mut server)], [0, 256]);
    // The others were still there.
    assert_eq!(closed(&mut server), 44);
    for (player, _) in &mut players {
        assert_eq!(player.frame(), Some((0x88, close_payload(CODE, "new version"))));
    }
    drop(players);
    assert_eq!(until_event(&mut server, Event::Drained).len(), 44);
}

#[test]
fn our_client_sees_code_and_reason() {
    let (mut server, mut client, id) = pair();
    drain(&mut server, 0.0);
    let mut seen = None;
    eventually(|| {
        server.poll();
        client.poll_with(|peer, _| {
            let connection = peer.connection(1).unwrap().borrow();
            seen = Some((connection.close_code(), connection.close_reason().to_owned()));
        });
        server.events.contains(&Event::Drained)
    });
    eventually(|| {
        client.poll_with(|peer, _| {
            let connection = peer.connection(1).unwrap().borrow();
            seen = Some((connection.close_code(), connection.close_reason().to_owned()));
        });
        seen.is_some()
    });
    assert_eq!(seen, Some((CODE.into(), "new version".to_owned())));
    assert_eq!(server.events, [Event::PeerDisconnected(id), Event::Drained]);
}

#[test]
fn a_drain_can_be_cancelled() {
    let mut server = Node::server();
    let (mut player, id) = server.join_raw();
    drain(&mut server, 5.0);
    assert_refused(&ask(&mut server), 5);
    server.peer.cancel_drain();
    assert!(!server.peer.is_draining());
    let (_other, _) = server.join_raw();
    server.wait(10 * SECOND);
    server.plays_on(&mut player, id);
    assert_eq!(server.events, []);
    // Also by the handler of an event that came with the end.
    let mut empty = Node::server();
    drain(&mut empty, 5.0);
    empty.peer.poll(empty.clock, false);
    empty.peer.cancel_drain();
    assert_eq!(empty.peer.next_event(), None);
    // There is nothing to cancel.
    empty.peer.cancel_drain();
    Node::new().peer.cancel_drain();
}

#[test]
fn a_second_drain_takes_the_place_of_the_first() {
    let mut server = Node::server();
    let (mut player, id) = server.join_raw();
    drain(&mut server, 5.0);
    server.peer.begin_drain(15.0, 1012, "later", server.clock).unwrap();
    assert_refused(&ask(&mut server), 15);
    server.wait(14 * SECOND);
    server.plays_on(&mut player, id);
    assert_eq!(server.events, []);
    server.wait(SECOND);
    server.poll();
    assert_eq!(server.poll(), [Event::PeerDisconnected(id)]);
    assert_eq!(player.frame(), Some((0x88, close_payload(1012, "later"))));
    drop(player);
    server.events.clear();
    assert_eq!(until_event(&mut server, Event::Drained), []);
    // After the end of one: nobody is left, which is told anew.
    drain(&mut server, 5.0);
    assert_eq!(server.poll(), [Event::Drained]);
}

#[test]
fn a_call_that_cannot_be_leaves_a_drain_as_it_is() {
    let mut server = Node::server();
    drain(&mut server, 5.0);
    let begin = |server: &mut Node, seconds: f64, code: i64| {
        server.peer.begin_drain(seconds, code, "", server.clock)
    };
    assert_eq!(begin(&mut server, -1.0, 1001), Err(Error::Seconds));
    assert_eq!(begin(&mut server, f64::NAN, 1001), Err(Error::Seconds));
    assert_eq!(begin(&mut server, 1.0, 1005), Err(Error::CloseCode(1005)));
    assert_refused(&ask(&mut server), 5);
    let mut idle = Node::new();
    assert_eq!(begin(&mut idle, 1.0, 1001), Err(Error::Unconfigured));
    let (_listener, port) = listen();
    let mut client = Node::client(port);
    assert_eq!(begin(&mut client, 1.0, 1001), Err(Error::Unconfigured));
    assert!(!idle.peer.is_draining() && !client.peer.is_draining());
}

#[test]
fn a_drain_ends_with_its_session() {
    let mut server = Node::server();
    let (mut player, _) = server.join_raw();
    drain(&mut server, 5.0);
    server.peer.close();
    assert!(!server.peer.is_draining());
    assert_eq!(player.frame(), Some((0x88, close_payload(1001, ""))));
    server.wait(10 * SECOND);
    assert_eq!(server.poll(), []);
    serve_on(&mut server.peer, 0, "127.0.0.1", server.clock).unwrap();
    assert!(!server.peer.is_draining());
    let (mut player, id) = server.join_raw();
    server.wait(10 * SECOND);
    server.plays_on(&mut player, id);
    assert_eq!(server.events, []);
}

/// Who would be left waiting by `refuse_new_connections` is told that the server goes.
#[test]
fn a_drain_answers_those_who_are_refused_silently_otherwise() {
    let mut server = Node::server();
    server.refuse = true;
    let raw = Raw::connect(server.port());
    server.poll_for_nothing();
    assert!(raw.is_silent());
    drain(&mut server, 5.0);
    assert_refused(&answer(&mut server, raw), 5);
    server.peer.cancel_drain();
    let mut raw = Raw::connect(server.port());
    raw.send(&request());
    server.poll_for_nothing();
    assert!(raw.is_silent());
}

#[test]
fn a_peer_that_was_told_to_go_before_is_told_once() {
    let mut server = Node::server();
    let (mut player, id) = server.join_raw();
    let (mut forced, forced_id) = server.join_raw();
    drain(&mut server, 5.0);
    server.peer.disconnect_peer(id, false).unwrap();
    server.peer.disconnect_peer(forced_id, true).unwrap();
    server.wait(5 * SECOND);
    assert_eq!(server.poll(), [Event::PeerDisconnected(id)]);
    server.poll_for_nothing();
    assert_eq!(server.events, [Event::PeerDisconnected(id)]);
    for raw in [&mut player, &mut forced] {
        assert_eq!(raw.frame(), Some((0x88, close_payload(1000, ""))));
        assert_eq!(raw.frame(), None);
    }
    server.events.clear();
    drop((player, forced));
    until_event(&mut server, Event::Drained);
}

#[test]
fn a_handler_may_close_or_start_anew_when_it_is_over() {
    let mut server = Node::server();
    drain(&mut server, 5.0);
    let events = server.poll_with(|peer, event| {
        assert_eq!(event, Event::Drained);
        peer.close();
        serve_on(peer, 0, "127.0.0.1", Instant::now()).unwrap();
    });
    assert_eq!(events, [Event::Drained]);
    assert!(!server.peer.is_draining());
    server.join_raw();
}
