//! A WebSocket by itself: client, server's end of a foreign stream, and view of a peer.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio_websocket_core::config::CLOSE_TIMEOUT;
use mio_websocket_core::connection::State;
use mio_websocket_core::error::{Error, Failure};
use mio_websocket_core::multiplayer::Event;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::transport::ByteStream;
use mio_websocket_core::websocket::Kind;
use support::{
    Deaf, Foreign, Node, Raw, TOO_LONG, accept, alone, alone_and_raw, alone_with, close_payload,
    dial_alone, eventually, finish, frame, listen, masked, no_resolver, reach, serve, settle,
    until,
};
use tungstenite::Message;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::protocol::CloseFrame;

/// The code and the reason that the other side closed with.
fn close_of(peer: &Peer) -> (i32, String) {
    let connection = peer.connection().unwrap().borrow();
    (connection.close_code(), connection.close_reason().to_owned())
}

fn failure_of(peer: &Peer) -> Option<Failure> {
    peer.connection().unwrap().borrow().failure().cloned()
}

/// Sends back what comes until the other side closes; the close frame.
fn echo(mut socket: Foreign) -> Option<CloseFrame> {
    loop {
        match socket.read().unwrap() {
            Message::Close(frame) => {
                // Sends the answer.
                let _ = socket.flush();
                return frame;
            }
            message => socket.send(message).unwrap(),
        }
    }
}

#[test]
fn messages_are_echoed_by_a_foreign_server() {
    let (port, server) = serve(echo);
    let mut peer = alone(port);
    assert_eq!(peer.state(), State::Connecting);
    assert_eq!(peer.send(Kind::Text, b"x"), Err(Error::NotOpen));
    reach(&mut peer, State::Open);
    for (kind, payload) in [
        (Kind::Text, "grüße".as_bytes().to_vec()),
        (Kind::Binary, vec![]),
        (Kind::Text, vec![]),
        (Kind::Binary, vec![9; 125]),
        (Kind::Binary, vec![9; 126]),
        (Kind::Binary, vec![9; 65535]),
    ] {
        peer.send(kind, &payload).unwrap();
        let message = until(|| {
            peer.poll(Instant::now());
            peer.receive()
        });
        assert_eq!((message.kind, message.data.to_vec()), (kind, payload));
    }
    peer.close(4001, "bye");
    assert_eq!(peer.state(), State::Closing);
    assert_eq!(peer.send(Kind::Text, b"x"), Err(Error::NotOpen));
    reach(&mut peer, State::Closed);
    assert_eq!(close_of(&peer), (4001, "bye".to_owned()));
    assert_eq!(failure_of(&peer), None);
    let close = finish(server).unwrap();
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4001, "bye"));
}

#[test]
fn sub_protocol_and_headers_are_agreed_on_with_a_foreign_server() {
    let (listener, port) = listen();
    #[allow(clippy::result_large_err)] // The types are tungstenite's.
    fn check(request: &Request, mut answer: Response) -> Result<Response, ErrorResponse> {
        assert_eq!(request.headers()["Authorization"], "token");
        let offered = request.headers()["Sec-WebSocket-Protocol"].to_str().unwrap();
        assert_eq!(offered.split(',').map(str::trim).collect::<Vec<_>>(), ["one", "two"]);
        answer.headers_mut().insert("Sec-WebSocket-Protocol", "two".parse().unwrap());
        Ok(answer)
    }
    let server =
        std::thread::spawn(move || tungstenite::accept_hdr(accept(&listener), check).unwrap());
    let mut peer = alone_with(port, |config| {
        config.handshake_headers = vec!["Authorization: token".to_owned()];
        config.supported_protocols = vec!["one".to_owned(), "two".to_owned()];
    });
    reach(&mut peer, State::Open);
    let _open = finish(server);
    let connection = peer.connection().unwrap().borrow();
    assert_eq!(connection.protocol(), "two");
    assert_eq!(connection.requested_url(), format!("ws://127.0.0.1:{port}"));
}

