//! The status endpoint, asked over real sockets.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::time::Duration;

use mio_websocket_core::error::Error;
use support::{Node, Raw, eventually, settle};

/// A server with a status endpoint.
fn watched() -> Node {
    let mut server = Node::server();
    server.peer.create_status_endpoint(0, "127.0.0.1").unwrap();
    server
}

fn knock(node: &Node) -> Raw {
    Raw::connect(node.peer.status_endpoint_port())
}

/// Polls until all that is going to be answered has been; what `raw` gets.
#[track_caller]
fn answer(node: &mut Node, raw: &mut Raw) -> String {
    node.poll_for_nothing();
    String::from_utf8(raw.rest()).unwrap()
}

#[track_caller]
fn ask(node: &mut Node, request: &str) -> String {
    let mut raw = knock(node);
    raw.send(request.as_bytes());
    answer(node, &mut raw)
}

/// Status and body of the answer for `path`.
#[track_caller]
fn get(node: &mut Node, path: &str) -> (u16, String) {
    let answer = ask(node, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap().get(..3).unwrap().parse().unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    assert!(head.contains("\r\nConnection: close"), "{head}");
    (status, body.to_owned())
}

/// The value of a sample.
#[track_caller]
fn value(node: &mut Node, sample: &str) -> f64 {
    let (status, text) = get(node, "/metrics");
    assert_eq!(status, 200);
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{sample} ")));
    line.unwrap_or_else(|| panic!("{sample} is not in {text}")).parse().unwrap()
}

#[test]
fn readiness_follows_the_server_and_health_does_not() {
    let mut node = watched();
    assert_eq!(get(&mut node, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&mut node, "/readyz?verbose"), (200, "ready\n".to_owned()));
    node.refuse = true;
    assert_eq!(get(&mut node, "/readyz"), (503, "refusing new connections\n".to_owned()));
    node.refuse = false;
    node.peer.begin_drain(10.0, 1001, "", node.clock).unwrap();
    assert_eq!(get(&mut node, "/readyz"), (503, "draining\n".to_owned()));
    node.peer.cancel_drain();
    assert_eq!(get(&mut node, "/readyz").0, 200);
    node.peer.admission.max_clients = 1;
    let (raw, id) = node.join_raw();
    assert_eq!(get(&mut node, "/readyz"), (503, "full\n".to_owned()));
    node.peer.admission.max_clients = 2;
    assert_eq!(get(&mut node, "/readyz").0, 200);
    drop((raw, id));
    node.peer.begin_drain(60.0, 1001, "", node.clock).unwrap();
    assert_eq!(get(&mut node, "/readyz"), (503, "draining\n".to_owned()));
    assert_eq!(get(&mut node, "/healthz").0, 200);
    node.peer.cancel_drain();
    assert_eq!(get(&mut node, "/readyz").0, 200);
    let port = node.port();
    node.peer.close();
    assert_eq!(get(&mut node, "/readyz"), (503, "not listening\n".to_owned()));
    assert_eq!(get(&mut node, "/healthz").0, 200);
    support::serve_on(&mut node.peer, port, "127.0.0.1", node.clock).unwrap();
    assert_eq!(get(&mut node, "/readyz").0, 200);
}

#[test]
fn metrics_say_what_has_happened() {
    let mut node = watched();
    assert_eq!(value(&mut node, "mio_websocket_peers"), 0.0);
    let (mut raw, id) = node.join_raw();
    raw.send(&support::masked(0x82, &[1; 100]));
    node.receive(1);
    node.put(id, &[2; 50]).unwrap();
    node.peer.flush();
    for (sample, expected) in [
        ("mio_websocket_ready", 1.0),
        ("mio_websocket_peers", 1.0),
        ("mio_websocket_connections_accepted_total", 1.0),
        ("mio_websocket_handshakes_total{result=\"joined\"}", 1.0),
        ("mio_websocket_handshakes_total{result=\"full\"}", 0.0),
        ("mio_websocket_packets_received_total", 1.0),
        ("mio_websocket_received_bytes_total", 100.0),
        ("mio_websocket_packets_sent_total", 1.0),
        ("mio_websocket_sent_bytes_total", 50.0),
    ] {
        assert_eq!(value(&mut node, sample), expected, "{sample}");
    }
    raw.send(&support::masked(0x88, &support::close_payload(4321, "")));
    node.next_events();
    assert_eq!(value(&mut node, "mio_websocket_closes_total{code=\"4321\"}"), 1.0);
    let sum = value(&mut node, "mio_websocket_poll_duration_seconds_sum");
    assert!(sum > 0.0, "{sum}");
    // What is not ours does not count as a player.
    assert_eq!(value(&mut node, "mio_websocket_connections_accepted_total"), 1.0);
}

#[test]
fn what_is_not_asked_for_properly_is_told_so() {
    let mut node = watched();
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\nHost: h\n\n", "400 Bad Request"),
        ("GET /metrics HTTP/2.0\r\nHost: h\r\n\r\n", "400 Bad Request"),
        ("\x16\x03\x01\x02\x00", "400 Bad Request"),
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found"),
        ("GET /metrics/ HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", "405 Method"),
        ("DELETE /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "405 Method Not Allowed"),
        (&long, "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
    ] {
        let answer = ask(&mut node, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    let answer = ask(&mut node, "PUT /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
    // Not a line of them in a log that is not verbose.
    assert!(node.notices().iter().all(|notice| notice.text.starts_with("status endpoint: ")));
}

#[test]
fn a_head_is_that_of_the_whole_answer() {
    let mut node = watched();
    let whole = ask(&mut node, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = ask(&mut node, "HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(whole, format!("{head}ok\n"));
    let (old, absolute) = ("GET /healthz HTTP/1.0\r\n\r\n", "GET http://h:1/healthz HTTP/1.1\r\n");
    assert_eq!(ask(&mut node, old), whole);
    assert_eq!(ask(&mut node, &format!("{absolute}Host: h\r\n\r\n")), whole);
    assert!(ask(&mut node, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

#[test]
fn who_is_slow_keeps_nobody_out_and_is_given_up() {
    let mut node = watched();
    let mut silent: Vec<Raw> = (0..100).map(|_| knock(&node)).collect();
    let mut slow = knock(&node);
    slow.send(b"GET /healthz HTTP/1.1\r\nHo");
    // Four are let in by each poll.
    (0..30).for_each(|_| drop(node.poll()));
    assert_eq!(get(&mut node, "/healthz").0, 200);
    assert_eq!(silent[0].rest(), b"", "the oldest has gone");
    assert!(silent[99].is_silent(), "the newest waits");
    slow.send(b"st: h\r\n\r\n");
    assert!(answer(&mut node, &mut slow).starts_with("HTTP/1.1 200 OK\r\n"));
    let mut last = knock(&node);
    node.poll_for_nothing();
    node.wait(Duration::from_secs(5));
    node.poll();
    assert!(last.is_silent());
    node.wait(Duration::from_nanos(1));
    node.poll();
    assert_eq!(last.rest(), b"");
    // One that does not end its half is not waited for either.
    assert_eq!(get(&mut node, "/healthz").0, 200);
}

#[test]
fn the_endpoint_ends_when_it_is_told_to() {
    let mut node = watched();
    let port = node.peer.status_endpoint_port();
    let again = node.peer.create_status_endpoint(0, "127.0.0.1");
    assert_eq!(again, Err(Error::StatusEndpointInUse));
    let mut other = Node::new();
    let taken = other.peer.create_status_endpoint(port.into(), "127.0.0.1");
    assert!(matches!(taken, Err(Error::Listen { .. })), "{taken:?}");
    for (port, address) in [(-1, "127.0.0.1"), (65536, "127.0.0.1"), (0, "localhost")] {
        assert!(other.peer.create_status_endpoint(port, address).is_err());
    }
    assert_eq!(other.peer.status_endpoint_port(), 0);
    let mut waiting = knock(&node);
    node.poll_for_nothing();
    node.peer.close_status_endpoint();
    assert_eq!((waiting.rest(), node.peer.status_endpoint_port()), (vec![], 0));
    node.peer.close_status_endpoint();
    // Whoever asks without a poll waits.
    node.peer.create_status_endpoint(port.into(), "127.0.0.1").unwrap();
    let mut early = knock(&node);
    early.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    assert!(early.is_silent());
    assert!(answer(&mut node, &mut early).starts_with("HTTP/1.1 200 OK\r\n"));
    drop(node);
    eventually(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
