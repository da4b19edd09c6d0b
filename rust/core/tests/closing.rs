//! Ends with a code and a reason, told on both sides.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use mio_websocket_core::connection::Ending;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, Status};
use support::{Node, Raw, close_payload, frame, masked, pair, raw_pair, until};

/// Polls until a peer has gone; who, and how it ended.
#[track_caller]
fn next_ending(node: &mut Node) -> (i32, Ending) {
    until(|| {
        let mut ended = None;
        node.poll_with(|peer, event| {
            if let Event::PeerDisconnected(id) = event {
                ended = peer.ending(id).map(|ending| (id, ending));
            }
        });
        ended
    })
}

fn clean(code: u16, reason: &str) -> Ending {
    Ending { code, reason: reason.to_owned(), was_clean: true }
}

fn connection_error(node: &Node) -> bool {
    node.peer.connection_error().is_some()
}

#[test]
fn a_server_shows_a_player_out_with_code_and_reason() {
    let (mut server, mut client, id) = pair();
    server.put(id, b"last words").unwrap();
    server.peer.close_peer(id, 4001, "banned").unwrap();
    assert_eq!(next_ending(&mut server), (id, clean(4001, "banned")));
    assert_eq!(client.receive(1), [(1, b"last words".to_vec())]);
    assert_eq!(next_ending(&mut client), (1, clean(4001, "banned")));
    assert_eq!(client.peer.status(), Status::Disconnected);
    assert!(!connection_error(&client), "a close is no error");
    assert_eq!(server.peer.ending(id), None, "forgotten");
}

#[test]
fn a_player_leaves_with_code_and_reason() {
    let (mut server, mut client, id) = pair();
    client.peer.close_peer(1, 3000, "bedtime").unwrap();
    assert_eq!(next_ending(&mut server), (id, clean(3000, "bedtime")));
    assert_eq!(next_ending(&mut client), (1, clean(3000, "bedtime")));
    assert!(!connection_error(&client));
}

#[test]
fn a_plain_disconnection_is_a_normal_end() {
    let (mut server, mut client, id) = pair();
    server.peer.disconnect_peer(id, false).unwrap();
    assert_eq!(next_ending(&mut server), (id, clean(1000, "")));
    assert_eq!(next_ending(&mut client), (1, clean(1000, "")));
}

#[test]
fn a_server_that_stops_is_going_away() {
    let (mut server, mut client, _) = pair();
    server.peer.close();
    assert_eq!(next_ending(&mut client), (1, clean(1001, "")));
}

#[test]
fn the_close_frame_says_what_was_asked_for() {
    let mut server = Node::server();
    for (code, reason, sent) in [
        (1000, "", ""),
        (1014, "x", "x"),
        (4999, "é".repeat(100).as_str(), "é".repeat(61).as_str()),
    ] {
        let (mut raw, id) = server.join_raw();
        server.peer.close_peer(id, code, reason).unwrap();
        let code = u16::try_from(code).unwrap();
        assert_eq!(raw.frame(), Some((0x88, close_payload(code, sent))));
        assert_eq!(next_ending(&mut server), (id, clean(code, sent)));
    }
}

#[test]
fn a_code_that_must_not_be_sent_changes_nothing() {
    let (mut server, mut client, id) = pair();
    for code in [i64::MIN, -1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 66_536, i64::MAX] {
        assert_eq!(server.peer.close_peer(id, code, ""), Err(Error::CloseCode(code)));
        assert_eq!(client.peer.close_peer(1, code, ""), Err(Error::CloseCode(code)));
    }
    for unknown in [0, 1, id - 1, -id] {
        let refused = server.peer.close_peer(unknown, 1000, "");
        assert_eq!(refused, Err(Error::UnknownPeer(unknown)));
    }
    assert_eq!(client.peer.close_peer(id, 1000, ""), Err(Error::UnknownPeer(id)));
    assert_eq!(Node::new().peer.close_peer(1, 1000, ""), Err(Error::UnknownPeer(1)));
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    server.put(id, b"still there").unwrap();
    assert_eq!(client.receive(1).len(), 1);
}