#[test]
fn a_close_frame_of_the_other_side_tells_code_and_reason() {
    for (payload, expected) in [
        (close_payload(1000, ""), (1000, "")),
        (close_payload(4007, "kicked"), (4007, "kicked")),
        (vec![], (0, "")),
        (close_payload(999, ""), (1002, "Protocol error")),
        (close_payload(1000, "\u{e9}")[..3].to_vec(), (1007, "Invalid frame payload data")),
    ] {
        let (mut peer, mut server) = alone_and_raw(|_| {});
        server.send(&frame(0x88, &payload));
        reach(&mut peer, State::Closed);
        assert_eq!(close_of(&peer), (expected.0, expected.1.to_owned()));
    }
}

#[test]
fn messages_before_a_broken_rule_can_be_answered() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&[frame(0x82, b"hello"), frame(0x83, b"reserved"), frame(0x89, b"ping")].concat());
    let message = until(|| {
        peer.poll(Instant::now());
        peer.receive()
    });
    peer.send(message.kind, &message.data).unwrap();
    peer.poll(Instant::now());
    assert_eq!((peer.state(), close_of(&peer).0), (State::Closed, 1002));
    assert_eq!(server.frame(), Some((0x82, b"hello".to_vec())));
    assert_eq!(server.frame(), Some((0x88, close_payload(1002, ""))));
    assert_eq!(server.frame(), None, "the ping came too late");
}

#[test]
fn messages_that_nobody_takes_do_not_hold_up_the_answer_to_a_broken_rule() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&[frame(0x82, b"hello"), frame(0x83, b"reserved")].concat());
    reach(&mut peer, State::Closed);
    assert_eq!(server.frame(), Some((0x88, close_payload(1002, ""))));
    assert_eq!(&peer.receive().unwrap().data[..], b"hello");
}

#[test]
fn without_a_close_frame_the_code_is_minus_one() {
    let (mut peer, server) = alone_and_raw(|_| {});
    drop(server);
    reach(&mut peer, State::Closed);
    assert_eq!(close_of(&peer), (-1, String::new()));

    let (mut peer, server) = alone_and_raw(|_| {});
    server.reset();
    reach(&mut peer, State::Closed);
    assert_eq!(close_of(&peer), (-1, String::new()));
    assert!(matches!(failure_of(&peer), Some(Failure::Socket(..))), "{:?}", failure_of(&peer));
}

#[test]
fn a_close_goes_out_with_its_code_and_reason() {
    let long = "é".repeat(100);
    for (code, reason, payload) in [
        (1000, "", close_payload(1000, "")),
        (4001, "bye", close_payload(4001, "bye")),
        (0, "not sent", vec![]),
        (4000, &"r".repeat(123), close_payload(4000, &"r".repeat(123))),
        (4000, &"r".repeat(124), close_payload(4000, &"r".repeat(123))),
        (4000, &long, close_payload(4000, &"é".repeat(61))),
    ] {
        let (mut peer, mut server) = alone_and_raw(|_| {});
        peer.close(code, reason);
        peer.close(4999, "the first one counts");
        assert_eq!(peer.state(), State::Closing);
        assert_eq!(server.frame(), Some((0x88, payload.clone())));
        server.send(&frame(0x88, &payload));
        reach(&mut peer, State::Closed);
        assert_eq!(close_of(&peer).0, code);
        assert_eq!(server.frame(), None);
    }
}

#[test]
fn a_negative_code_ends_the_stream_at_once() {
    let (peer, mut server) = alone_and_raw(|_| {});
    peer.close(-1, "");
    assert_eq!(peer.state(), State::Closed);
    assert_eq!(close_of(&peer), (-1, String::new()));
    assert_eq!(server.rest(), b"");

    let (peer, mut server) = alone_and_raw(|_| {});
    peer.close(4001, "");
    peer.close(-1, "");
    assert_eq!(peer.state(), State::Closed);
    assert_eq!(close_of(&peer), (-1, String::new()));
    assert_eq!(server.frame(), Some((0x88, close_payload(4001, ""))));
    assert_eq!(server.frame(), None);
}

