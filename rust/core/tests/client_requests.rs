//! Requests of which the owner of the server decides: at once, later, or never.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;
mod tls_support;

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use mio_websocket_core::config::DEFAULT_HANDSHAKE_TIMEOUT;
use mio_websocket_core::connection::ClientRequest;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer};
use mio_websocket_core::notice::Severity;
use mio_websocket_core::tls::TlsFacts;
use mio_websocket_core::upgrade::HeaderError;
use support::{HEADERS, Node, PATIENCE, Raw, TOO_LONG, eventually, masked, settle, until};
use tls_support::{Identity, NAME, VERSIONS, foreign_client};

fn server() -> Node {
    server_with(|_| {})
}

fn server_with(setup: impl FnOnce(&mut MultiplayerPeer)) -> Node {
    Node::server_with(|peer| {
        peer.budget.time = PATIENCE;
        peer.budget.handshakes = PATIENCE;
        peer.admission.asks_owner = true;
        setup(peer);
    })
}

/// A client that has asked for `target` with some header lines more.
fn ask(server: &Node, target: &str, more: &str) -> Raw {
    let mut client = Raw::connect(server.port());
    client.send(format!("GET {target} HTTP/1.1\r\n{HEADERS}{more}\r\n").as_bytes());
    client
}

/// Polls until the owner is asked about the next one.
#[track_caller]
fn next_request(server: &mut Node) -> ClientRequest {
    let events = server.next_events();
    let [Event::ClientRequest(serial)] = events.as_slice() else {
        panic!("{events:?}");
    };
    server.events.clear();
    server.peer.take_request(*serial).unwrap()
}

/// A client that waits for the decision, and its request.
#[track_caller]
fn waiting(server: &mut Node) -> (Raw, ClientRequest) {
    let client = ask(server, "/", "");
    let request = next_request(server);
    (client, request)
}

/// Polls until a client is in; its id.
#[track_caller]
fn joined(server: &mut Node) -> i32 {
    let events = server.next_events();
    let [Event::PeerConnected(id)] = events.as_slice() else {
        panic!("{events:?}");
    };
    server.events.clear();
    *id
}

/// What is left of the answer to a client that is turned away.
#[track_caller]
fn refusal(server: &mut Node, client: &mut Raw) -> (u16, String) {
    server.poll();
    let answer = String::from_utf8(client.rest()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Type: text/plain"), "{head}");
    assert!(head.contains("\r\nConnection: close"), "{head}");
    (status(head), body.to_owned())
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn who_is_accepted_at_once_is_in() {
    let mut server = server();
    let mut client = ask(&server, "/play?token=a%20b", "Cookie: c=d\r\n");
    let mut seen = Vec::new();
    eventually(|| {
        let now = server.clock;
        server.poll_with(|peer, event| {
            if let Event::ClientRequest(serial) = event {
                let request = peer.take_request(serial).unwrap();
                assert!(request.is_pending());
                seen.push(request.request.query()["token"].clone());
                request.accept(&["Set-Cookie: e=f".to_owned()], "", now).unwrap();
                assert!(!request.is_pending());
                assert!(peer.take_request(serial).is_none(), "once");
            }
        });
        matches!(server.events.last(), Some(Event::PeerConnected(_)))
    });
    assert_eq!(seen, ["a b"]);
    let [Event::ClientRequest(_), Event::PeerConnected(id)] = server.events[..] else {
        panic!("{:?}", server.events);
    };
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nSet-Cookie: e=f\r\n"), "{head}");
    assert_eq!(client.frame(), Some((0x82, id.to_le_bytes().to_vec())));
    server.plays_on(&mut client, id);
    assert_eq!(server.peer.stats.joined, 1);
    assert_eq!(server.notices(), []);
}

#[test]
fn what_the_request_says_is_there_before_and_after_the_decision() {
    let mut server = server();
    let more = "Authorization: Bearer x\r\nOrigin: https://example.com\r\nCookie: a=b\r\n";
    let client = ask(&server, "/play?x=1&y=2", more);
    let request = next_request(&mut server);
    let check = |request: &ClientRequest| {
        assert_eq!(request.request.path(), "/play");
        assert_eq!(request.request.query_string(), "x=1&y=2");
        assert_eq!(request.request.joined_header("authorization").as_deref(), Some("Bearer x"));
        assert_eq!(request.request.origin(), "https://example.com");
        assert_eq!(request.request.cookies()["a"], "b");
        assert_eq!(request.remote, Some(client.stream.local_addr().unwrap()));
        assert_eq!((request.is_secure, &request.tls), (false, &None));
    };
    check(&request);
    request.accept(&[], "", server.clock).unwrap();
    check(&request);
    let id = joined(&mut server);
    let connection = server.peer.connection(id).unwrap().borrow();
    assert_eq!(connection.serial(), request.serial());
    assert_eq!(connection.requested_url(), "ws://127.0.0.1/play?x=1&y=2");
}

#[test]
fn who_waits_gets_no_answer_until_it_is_accepted() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    server.wait(DEFAULT_HANDSHAKE_TIMEOUT);
    server.poll_for_nothing();
    assert!(client.is_silent() && request.is_pending());
    assert_eq!(server.events, []);
    request.accept(&[], "", server.clock).unwrap();
    // The answer does not wait for a poll.
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    let id = joined(&mut server);
    assert_eq!(client.frame(), Some((0x82, id.to_le_bytes().to_vec())));
    // The time for the handshake is over, whatever it was.
    server.wait(TOO_LONG);
    server.poll_for_nothing();
    server.plays_on(&mut client, id);
}

#[test]
fn what_is_sent_before_the_answer_waits_in_the_kernel() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    let frame = masked(0x82, &[7; 1000]);
    client.stream.set_nonblocking(true).unwrap();
    let (mut sent, mut blocked) = (0, 0);
    while blocked < 20 {
        let from = sent % frame.len();
        match client.stream.write(&frame[from..]) {
            Ok(count) => (sent, blocked) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                blocked += 1;
                server.poll_for_nothing();
            }
        }
        // More than the buffers of any kernel.
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    }
    assert!(request.is_pending());
    let whole = sent / frame.len();
    request.accept(&[], "", server.clock).unwrap();
    let packets = server.receive(whole);
    assert_eq!(packets.len(), whole);
    assert!(packets.iter().all(|(_, packet)| *packet == [7; 1000]));
}