#[test]
fn what_the_other_side_sends_is_told() {
    for (payload, ending) in [
        (close_payload(4001, "bye"), clean(4001, "bye")),
        (close_payload(1001, ""), clean(1001, "")),
        (Vec::new(), clean(1005, "")),
    ] {
        let mut server = Node::server();
        let (mut raw, id) = server.join_raw();
        raw.send(&masked(0x88, &payload));
        assert_eq!(next_ending(&mut server), (id, ending.clone()));
        let (mut client, mut raw) = raw_pair();
        raw.send(&frame(0x88, &payload));
        assert_eq!(next_ending(&mut client), (1, ending));
        assert!(!connection_error(&client));
    }
}

#[test]
fn an_end_without_a_close_frame_is_told() {
    let ways: [fn(Raw); 2] = [|raw| raw.end(), Raw::reset];
    for way in ways {
        let mut server = Node::server();
        let (raw, id) = server.join_raw();
        way(raw);
        let (gone, ending) = next_ending(&mut server);
        assert_eq!((gone, ending.code, ending.was_clean), (id, 1006, false));
        assert!(!ending.reason.is_empty());
    }
}

#[test]
fn a_broken_rule_is_told_with_its_cause() {
    let mut server = Node::server();
    for (bytes, code, cause) in [
        (frame(0x82, b"unmasked"), 1002, "masked"),
        (masked(0x82, &[0; 70_000]), 1009, "inbound_buffer_size"),
    ] {
        let (mut raw, id) = server.join_raw();
        raw.send(&bytes);
        let (gone, ending) = next_ending(&mut server);
        assert_eq!((gone, ending.code, ending.was_clean), (id, code, false));
        assert!(ending.reason.contains(cause), "{}", ending.reason);
    }
}

#[test]
fn who_closes_first_is_told_what_it_said() {
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    raw.send(&masked(0x88, &close_payload(4002, "theirs")));
    server.peer.close_peer(id, 4001, "ours").unwrap();
    server.peer.close_peer(id, 4003, "again").unwrap();
    assert_eq!(next_ending(&mut server), (id, clean(4001, "ours")));
    // A client, which waits for the answer, and gets none.
    let (mut client, raw) = raw_pair();
    client.peer.close_peer(1, 4001, "ours").unwrap();
    raw.reset();
    assert_eq!(next_ending(&mut client), (1, clean(4001, "ours")));
    assert!(!connection_error(&client));
}

#[test]
fn a_view_closes_as_its_owner_does() {
    for (code, ending) in [
        (4007, clean(4007, "kicked")),
        (0, clean(1005, "")),
        (-1, Ending { code: 1006, reason: String::new(), was_clean: false }),
    ] {
        let (mut server, _client, id) = pair();
        server.peer.view(id).unwrap().close(code, "kicked");
        assert_eq!(next_ending(&mut server), (id, ending));
    }
}

#[test]
fn who_is_forced_out_is_not_told_of() {
    let (mut server, mut client, id) = pair();
    server.peer.disconnect_peer(id, true).unwrap();
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    assert_eq!(next_ending(&mut client), (1, clean(1000, "")));
}

#[test]
fn an_event_is_not_due_any_more_when_a_handler_has_ended_the_session() {
    let (mut server, client, id) = pair();
    drop(client);
    let event = until(|| {
        server.peer.poll(server.clock, false);
        server.peer.next_event()
    });
    assert_eq!(event.event, Event::PeerDisconnected(id));
    assert!(server.peer.is_due(&event));
    server.peer.close();
    assert!(!server.peer.is_due(&event));
}

#[test]
fn a_client_that_gives_up_has_no_error() {
    let (listener, port) = support::listen();
    let mut client = Node::client(port);
    client.poll();
    let _raw = support::accept(&listener);
    client.peer.close_peer(1, 4000, "never mind").unwrap();
    client.poll_for_nothing();
    assert_eq!((client.peer.status(), connection_error(&client)), (Status::Disconnected, false));
    assert_eq!(client.events, []);
}