#[test]
fn when_both_close_each_gets_the_code_of_the_other() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    peer.close(4001, "A");
    server.send(&frame(0x88, &close_payload(4002, "B")));
    reach(&mut peer, State::Closed);
    assert_eq!(close_of(&peer), (4002, "B".to_owned()));
    assert_eq!(server.frame(), Some((0x88, close_payload(4001, "A"))));
    assert_eq!(server.frame(), None, "one close frame is enough");
}

#[test]
fn a_close_that_is_not_answered_ends_in_time() {
    let (mut peer, _server) = alone_and_raw(|_| {});
    let now = Instant::now();
    peer.poll(now);
    peer.close(4001, "");
    peer.poll(now);
    peer.poll(now + CLOSE_TIMEOUT);
    assert_eq!(peer.state(), State::Closing);
    peer.poll(now + CLOSE_TIMEOUT + Duration::from_millis(1));
    assert_eq!((peer.state(), close_of(&peer).0), (State::Closed, -1));
}

#[test]
fn a_close_drops_what_was_not_taken() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&frame(0x82, b"not taken"));
    eventually(|| {
        peer.poll(Instant::now());
        peer.connection().unwrap().borrow().available() == 1
    });
    peer.close(1000, "");
    assert_eq!(peer.receive(), None);
}

#[test]
fn what_came_before_the_end_can_be_taken() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&[frame(0x82, b"a"), frame(0x81, b"b"), frame(0x88, &[])].concat());
    reach(&mut peer, State::Closed);
    assert_eq!(peer.receive().unwrap().data, "a");
    assert_eq!(peer.receive().unwrap().kind, Kind::Text);
    assert_eq!(peer.receive(), None);
}

#[test]
fn a_ping_is_answered_with_its_payload_even_between_fragments() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&[frame(0x02, b"ab"), frame(0x89, b"ping"), frame(0x80, b"c")].concat());
    let message = until(|| {
        peer.poll(Instant::now());
        peer.receive()
    });
    assert_eq!(message.data, "abc");
    assert_eq!(server.frame(), Some((0x8a, b"ping".to_vec())));
}

#[test]
fn a_masked_frame_from_a_server_breaks_the_rules() {
    let (mut peer, mut server) = alone_and_raw(|_| {});
    server.send(&masked(0x82, b"x"));
    reach(&mut peer, State::Closed);
    assert_eq!(close_of(&peer), (1002, "Protocol error".to_owned()));
    assert_eq!(server.frame(), Some((0x88, close_payload(1002, ""))));
}

#[test]
fn a_peer_can_connect_again_when_it_is_closed_but_not_before() {
    let (mut peer, _first) = alone_and_raw(|_| {});
    let (listener, port) = listen();
    let url = format!("ws://127.0.0.1:{port}/");
    let again = |peer: &mut Peer| {
        dial_alone(peer, &url, no_resolver, Duration::from_secs(3), Instant::now())
    };
    assert_eq!(again(&mut peer), Err(Error::AlreadyInUse));
    // One that is closing is given up.
    peer.close(1000, "");
    assert_eq!(again(&mut peer), Ok(()));
    assert_eq!(again(&mut peer), Err(Error::AlreadyInUse));
    let server = std::thread::spawn(move || tungstenite::accept(accept(&listener)).unwrap());
    reach(&mut peer, State::Open);
    finish(server);
}

