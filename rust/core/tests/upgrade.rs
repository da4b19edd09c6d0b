//! The upgrade over real sockets: pieces, early frames, refusals, time limits.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use mio_websocket_core::config::DEFAULT_HANDSHAKE_TIMEOUT;
use mio_websocket_core::multiplayer::{Event, Status};
use mio_websocket_core::notice::Severity;
use support::{
    Deaf, HEADERS, Node, Raw, TOO_LONG, answer, eventually, frame, listen, masked, raw_server,
    request, settle,
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A request whose head has `size` bytes.
fn head_of(size: usize) -> Vec<u8> {
    let mut head = request();
    head.truncate(head.len() - 2);
    let room = size - head.len() - "X: \r\n\r\n".len();
    head.extend(format!("X: {}\r\n\r\n", "x".repeat(room)).bytes());
    assert_eq!(head.len(), size);
    head
}

/// Sends `request` and everything else that a client might that does not care, and reads all.
fn refusal_of(request: Vec<u8>) -> String {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    let script = std::thread::spawn(move || {
        client.send(&request);
        client.send(&[b'x'; 64 * 1024]);
        let mut answer = client.head();
        // Something is still arriving when the server is done with it.
        for _ in 0..20 {
            settle();
            client.send(&[b'x'; 1024]);
        }
        answer.push_str(&String::from_utf8(client.rest()).unwrap());
        answer
    });
    let answer = server.run(script);
    assert_eq!(server.events, []);
    answer
}

/// The status line and the body of a refusal.
fn status_and_body(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(length.parse(), Ok(body.len()), "the body is complete");
    (head.lines().next().unwrap(), body)
}

#[test]
fn a_request_may_trickle_in_byte_by_byte() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    for byte in request() {
        assert_eq!(server.events, []);
        client.send(&[byte]);
        server.poll();
    }
    eventually(|| {
        server.poll();
        !server.events.is_empty()
    });
    assert!(client.head().ends_with("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
    let Some((0x82, id)) = client.frame() else { panic!("no id") };
    assert_eq!(server.events, [Event::PeerConnected(i32::from_le_bytes(id.try_into().unwrap()))]);
}

#[test]
fn an_answer_may_trickle_in_byte_by_byte() {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    client.poll();
    let mut server = Raw::new(support::accept(&listener));
    client.poll();
    let bytes = [answer(&server.head()).into_bytes(), frame(0x82, &[5, 0, 0, 0])].concat();
    for byte in bytes {
        assert_eq!(client.peer.status(), Status::Connecting);
        server.send(&[byte]);
        client.poll();
    }
    eventually(|| {
        client.poll();
        client.peer.unique_id() == 5
    });
}

#[test]
fn frames_in_the_segment_of_the_request_are_packets_of_the_announced_peer() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    client.send(&[request(), masked(0x82, b"early"), masked(0x82, b"too")].concat());
    let mut seen = Vec::new();
    eventually(|| {
        server.poll_with(|peer, event| seen.push((event, peer.available())));
        !seen.is_empty()
    });
    let [(Event::PeerConnected(id), available)] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(available, 0, "while the peer is announced");
    assert_eq!(server.take(), [(id, b"early".to_vec()), (id, b"too".to_vec())]);
}

#[test]
fn half_a_frame_behind_the_request_is_not_lost() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    let message = masked(0x82, b"in two parts");
    client.send(&[&request()[..], &message[..9]].concat());
    server.next_events();
    client.send(&message[9..]);
    assert_eq!(server.receive(1)[0].1, b"in two parts");
}

#[test]
fn a_head_of_fifteen_kilobytes_is_accepted() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    client.send(&head_of(15 * 1024));
    assert!(matches!(server.next_events()[..], [Event::PeerConnected(_)]));
    assert!(client.head().starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_head_of_seventeen_kilobytes_is_refused() {
    for head in [head_of(17 * 1024), vec![b'x'; 17 * 1024]] {
        let answer = refusal_of(head);
        assert_eq!(
            status_and_body(&answer),
            ("HTTP/1.1 431 Request Header Fields Too Large", "the head is too large\n")
        );
    }
}

#[test]
fn a_refusal_arrives_completely_whatever_the_client_still_sends() {
    let without_key = HEADERS.replace("Sec-WebSocket-Key", "X-Key");
    for (request, status) in [
        (format!("POST / HTTP/1.1\r\n{HEADERS}\r\n"), "405 Method Not Allowed"),
        (format!("GET / HTTP/1.0\r\n{HEADERS}\r\n"), "400 Bad Request"),
        (format!("GET / HTTP/1.1\r\n{without_key}\r\n"), "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "426 Upgrade Required"),
        ("GET /\r\nA: b\r\nC: d\r\nE: f\r\n\r\n".to_owned(), "400 Bad Request"),
    ] {
        let answer = refusal_of(request.clone().into_bytes());
        let (status_line, body) = status_and_body(&answer);
        assert_eq!(status_line, format!("HTTP/1.1 {status}"), "{request}");
        assert!(body.len() > 5 && body.ends_with('\n'), "{body}");
    }
}

#[test]
fn a_refusal_is_logged_without_what_the_client_sent() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    client.send(format!("SECRET / HTTP/1.1\r\n{HEADERS}\r\n").as_bytes());
    let notice = support::until(|| {
        server.poll();
        server.peer.next_notice()
    });
    assert_eq!(notice.severity, Severity::Error);
    assert!(notice.text.contains("405") && !notice.text.contains("SECRET"), "{}", notice.text);
}

#[test]
fn a_refused_client_that_stays_is_dropped() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    client.send(b"nonsense\r\n\r\n");
    server.poll_for_nothing();
    client.rest();
    // The server reads on, so that its answer is not lost to a reset.
    client.send(b"more");
    server.poll_for_nothing();
    client.send(b"more");
    server.wait(TOO_LONG);
    server.poll();
    assert_gone(&mut client.stream);
}