#[test]
fn who_is_rejected_is_told_why() {
    let mut server = server();
    for (code, reason, body) in [
        (403, "not on the list", "not on the list\n"),
        (401, "Grüße\r\n\r\nX: y", "Grüße\r\n\r\nX: y\n"),
        (599, "", "Refused\n"),
        (400, "", "Bad Request\n"),
        (503, "", "Service Unavailable\n"),
    ] {
        let (mut client, request) = waiting(&mut server);
        request.reject(code, reason).unwrap();
        assert!(!request.is_pending());
        let (status, text) = refusal(&mut server, &mut client);
        assert_eq!((i64::from(status), text.as_str()), (code, body));
    }
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    let stats = server.peer.stats;
    assert_eq!((stats.refused_admission, stats.joined), (5, 0));
    assert_eq!((stats.refused_origin, stats.refused_full, stats.refused_request), (0, 0, 0));
}

#[test]
fn a_status_that_rejects_nobody_leaves_the_request_waiting() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    for status in [0, -403, 101, 200, 399, 600, 65536 + 403, i64::MAX, i64::MIN] {
        let out_of_range = Error::OutOfRange { value: status, min: 400, max: 599 };
        assert_eq!(request.reject(status, ""), Err(out_of_range));
    }
    assert!(request.is_pending() && client.is_silent());
    request.reject(404, "").unwrap();
    assert_eq!(refusal(&mut server, &mut client).0, 404);
}

#[test]
fn a_header_that_would_be_more_than_a_line_leaves_the_request_waiting() {
    let mut server = server_with(|peer| peer.config.handshake_headers = vec!["A: b".to_owned()]);
    let (mut client, request) = waiting(&mut server);
    let property = "extra_headers";
    for bad in ["X: y\r\nSet-Cookie: evil", "X: y\n", "X:\ry", "X: \0", "\r\n\r\nHTTP/1.1"] {
        let headers = ["Good: x".to_owned(), bad.to_owned()];
        let error = Error::Header(HeaderError::LineBreak { property, index: 1 });
        assert_eq!(request.accept(&headers, "", server.clock), Err(error), "{bad:?}");
    }
    let error = Error::Header(HeaderError::Empty { property, index: 0 });
    assert_eq!(request.accept(&[String::new()], "", server.clock), Err(error));
    assert!(request.is_pending() && client.is_silent());
    request.accept(&["Good: x".to_owned()], "", server.clock).unwrap();
    let head = client.head();
    assert!(head.ends_with("\r\nA: b\r\nGood: x\r\n\r\n"), "{head}");
}