#[test]
fn a_dial_that_nobody_answers_ends_in_time() {
    let deaf = Deaf::new(([127, 0, 0, 1], 0).into());
    let mut peer = Peer::default();
    let now = Instant::now();
    let url = format!("ws://127.0.0.1:{}/", deaf.port());
    dial_alone(&mut peer, &url, no_resolver, Duration::from_secs(3), now).unwrap();
    peer.poll(now);
    peer.poll(now + Duration::from_secs(3));
    assert_eq!(peer.state(), State::Connecting);
    peer.poll(now + TOO_LONG);
    assert_eq!((peer.state(), close_of(&peer).0), (State::Closed, -1));
    assert!(matches!(failure_of(&peer), Some(Failure::Timeout(_))));
}

#[test]
fn a_peer_that_is_dropped_ends_its_stream() {
    let (peer, mut server) = alone_and_raw(|_| {});
    let held = peer.connection().unwrap().clone();
    drop(peer);
    assert_eq!(held.borrow().state(), State::Closed);
    assert_eq!(server.rest(), b"");
}

/// A socket that somebody else owns.
struct Borrowed {
    stream: TcpStream,
    asked: Rc<Asked>,
}

/// What has been asked of it.
#[derive(Default)]
struct Asked {
    no_delay: Cell<Option<bool>>,
    shutdown: Cell<bool>,
}