/// The other end has no socket any more.
#[track_caller]
fn assert_gone(stream: &mut TcpStream) {
    eventually(|| {
        settle();
        stream.write_all(b"x").is_err()
    });
}

#[test]
fn a_silent_client_is_dropped_after_the_handshake_timeout() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    server.poll_for_nothing();
    server.wait(DEFAULT_HANDSHAKE_TIMEOUT);
    server.poll();
    assert!(client.is_silent());
    server.wait(MILLISECOND);
    server.poll();
    assert_eq!(client.rest(), b"");
    assert_eq!(server.events, []);
    assert_gone(&mut client.stream);
}

#[test]
fn bytes_that_trickle_in_do_not_extend_the_handshake_timeout() {
    let mut server = Node::server_with(|peer| {
        peer.set_handshake_timeout(Duration::from_millis(100));
    });
    let mut client = Raw::connect(server.port());
    server.poll_for_nothing();
    for byte in &request()[..20] {
        client.send(&[*byte]);
        server.wait(Duration::from_millis(5));
        server.poll();
    }
    assert!(client.is_silent());
    server.wait(MILLISECOND);
    server.poll();
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_request_that_is_only_seen_after_the_handshake_timeout_is_too_late() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    server.poll_for_nothing();
    client.send(&request());
    settle();
    server.wait(TOO_LONG);
    server.poll_for_nothing();
    assert_eq!(client.rest(), b"");
    assert_eq!(server.events, []);
}

#[test]
fn a_connected_peer_has_no_time_limit() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    server.wait(100 * TOO_LONG);
    server.poll_for_nothing();
    client.send(&masked(0x82, b"late"));
    assert_eq!(server.receive(1), [(id, b"late".to_vec())]);
}

/// The client goes on for as long as it may and then fails without a signal.
#[track_caller]
fn assert_gives_up(client: &mut Node) {
    client.poll_for_nothing();
    client.wait(DEFAULT_HANDSHAKE_TIMEOUT);
    client.poll();
    assert_eq!(client.peer.status(), Status::Connecting);
    client.wait(MILLISECOND);
    client.poll();
    assert_eq!((client.peer.status(), client.events.len()), (Status::Disconnected, 0));
}

#[test]
fn a_client_gives_up_when_no_id_comes() {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    let mut server = raw_server(&mut client, &listener);
    assert_gives_up(&mut client);
    // It says goodbye to a server that is there.
    assert_eq!(server.frame(), Some((0x88, vec![0x03, 0xe8])));
    assert_eq!(server.frame(), None);
}

#[test]
fn a_client_gives_up_when_no_answer_comes() {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    client.poll();
    let mut server = Raw::new(support::accept(&listener));
    assert_gives_up(&mut client);
    server.head();
    assert_eq!(server.rest(), b"");
}

#[test]
fn a_client_gives_up_when_an_answer_trickles_in() {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    client.poll();
    let mut server = Raw::new(support::accept(&listener));
    client.poll();
    for byte in &answer(&server.head()).as_bytes()[..30] {
        server.send(&[*byte]);
        client.poll();
    }
    assert_gives_up(&mut client);
}

#[test]
fn a_client_gives_up_when_nobody_accepts() {
    let deaf = Deaf::new(([127, 0, 0, 1], 0).into());
    let mut client = Node::client(deaf.port());
    assert_gives_up(&mut client);
}

#[test]
fn a_client_that_is_refused_fails_without_a_signal() {
    for status in ["301 Moved Permanently", "403 Forbidden", "200 OK"] {
        let (listener, port) = listen();
        let mut client = Node::client(port);
        client.poll();
        let mut server = Raw::new(support::accept(&listener));
        client.poll();
        server.head();
        server.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        eventually(|| {
            client.poll();
            client.peer.status() == Status::Disconnected
        });
        assert_eq!(client.events, []);
        let notice = client.peer.next_notice().unwrap();
        assert_eq!(notice.severity, Severity::Error);
    }
}

#[test]
fn a_client_that_goes_right_after_its_request_is_never_announced() {
    let mut server = Node::server();
    let mut half = Raw::connect(server.port());
    half.send(&request());
    half.end();
    let mut whole = Raw::connect(server.port());
    whole.send(&request());
    drop(whole);
    let mut reset = Raw::connect(server.port());
    reset.send(&request());
    reset.reset();
    server.poll_for_nothing();
    assert_eq!(server.events, []);
    half.rest();

    // The same for a connection that was accepted before.
    let mut half = Raw::connect(server.port());
    server.poll_for_nothing();
    half.send(&request());
    half.end();
    server.poll_for_nothing();
    assert_eq!(server.events, []);
}

#[test]
fn many_silent_clients_do_not_hold_up_the_others() {
    let mut server = Node::server();
    let silent: Vec<Raw> = (0..100).map(|_| Raw::connect(server.port())).collect();
    server.poll();
    server.join_raw();
    drop(silent);
}