#[test]
fn a_second_answer_does_nothing() {
    let mut server = server();
    let late = |request: &ClientRequest, server: &Node| {
        assert!(!request.is_pending());
        assert_eq!(request.accept(&[], "", server.clock), Err(Error::NotPending));
        assert_eq!(request.reject(403, "late"), Err(Error::NotPending));
    };
    let (mut client, request) = waiting(&mut server);
    request.accept(&[], "", server.clock).unwrap();
    late(&request, &server);
    let id = joined(&mut server);
    late(&request, &server);
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    client.frame();
    server.plays_on(&mut client, id);

    let (mut client, request) = waiting(&mut server);
    request.reject(410, "gone").unwrap();
    late(&request, &server);
    assert_eq!(refusal(&mut server, &mut client), (410, "gone\n".to_owned()));
    late(&request, &server);
}

#[test]
fn who_is_forgotten_is_told_when_the_time_is_over() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    // Nobody keeps this one.
    let (mut other, dropped) = waiting(&mut server);
    drop(dropped);
    server.wait(TOO_LONG);
    server.poll();
    assert!(!request.is_pending());
    assert_eq!(request.accept(&[], "", server.clock), Err(Error::NotPending));
    for client in [&mut client, &mut other] {
        let (status, body) = refusal(&mut server, client);
        assert_eq!((status, body.as_str()), (503, "no decision was made in time\n"));
    }
    server.poll_for_nothing();
    assert_eq!((server.peer.stats.handshake_timeouts, server.peer.stats.joined), (2, 0));
    let notices = server.notices();
    let is_said = |line: &mio_websocket_core::notice::Notice| {
        line.severity == Severity::Error && line.text.contains("within handshake_timeout")
    };
    assert!(notices.len() == 2 && notices.iter().all(is_said), "{notices:?}");
}

#[test]
fn it_is_noticed_when_the_client_leaves() {
    type Leave = fn(Raw);
    let leaves: [Leave; 3] = [drop, Raw::reset, |client: Raw| {
        client.end();
        std::mem::forget(client.stream.try_clone());
    }];
    for leave in leaves {
        let mut server = server();
        let (client, request) = waiting(&mut server);
        leave(client);
        eventually(|| {
            server.poll();
            !request.is_pending()
        });
        assert_eq!(request.accept(&[], "", server.clock), Err(Error::NotPending));
        assert_eq!(request.reject(403, ""), Err(Error::NotPending));
        server.poll_for_nothing();
        assert_eq!(server.events, []);
    }
}

#[test]
fn one_that_has_sent_too_much_and_leaves_is_noticed() {
    let mut server = server_with(|peer| peer.config.max_request_size = 1000);
    let (mut client, request) = waiting(&mut server);
    client.send(&masked(0x82, &[0; 5000]));
    server.poll_for_nothing();
    assert!(request.is_pending());
    client.reset();
    eventually(|| {
        server.poll();
        !request.is_pending()
    });
}

#[test]
fn nobody_is_asked_about_one_that_has_gone_already() {
    let mut server = server();
    let client = ask(&server, "/", "");
    settle();
    client.end();
    settle();
    server.poll_for_nothing();
    for event in std::mem::take(&mut server.events) {
        let Event::ClientRequest(serial) = event else { panic!("{event:?}") };
        assert!(server.peer.take_request(serial).is_none());
    }
}

#[test]
fn who_was_let_in_is_in_although_newcomers_are_refused() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    server.refuse = true;
    request.accept(&[], "", server.clock).unwrap();
    let events = server.next_events();
    let [Event::PeerConnected(id)] = events.as_slice() else { panic!("{events:?}") };
    client.head();
    assert_eq!(client.frame(), Some((0x82, id.to_le_bytes().to_vec())));
    server.plays_on(&mut client, *id);
}

#[test]
fn nobody_is_asked_about_what_the_settings_refuse() {
    let mut server = server_with(|peer| {
        peer.admission.allowed_paths = vec!["/play".to_owned()];
        peer.admission.allowed_origins = vec!["https://example.com".to_owned()];
        peer.config.supported_protocols = vec!["game".to_owned()];
        peer.admission.max_clients = 1;
    });
    let game = "Sec-WebSocket-Protocol: token.x, game\r\n";
    let other = "Sec-WebSocket-Protocol: token.x\r\n";
    for (target, more, expected) in [
        ("/", game, 404),
        ("/play", &format!("Origin: https://evil.test\r\n{game}"), 403),
        ("/play", other, 400),
    ] {
        let mut client = ask(&server, target, more);
        server.poll_for_nothing();
        assert_eq!(refusal(&mut server, &mut client).0, expected, "{target} {more}");
    }
    assert_eq!(server.events, []);
    let mut first = ask(&server, "/play", game);
    let request = next_request(&mut server);
    request.accept(&[], "", server.clock).unwrap();
    joined(&mut server);
    assert!(first.head().contains("\r\nSec-WebSocket-Protocol: game\r\n"));
    let mut second = ask(&server, "/play", game);
    server.poll_for_nothing();
    assert_eq!(refusal(&mut server, &mut second).0, 503);
    assert_eq!(server.events, []);
}