impl Read for Borrowed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Borrowed {
    // In small pieces, as a busy stream would take them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(&bytes[..bytes.len().min(100)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteStream for Borrowed {
    fn remote(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    fn set_no_delay(&mut self, enabled: bool) {
        self.asked.no_delay.set(Some(enabled));
    }

    fn shutdown(&mut self) {
        self.asked.shutdown.set(true);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn is_secure(&self) -> bool {
        false
    }
}

/// A peer that is the server's end of a foreign stream.
fn accepted(stream: TcpStream) -> (Peer, Rc<Asked>) {
    stream.set_nonblocking(true).unwrap();
    let asked = Rc::<Asked>::default();
    let mut peer = Peer::default();
    peer.accept(Box::new(Borrowed { stream, asked: Rc::clone(&asked) })).unwrap();
    (peer, asked)
}

#[test]
fn a_foreign_stream_is_served() {
    let (listener, port) = listen();
    let script = std::thread::spawn(move || {
        let mut client = support::connect(port);
        for payload in [vec![1; 10], vec![2; 65535]] {
            client.send(Message::binary(payload.clone())).unwrap();
            assert_eq!(client.read().unwrap(), Message::binary(payload));
        }
        client.close(None).unwrap();
        assert_eq!(client.read().unwrap(), Message::Close(None));
    });
    let (mut peer, asked) = accepted(accept(&listener));
    assert_eq!(peer.state(), State::Connecting);
    assert_eq!(asked.no_delay.get(), Some(true));
    eventually(|| {
        peer.poll(Instant::now());
        while let Some(message) = peer.receive() {
            peer.send(message.kind, &message.data).unwrap();
        }
        script.is_finished()
    });
    finish(script);
    reach(&mut peer, State::Closed);
    assert_eq!(close_of(&peer).0, 0);
    eventually(|| {
        peer.poll(Instant::now());
        asked.shutdown.get()
    });
}

/// RFC 6455, section 7.1.1: the server ends the TCP connection first, the client waits for it.

#[test]
fn a_foreign_stream_is_ended_when_the_closing_handshake_is_done() {
    let (listener, port) = listen();
    let mut client = Raw::connect(port);
    client.send(&[support::request(), masked(0x88, &[])].concat());
    let (mut peer, asked) = accepted(accept(&listener));
    reach(&mut peer, State::Closed);
    peer.poll(Instant::now());
    assert!(asked.shutdown.get());
    client.head();
    assert_eq!(client.frame(), Some((0x88, vec![])));
    assert_eq!(client.frame(), None);
}

#[test]
fn a_request_that_a_foreign_stream_holds_already_is_answered_in_the_first_poll() {
    let (listener, port) = listen();
    let mut client = Raw::connect(port);
    client.send(&[support::request(), masked(0x82, b"early")].concat());
    settle();
    let (mut peer, _) = accepted(accept(&listener));
    peer.poll(Instant::now());
    assert_eq!(peer.state(), State::Open);
    assert_eq!(peer.receive().unwrap().data, "early");
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    let connection = peer.connection().unwrap().borrow();
    assert_eq!(connection.remote(), Some(client.stream.local_addr().unwrap()));
    assert_eq!(connection.requested_url(), "ws://127.0.0.1/");
}

#[test]
fn a_refusal_goes_out_on_a_foreign_stream_too() {
    let (listener, port) = listen();
    let mut client = Raw::connect(port);
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    settle();
    let (mut peer, asked) = accepted(accept(&listener));
    let now = Instant::now();
    peer.poll(now);
    assert_eq!(peer.state(), State::Closed);
    assert!(client.head().starts_with("HTTP/1.1 426 "));
    client.end();
    eventually(|| {
        peer.poll(now);
        asked.shutdown.get()
    });
}

/// A server, its client, and the view of the connection between them.
fn viewed() -> (Node, Raw, i32, Peer) {
    let mut server = Node::server();
    let (client, id) = server.join_raw();
    let view = server.peer.view(id).unwrap();
    (server, client, id, view)
}

#[test]
fn a_view_sends() {
    let (mut server, mut client, id, view) = viewed();
    assert_eq!(view.state(), State::Open);
    view.send(Kind::Text, b"hello").unwrap();
    assert_eq!(client.frame(), Some((0x81, b"hello".to_vec())));
    client.send(&masked(0x82, b"for the owner"));
    assert_eq!(server.receive(1), [(id, b"for the owner".to_vec())]);
}

#[test]
fn a_view_takes_messages_from_its_owner_and_leaves_it_the_rest() {
    let (mut server, mut client, id, mut view) = viewed();
    client.send(&[masked(0x82, b"for the view"), masked(0x82, b"for the owner")].concat());
    settle();
    view.poll(Instant::now());
    assert_eq!(view.receive().unwrap().data, "for the view");
    assert_eq!(server.receive(1), [(id, b"for the owner".to_vec())]);
}

#[test]
fn an_end_that_a_view_has_seen_is_signalled_by_the_owner() {
    let (mut server, mut client, id, mut view) = viewed();
    client.send(&masked(0x88, &[]));
    settle();
    view.poll(Instant::now());
    assert_eq!(view.state(), State::Closed);
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
}

#[test]
fn a_view_that_is_dropped_leaves_the_connection_alone() {
    let (mut server, mut client, id, view) = viewed();
    drop(view);
    server.put(id, b"still here").unwrap();
    assert_eq!(client.frame(), Some((0x82, b"still here".to_vec())));
    assert!(client.is_silent());
}

#[test]
fn a_view_can_close_and_the_owner_signals_it() {
    let (mut server, mut client, id, view) = viewed();
    view.close(4007, "kicked");
    assert_eq!(client.frame(), Some((0x88, close_payload(4007, "kicked"))));
    client.send(&masked(0x88, &close_payload(4007, "kicked")));
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert_eq!((view.state(), close_of(&view).0), (State::Closed, 4007));
    assert_eq!(client.frame(), None);
}

#[test]
fn limits_that_are_set_on_a_view_are_those_of_its_connection_alone() {
    let (mut server, _client, id, mut view) = viewed();
    let (_other, other_id) = server.join_raw();
    view.configure(|config| config.outbound_buffer_size = 10);
    assert!(matches!(server.put(id, &[0; 11]), Err(Error::OutOfMemory { size: 11, .. })));
    server.put(other_id, &[0; 11]).unwrap();
    server.put(id, &[0; 10]).unwrap();
}

#[test]
fn a_view_sees_the_end_and_cannot_send_any_more() {
    let (mut server, client, id, view) = viewed();
    drop(client);
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert_eq!(view.state(), State::Closed);
    assert_eq!(view.send(Kind::Binary, b"x"), Err(Error::NotOpen));
    view.close(1000, "");
    assert_eq!(close_of(&view).0, -1);
}
