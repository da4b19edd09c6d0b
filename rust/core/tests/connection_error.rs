//! Why a client has no connection, and how long each phase of the way to it may take.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::time::Duration;

use mio_websocket_core::config::{BODY_TIMEOUT, PhaseTimeouts};
use mio_websocket_core::connection::Target;
use mio_websocket_core::dial::Resolve;
use mio_websocket_core::error::Phase;
use mio_websocket_core::multiplayer::{ConnectionError, MultiplayerPeer, Status};
use mio_websocket_core::tls::{ClientOptions, Trust};
use mio_websocket_core::upgrade::MAX_BODY;
use support::{
    Deaf, Node, Raw, Script, TOO_LONG, accept, close_payload, eventually, frame, listen, raw_pair,
    raw_server, settle,
};

const TIMEOUT: Duration = Duration::from_millis(500);

/// Polls until the client has given up; why.
#[track_caller]
fn error(client: &mut Node) -> ConnectionError {
    eventually(|| {
        client.poll();
        client.peer.status() == Status::Disconnected
    });
    client.peer.connection_error().unwrap().clone()
}

#[track_caller]
fn check(error: &ConnectionError, phase: Phase, cause: &str) {
    assert_eq!((error.phase, error.status, error.body.as_str()), (phase, 0, ""));
    assert!(error.message.contains(cause), "{}", error.message);
}

/// A client whose request is answered with `answer`.
fn answered(answer: &[u8]) -> (Node, Raw) {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    client.poll();
    let mut server = Raw::new(accept(&listener));
    client.poll();
    server.head();
    server.send(answer);
    settle();
    (client, server)
}

fn refused(error: &ConnectionError) -> (Phase, u16, &str) {
    assert!(error.message.contains(&error.status.to_string()), "{}", error.message);
    (error.phase, error.status, &error.body)
}

fn named(url: &str, resolver: impl Resolve + 'static, timeouts: PhaseTimeouts) -> Node {
    let mut client = Node::new();
    client.peer.phase_timeouts = timeouts;
    support::dial(&mut client.peer, url, |_| Box::new(resolver), client.clock).unwrap();
    client
}

#[test]
fn a_name_without_an_address() {
    let script = Script([Some(Err("no such name".to_owned()))].into());
    let mut client = named("ws://game.test/", script, PhaseTimeouts::default());
    check(&error(&mut client), Phase::Resolve, "no such name");
}

#[test]
fn a_port_that_nobody_listens_on_and_the_next_try() {
    let port = listen().1;
    let mut client = Node::client(port);
    check(&error(&mut client), Phase::Connect, "refused");
    client.peer.close();
    assert!(client.peer.connection_error().is_some(), "still there to be asked for");
    client.dial(Node::server().port()).unwrap();
    assert_eq!(client.peer.connection_error(), None);
}

#[test]
fn a_server_that_does_not_speak_tls() {
    let (listener, port) = listen();
    let mut client = Node::new();
    let tls =
        || Ok(ClientOptions { trust: Trust::Anyone, check_name: false, name: None, tls13: true });
    let url = format!("wss://127.0.0.1:{port}/");
    let target = Target::new(&url, |_| panic!("no name"), tls).unwrap();
    client.peer.create_client(target, client.clock).unwrap();
    client.poll();
    let mut server = Raw::new(accept(&listener));
    server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    check(&error(&mut client), Phase::Tls, "");
}

#[test]
fn a_refusal_comes_with_its_status_and_body() {
    let (mut client, _server) =
        answered(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nbanned and more");
    client.poll();
    assert_eq!(client.peer.status(), Status::Disconnected, "at once");
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 403, "banned"));

    let chunked = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n0\r\n\r\n";
    let (mut client, _server) = answered(chunked);
    client.poll();
    assert_eq!(client.peer.status(), Status::Disconnected, "at once");
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 503, "full"));

    let (mut client, _server) = answered(b"HTTP/1.1 204 No Content\r\n\r\n");
    client.poll();
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 204, ""));
}

#[test]
fn a_refusal_ends_with_the_stream() {
    let (mut client, server) = answered(b"HTTP/1.0 404 Not Found\r\n\r\nno such game");
    client.poll();
    assert_eq!(client.peer.status(), Status::Connecting, "there may be more");
    server.end();
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 404, "no such game"));
    let (mut client, server) = answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\ncut");
    server.end();
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 404, "cut"));
}

#[test]
fn a_refusal_that_does_not_end_is_not_awaited_for_long() {
    let (mut client, mut server) = answered(b"HTTP/1.1 429 Slow\r\nContent-Length: 99\r\n\r\nslow");
    client.poll();
    client.wait(BODY_TIMEOUT);
    server.send(b"er");
    settle();
    client.poll();
    assert_eq!(client.peer.status(), Status::Connecting, "the last moment");
    client.wait(Duration::from_millis(1));
    client.poll();
    assert_eq!(client.peer.status(), Status::Disconnected);
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 429, "slower"));
}

#[test]
fn a_refusal_does_not_prolong_the_handshake() {
    let (mut client, server) = answered(b"");
    client.wait(TOO_LONG - Duration::from_millis(2));
    let mut server = server;
    server.send(b"HTTP/1.1 500 Oops\r\n\r\n");
    settle();
    client.poll();
    assert_eq!(client.peer.status(), Status::Connecting);
    client.wait(Duration::from_millis(2));
    client.poll();
    assert_eq!(client.peer.status(), Status::Disconnected);
    assert_eq!(refused(&error(&mut client)), (Phase::Upgrade, 500, ""));
}