#[test]
fn the_owner_chooses_among_the_protocols_that_are_offered() {
    for (supported, chosen, agreed) in [
        (&[][..], "game", Some("game")),
        (&[], "token.x", Some("token.x")),
        (&[], "", None),
        (&["game"], "", Some("game")),
        (&["game"], "token.x", Some("token.x")),
    ] {
        let mut server = server_with(|peer| {
            peer.config.supported_protocols = supported.iter().map(|&name| name.into()).collect();
        });
        let mut client = ask(&server, "/", "Sec-WebSocket-Protocol: token.x, game\r\n");
        let request = next_request(&mut server);
        assert_eq!(request.request.protocols, ["token.x", "game"]);
        for bad in ["other", "game\r\nX: y", "token"] {
            let error = request.accept(&[], bad, server.clock);
            assert_eq!(error, Err(Error::NotOffered), "{bad:?}");
        }
        request.accept(&[], chosen, server.clock).unwrap();
        let head = client.head();
        let line = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line, agreed, "{supported:?} {chosen:?}");
        let id = joined(&mut server);
        let connection = server.peer.connection(id).unwrap().borrow();
        assert_eq!(connection.protocol(), agreed.unwrap_or_default());
    }
}

#[test]
fn several_who_wait_do_not_exceed_the_limit_in_any_order() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut server = server_with(|peer| peer.admission.max_clients = 2);
        let mut clients: Vec<_> = (0..4).map(|_| waiting(&mut server)).collect();
        let mut accepted = 0;
        for index in order {
            let (client, request) = &mut clients[index];
            let result = request.accept(&[], "", server.clock);
            if accepted < 2 {
                assert_eq!(result, Ok(()));
                assert_eq!(status(&client.head()), 101);
                // One of them is a peer by now, the other only about to be.
                if accepted == 0 {
                    joined(&mut server);
                }
                accepted += 1;
            } else {
                assert_eq!(result, Err(Error::Full));
                assert!(!request.is_pending());
                assert_eq!(refusal(&mut server, client), (503, "the server is full\n".into()));
            }
        }
        server.poll_for_nothing();
        let stats = server.peer.stats;
        assert_eq!((stats.joined, stats.refused_full, stats.refused_admission), (2, 2, 0));
    }
}

#[test]
fn those_who_wait_take_no_place_and_one_who_leaves_frees_it() {
    let mut server = server_with(|peer| peer.admission.max_clients = 1);
    let (_waits, first) = waiting(&mut server);
    let (client, second) = waiting(&mut server);
    second.accept(&[], "", server.clock).unwrap();
    // Gone before it was seen.
    client.reset();
    server.poll_for_nothing();
    server.events.clear();
    assert_eq!(server.peer.stats.refused_full, 0);
    let (_waits, third) = waiting(&mut server);
    first.accept(&[], "", server.clock).unwrap();
    assert_eq!(third.accept(&[], "", server.clock), Err(Error::Full));
}

#[test]
fn those_who_wait_are_newcomers() {
    let mut server = server_with(|peer| peer.admission.max_pending_handshakes = 2);
    let (mut oldest, first) = waiting(&mut server);
    let (_waits, second) = waiting(&mut server);
    second.accept(&[], "", server.clock).unwrap();
    joined(&mut server);
    let (_waits, third) = waiting(&mut server);
    assert!(first.is_pending() && third.is_pending());
    let (_waits, fourth) = waiting(&mut server);
    assert_eq!([&first, &third, &fourth].map(ClientRequest::is_pending), [false, true, true]);
    assert_eq!(oldest.rest(), b"");
    assert_eq!(first.accept(&[], "", server.clock), Err(Error::NotPending));
    assert_eq!(server.peer.stats.handshakes_displaced, 1);
}

#[test]
fn who_waits_while_the_server_drains_is_not_let_in() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    server.peer.begin_drain(9.0, 1001, "", server.clock).unwrap();
    assert_eq!(request.accept(&[], "", server.clock), Err(Error::Full));
    let answer = String::from_utf8(client.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    server.peer.cancel_drain();
    let (_waits, request) = waiting(&mut server);
    assert_eq!(request.accept(&[], "", server.clock), Ok(()));
    joined(&mut server);
}

#[test]
fn a_server_that_ends_leaves_requests_that_can_be_kept() {
    let mut server = server();
    let (mut client, request) = waiting(&mut server);
    server.peer.close();
    assert!(!request.is_pending());
    assert_eq!(request.accept(&[], "", server.clock), Err(Error::NotPending));
    assert_eq!(request.reject(403, ""), Err(Error::NotPending));
    assert_eq!(request.request.path(), "/");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_handler_may_poll_and_close_before_it_answers() {
    let mut server = server();
    let (clock, mut client) = (server.clock, ask(&server, "/", ""));
    let mut requests = Vec::new();
    eventually(|| {
        server.poll_with(|peer, event| {
            if let Event::ClientRequest(serial) = event {
                requests.extend(peer.take_request(serial));
                peer.poll(clock, false);
                assert!(requests[0].is_pending());
                peer.close();
                assert!(!requests[0].is_pending());
            }
        });
        !requests.is_empty()
    });
    assert_eq!(requests[0].accept(&[], "", clock), Err(Error::NotPending));
    assert_eq!(client.rest(), b"");
}

#[test]
fn without_an_owner_who_decides_nobody_waits() {
    let mut server = server_with(|peer| peer.admission.asks_owner = false);
    let (mut client, id) = server.join_raw();
    // From now on.
    server.peer.admission.asks_owner = true;
    let (_waits, request) = waiting(&mut server);
    // Who waits still does.
    server.peer.admission.asks_owner = false;
    server.poll_for_nothing();
    assert!(request.is_pending());
    server.join_raw();
    server.plays_on(&mut client, id);
}

#[test]
fn secrets_do_not_reach_the_log() {
    let mut server = server();
    let more = "Cookie: sid=S3CRET\r\nAuthorization: Bearer S3CRET\r\n\
        Sec-WebSocket-Protocol: S3CRET\r\n";
    let mut clients = Vec::new();
    let mut requests = Vec::new();
    for _ in 0..4 {
        clients.push(ask(&server, "/S3CRET?token=S3CRET", more));
        requests.push(next_request(&mut server));
    }
    requests[0].reject(403, "S3CRET is wrong").unwrap();
    let header = ["X: S3CRET\n".to_owned()];
    let error = requests[1].accept(&header, "", server.clock).unwrap_err();
    assert!(!error.to_string().contains("S3CRET"), "{error}");
    let error = requests[1].accept(&[], "S3CRET2", server.clock).unwrap_err();
    assert!(!error.to_string().contains("S3CRET"), "{error}");
    requests[1].accept(&[], "", server.clock).unwrap();
    clients.remove(2).reset();
    server.poll_for_nothing();
    server.wait(TOO_LONG);
    server.poll_for_nothing();
    let lines: Vec<String> = server.notices().into_iter().map(|notice| notice.text).collect();
    // Rejected, left, forgotten.
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(!lines.concat().contains("S3CRET"), "{lines:?}");
}

#[test]
fn tls_says_its_version_and_the_name_that_was_asked_for() {
    let identity = Identity::new();
    for (version, name) in VERSIONS.iter().zip(["TLSv1.3", "TLSv1.2"]) {
        let mut server = Node::new();
        server.peer.admission.asks_owner = true;
        let tls = Some(identity.tls(true));
        server.peer.create_server(0, "127.0.0.1", tls, server.clock).unwrap();
        let (port, config) = (server.port(), Arc::new(identity.client_config(&[version])));
        let script = thread::spawn(move || foreign_client(port, &config).read().unwrap());
        let request = next_request(&mut server);
        assert!(request.is_secure);
        let server_name = Some(NAME.to_owned());
        assert_eq!(request.tls, Some(TlsFacts { version: name, server_name }));
        request.accept(&[], "", server.clock).unwrap();
        let id = until(|| match server.poll()[..] {
            [Event::PeerConnected(id)] => Some(id),
            _ => None,
        });
        let message = server.run(script);
        assert_eq!(message.into_data(), id.to_le_bytes().to_vec());
    }
}

/// A script may keep what `get_peer` has given it, and the request.
#[test]
fn nobody_waits_for_a_decision_about_a_server_that_is_closed() {
    let mut server = server();
    let (_player, request) = waiting(&mut server);
    request.accept(&[], "", server.clock).unwrap();
    let id = joined(&mut server);
    let (mut client, request) = waiting(&mut server);
    let _view = server.peer.view(id).unwrap();
    server.peer.close();
    assert!(!request.is_pending());
    assert_eq!(request.accept(&[], "", server.clock), Err(Error::NotPending));
    assert_eq!(client.rest(), b"");
}