#[test]
fn a_refusal_is_cut() {
    let body = "é".repeat(MAX_BODY);
    let (mut client, _server) = answered(format!("HTTP/1.1 403 No\r\n\r\n{body}").as_bytes());
    let error = error(&mut client);
    assert_eq!(refused(&error), (Phase::Upgrade, 403, &body[..MAX_BODY]));
    let line = client.peer.next_notice().unwrap().text;
    assert!(line.contains("403") && !line.contains('é'), "{line}");
}

#[test]
fn an_answer_that_is_no_refusal_has_no_status() {
    let (mut client, _server) = answered(b"hello\r\n\r\n");
    check(&error(&mut client), Phase::Upgrade, "malformed answer");
    let (mut client, server) = answered(b"");
    server.end();
    check(&error(&mut client), Phase::Upgrade, "without a close frame");
}

#[test]
fn a_server_that_lets_in_and_shows_out() {
    for (first, cause) in [
        (frame(0x88, &close_payload(4001, "banned")), "code 4001: banned"),
        (frame(0x88, &[]), "code 1005"),
        (frame(0x82, &[1, 0, 0, 0]), "not a valid id"),
        (frame(0x83, b"?"), "close code 1002"),
    ] {
        let (listener, port) = listen();
        let mut client = Node::client(port);
        let mut server = raw_server(&mut client, &listener);
        server.send(&first);
        check(&error(&mut client), Phase::Id, cause);
        assert_eq!(client.events, []);
    }
    let (listener, port) = listen();
    let mut client = Node::client(port);
    let _server = raw_server(&mut client, &listener);
    client.poll_for_nothing();
    client.wait(TOO_LONG);
    check(&error(&mut client), Phase::Id, "took too long");
}

#[test]
fn a_server_that_is_lost_without_a_close() {
    let (mut client, server) = raw_pair();
    server.reset();
    check(&error(&mut client), Phase::Open, "");
    let (mut client, mut server) = raw_pair();
    server.send(&frame(0x83, b"?"));
    check(&error(&mut client), Phase::Open, "close code 1002");
}

#[test]
fn a_server_has_no_such_error() {
    let mut server = Node::server();
    let (raw, _) = server.join_raw();
    raw.reset();
    server.next_events();
    assert_eq!(server.peer.connection_error(), None);
}

/// Up to its limit the phase goes on, behind it the client fails in it.
#[track_caller]
fn ends_in_time(client: &mut Node, phase: Phase) {
    client.poll_for_nothing();
    client.wait(TIMEOUT);
    client.poll();
    assert_eq!(client.peer.status(), Status::Connecting, "{phase:?}");
    client.wait(Duration::from_millis(1));
    client.poll();
    assert_eq!(client.peer.status(), Status::Disconnected, "{phase:?}");
    check(&error(client), phase, "took too long");
}

#[test]
fn a_name_has_its_time() {
    let timeouts = PhaseTimeouts { resolve: TIMEOUT, ..PhaseTimeouts::default() };
    let mut client = named("ws://game.test/", Script([None].into()), timeouts);
    ends_in_time(&mut client, Phase::Resolve);
}

#[cfg_attr(not(target_os = "linux"), ignore = "a full queue answers elsewhere")]
#[test]
fn a_tcp_connection_has_its_time_and_a_name_none() {
    let deaf = Deaf::new(([127, 0, 0, 1], 0).into());
    let timeouts = PhaseTimeouts { connect: TIMEOUT, ..PhaseTimeouts::default() };
    let url = format!("ws://game.test:{}/", deaf.port());
    let found = Some(Ok(vec![[127, 0, 0, 1].into()]));
    let mut client = named(&url, Script([None, None, found].into()), timeouts);
    client.poll();
    client.wait(2 * TIMEOUT);
    client.poll();
    assert_eq!(client.peer.status(), Status::Connecting);
    ends_in_time(&mut client, Phase::Connect);
}

#[test]
fn tls_and_the_upgrade_have_their_times() {
    let set = |peer: &mut MultiplayerPeer| {
        peer.phase_timeouts = PhaseTimeouts {
            connect: Duration::from_secs(1),
            tls: TIMEOUT,
            upgrade: TIMEOUT,
            ..PhaseTimeouts::default()
        };
    };
    let (listener, port) = listen();
    let mut client = Node::client_with(port, set);
    client.poll();
    let _server = accept(&listener);
    ends_in_time(&mut client, Phase::Upgrade);

    let mut client = Node::new();
    set(&mut client.peer);
    let tls =
        || Ok(ClientOptions { trust: Trust::Anyone, check_name: false, name: None, tls13: true });
    let url = format!("wss://127.0.0.1:{port}/");
    let target = Target::new(&url, |_| panic!("no name"), tls).unwrap();
    client.peer.create_client(target, client.clock).unwrap();
    client.poll();
    let _server = accept(&listener);
    ends_in_time(&mut client, Phase::Tls);
}

#[test]
fn who_is_in_has_no_limit_any_more() {
    let server = Node::server();
    let mut client = Node::client_with(server.port(), |peer| {
        peer.phase_timeouts = PhaseTimeouts { upgrade: TIMEOUT, ..PhaseTimeouts::default() };
    });
    let mut server = server;
    eventually(|| {
        server.poll();
        client.poll();
        client.is_connected()
    });
    client.wait(10 * TIMEOUT);
    client.poll_for_nothing();
    assert!(client.is_connected());
}
