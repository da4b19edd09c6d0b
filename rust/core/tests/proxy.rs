//! Players behind a proxy: whose address a server takes for theirs, what may stand in front of a
//! connection, and that nobody is believed who is not trusted.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;
mod tls_support;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio_websocket_core::config::ProxyProtocol::{self, Off, Optional, Required};
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer};
use mio_websocket_core::proxy::{self, ProxyConfigError};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use support::{
    HEADERS, Node, Raw, TOO_LONG, masked, request, settle, take_all_the_time, tcp, until,
};
use tls_support::{Identity, NAME, VERSIONS};
use tungstenite::Message;

const V1: &str = "PROXY TCP4 192.0.2.1 203.0.113.1 4711 443\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A header of version 2 for 192.0.2.2:4712, with `more` behind the addresses.
fn v2(more: &[u8]) -> Vec<u8> {
    let block = [&[192, 0, 2, 2, 203, 0, 113, 1, 0x12, 0x68, 1, 0xbb], more].concat();
    let len = u16::try_from(block.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &len[..], &block].concat()
}

/// Everything in these tests comes from 127.0.0.1, which `trusted` names or does not.
fn setup(peer: &mut MultiplayerPeer, trusted: &str, protocol: ProxyProtocol) {
    take_all_the_time(peer);
    proxy::set_trusted(&mut peer.admission.proxy, &[trusted.to_owned()]).unwrap();
    peer.admission.proxy.protocol = protocol;
}

fn server(trusted: &str, protocol: ProxyProtocol) -> Node {
    Node::server_with(|peer| setup(peer, trusted, protocol))
}

/// A server that trusts 127.0.0.1 and speaks TLS.
fn tls_server(identity: &Identity, protocol: ProxyProtocol) -> Node {
    let mut server = Node::new();
    setup(&mut server.peer, "127.0.0.1", protocol);
    server.peer.create_server(0, "127.0.0.1", Some(identity.tls(true)), server.clock).unwrap();
    server
}

fn asking(more: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{HEADERS}{more}\r\n").into_bytes()
}

/// Whom the server takes a client for that sends `bytes`, an upgrade request at their end.
#[track_caller]
fn joined_as(server: &mut Node, client: &mut Raw, bytes: &[u8]) -> SocketAddr {
    client.send(bytes);
    let id = until(|| {
        let joined = |event: &Event| match event {
            Event::PeerConnected(id) => Some(*id),
            _ => None,
        };
        server.poll().iter().find_map(joined)
    });
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.frame(), Some((0x82, id.to_le_bytes().to_vec())));
    client.send(&masked(0x82, b"packet"));
    assert_eq!(server.receive(1), [(id, b"packet".to_vec())]);
    address(server, id)
}

fn address(server: &Node, id: i32) -> SocketAddr {
    server.peer.connection(id).unwrap().borrow().remote().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The address that a client has.
fn own(client: &Raw) -> SocketAddr {
    client.stream.local_addr().unwrap()
}

/// The server ends the connection without a word.
#[track_caller]
fn is_dropped(server: &mut Node, bytes: &[u8]) {
    let mut client = Raw::connect(server.port());
    client.send(bytes);
    settle();
    server.poll_for_nothing();
    assert_eq!(client.rest(), b"");
}

#[test]
fn the_address_in_a_header_of_the_proxy_is_the_players() {
    let mut server = server("127.0.0.1", Off);
    for (header, lines, expected) in [
        ("X-Forwarded-For", "X-Forwarded-For: 192.0.2.66, 192.0.2.1\r\n", "192.0.2.1:0"),
        ("Forwarded", "Forwarded: for=\"[2001:db8::1]:4711\"\r\n", "[2001:db8::1]:4711"),
        ("CF-Connecting-IP", "cf-connecting-ip: 192.0.2.1\r\n", "192.0.2.1:0"),
    ] {
        proxy::set_header(&mut server.peer.admission.proxy, header).unwrap();
        let mut client = Raw::connect(server.port());
        assert_eq!(joined_as(&mut server, &mut client, &asking(lines)), at(expected));
        let mut client = Raw::connect(server.port());
        let expected = own(&client);
        assert_eq!(joined_as(&mut server, &mut client, &request()), expected);
    }
    // The log names the player, too.
    let lines = server.notices();
    assert!(lines[0].text.starts_with("192.0.2.1:0: "), "{lines:?}");
}

#[test]
fn a_header_of_anybody_else_says_nothing() {
    let lines =
        "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n";
    let mut trusts_nobody = Node::server_with(take_all_the_time);
    let mut trusts_another = server("127.0.0.2", Optional);
    for server in [&mut trusts_nobody, &mut trusts_another] {
        for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
            proxy::set_header(&mut server.peer.admission.proxy, header).unwrap();
            let mut client = Raw::connect(server.port());
            let expected = own(&client);
            assert_eq!(joined_as(server, &mut client, &asking(lines)), expected);
        }
    }
}

#[test]
fn a_proxy_header_in_front_names_the_player() {
    for protocol in [Optional, Required] {
        let mut server = server("127.0.0.1", protocol);
        for (header, expected) in [
            (V1.as_bytes(), "192.0.2.1:4711"),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1"),
            (&v2(b""), "192.0.2.2:4712"),
            (&v2(&[0xff; 4000]), "192.0.2.2:4712"),
        ] {
            // The request says nothing: the player has written it.
            let request = asking("X-Forwarded-For: 192.0.2.66\r\n");
            let mut client = Raw::connect(server.port());
            let bytes = [header, &request].concat();
            assert_eq!(joined_as(&mut server, &mut client, &bytes), at(expected));
        }
        assert_eq!(server.peer.stats.refused_proxy, 0);
    }
}

#[test]
fn it_may_come_in_pieces() {
    let mut server = server("127.0.0.1", Required);
    for header in [V1.as_bytes(), &v2(b"more")] {
        let mut client = Raw::connect(server.port());
        for byte in header {
            client.send(&[*byte]);
            settle();
            server.poll();
        }
        // Nothing has been decided before it was complete.
        assert_eq!(server.peer.stats.refused_proxy, 0);
        assert_ne!(joined_as(&mut server, &mut client, &request()), own(&client));
    }
}

#[test]
fn a_proxy_may_speak_for_itself() {
    let mut server = server("127.0.0.1", Required);
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let mut client = Raw::connect(server.port());
        let expected = own(&client);
        let bytes = [header, &request()].concat();
        assert_eq!(joined_as(&mut server, &mut client, &bytes), expected);
        // It is the proxy's own request.
        let mut client = Raw::connect(server.port());
        let bytes = [header, &asking("X-Forwarded-For: 192.0.2.9\r\n")].concat();
        assert_eq!(joined_as(&mut server, &mut client, &bytes), at("192.0.2.9:0"));
    }
}

/// A load balancer in front of a web proxy: the one names the other, which names the player.
#[test]
fn proxies_may_stand_in_a_row() {
    let mut server = server("127.0.0.1", Required);
    let trusted = ["127.0.0.1".to_owned(), "192.0.2.1".to_owned()];
    proxy::set_trusted(&mut server.peer.admission.proxy, &trusted).unwrap();
    let mut client = Raw::connect(server.port());
    let bytes = [V1.as_bytes(), &asking("X-Forwarded-For: 198.51.100.7\r\n")].concat();
    assert_eq!(joined_as(&mut server, &mut client, &bytes), at("198.51.100.7:0"));
}

#[test]
fn without_the_setting_it_is_no_request() {
    let mut server = server("127.0.0.1", Off);
    for header in [V1.as_bytes(), &v2(b"")] {
        let mut client = Raw::connect(server.port());
        client.send(&[header, &request()].concat());
        server.poll_for_nothing();
        assert!(client.head().starts_with("HTTP/1.1 400 "));
    }
}

#[test]
fn an_optional_header_may_be_left_out() {
    for trusted in ["127.0.0.1", "127.0.0.2"] {
        let mut server = server(trusted, Optional);
        let mut client = Raw::connect(server.port());
        let expected = own(&client);
        assert_eq!(joined_as(&mut server, &mut client, &request()), expected);
    }
}

#[test]
fn a_required_header_may_not_be_left_out() {
    let mut server = server("127.0.0.1", Required);
    is_dropped(&mut server, &request());
    assert_eq!(server.peer.stats.refused_proxy, 1);
    let [line] = &server.notices()[..] else { panic!() };
    assert!(line.text.ends_with("there is no PROXY header"), "{}", line.text);
}

#[test]
fn a_proxy_header_of_anybody_else_is_refused() {
    for protocol in [Optional, Required] {
        let mut server = server("127.0.0.2", protocol);
        is_dropped(&mut server, &[V1.as_bytes(), &request()].concat());
        server.notes_once("only an address in trusted_proxies may send a PROXY header");
        is_dropped(&mut server, &[v2(b""), request()].concat());
        assert_eq!((server.peer.stats.refused_proxy, server.peer.stats.joined), (2, 0));
    }
}

/// It would let the player through with an address of its choice, if the first one were the proxy's.
#[test]
fn only_one_header_counts() {
    let mut server = server("127.0.0.1", Required);
    let mut client = Raw::connect(server.port());
    client.send(&[V1.as_bytes(), &v2(b""), &request()].concat());
    server.poll_for_nothing();
    assert!(client.head().starts_with("HTTP/1.1 400 "));
    assert_eq!(server.peer.stats.joined, 0);
}

#[test]
fn a_malformed_header_ends_the_connection() {
    for protocol in [Optional, Required] {
        let mut server = server("127.0.0.1", protocol);
        let endless = [b"PROXY ", &[b'x'; 200][..]].concat();
        let huge = [&v2(b"")[..14], &[0xff, 0xff]].concat();
        for bad in [b"PROXY TCP4 nonsense\r\n", &endless[..], &huge] {
            is_dropped(&mut server, bad);
            let lines = server.notices();
            let [line] = &lines[..] else { panic!("{lines:?}") };
            assert!(line.text.contains("the PROXY header "), "{}", line.text);
        }
        assert_eq!(server.peer.stats.refused_proxy, 3);
    }
}

#[test]
fn the_time_limit_of_the_handshake_holds_for_it() {
    for (protocol, part) in [(Required, &b"PROXY TC"[..]), (Optional, b"\r\n"), (Optional, b"")] {
        let mut server = server("127.0.0.1", protocol);
        let mut slow = Raw::connect(server.port());
        slow.send(part);
        server.poll_for_nothing();
        assert!(slow.is_silent());
        server.wait(TOO_LONG);
        server.poll();
        assert_eq!(slow.rest(), b"");
        assert_eq!(server.peer.stats.handshake_timeouts, 1);
        server.notes_once("waiting for the proxy header took too long");
    }
}

#[test]
fn tls_comes_behind_it() {
    let identity = Identity::new();
    let config = Arc::new(identity.client_config(&VERSIONS));
    for (protocol, header, expected) in [
        (Required, V1.as_bytes().to_vec(), Some("192.0.2.1:4711")),
        (Required, v2(&[0; 3000]), Some("192.0.2.2:4712")),
        (Optional, v2(b""), Some("192.0.2.2:4712")),
        (Optional, Vec::new(), None),
    ] {
        // Together with the first bytes of TLS, and before them.
        for together in [true, false] {
            let mut server = tls_server(&identity, protocol);
            let (port, config, header) = (server.port(), config.clone(), header.clone());
            let script = std::thread::spawn(move || {
                let mut stream = tcp(port);
                let name = ServerName::try_from(NAME).unwrap();
                let mut connection = ClientConnection::new(config, name).unwrap();
                let mut bytes = header;
                if together {
                    connection.write_tls(&mut bytes).unwrap();
                }
                stream.write_all(&bytes).unwrap();
                settle();
                let own = stream.local_addr().unwrap();
                let stream = StreamOwned::new(connection, stream);
                let url = format!("wss://{NAME}:{port}/");
                (tungstenite::client(url, stream).unwrap().0, own)
            });
            let (mut client, own) = server.run(script);
            client.send(Message::binary(vec![7; 50_000])).unwrap();
            let packets = server.receive(1);
            assert_eq!(packets[0].1, [7; 50_000]);
            let expected = expected.map_or(own, at);
            assert_eq!(address(&server, packets[0].0), expected);
        }
    }
}

#[test]
fn what_is_behind_it_must_be_tls_then() {
    let identity = Identity::new();
    let mut server = tls_server(&identity, Required);
    let mut client = Raw::connect(server.port());
    client.send(&[V1.as_bytes(), &request()].concat());
    server.poll_for_nothing();
    client.rest();
    assert_eq!((server.peer.stats.failed_tls, server.peer.stats.joined), (1, 0));
    let [line] = &server.notices()[..] else { panic!() };
    assert!(line.text.starts_with("192.0.2.1:4711: "), "{}", line.text);
}

#[test]
fn a_server_that_trusts_nobody_cannot_await_a_header() {
    for protocol in [Optional, Required] {
        let mut node = Node::new();
        node.peer.admission.proxy.protocol = protocol;
        let created = node.peer.create_server(0, "127.0.0.1", None, node.clock);
        assert_eq!(created, Err(Error::Proxy(ProxyConfigError::NobodyTrusted)));
    }
}

/// How many of `count` who come at once with `bytes` are let in and told to come later.
fn let_in(server: &mut Node, count: usize, bytes: &[u8]) -> (usize, usize) {
    let mut clients: Vec<Raw> = (0..count).map(|_| Raw::connect(server.port())).collect();
    // The first ones may have been refused before they have said anything.
    clients.iter_mut().for_each(|client| drop(client.stream.write(bytes)));
    server.poll_for_nothing();
    let statuses: Vec<String> = clients
        .iter_mut()
        .map(|client| client.head().split(' ').nth(1).unwrap().to_owned())
        .collect();
    let count = |status: &str| statuses.iter().filter(|other| *other == status).count();
    (count("101"), count("429"))
}

/// With a rate of 2 eight may come at once.
#[test]
fn players_behind_a_proxy_are_counted_each_by_itself() {
    for protocol in [Off, Required] {
        let mut server = server("127.0.0.1", protocol);
        server.peer.admission.connections_per_second_per_address = 2;
        let of = |player: &str| match protocol {
            Off => asking(&format!("X-Forwarded-For: {player}\r\n")),
            _ => {
                let header = format!("PROXY TCP4 {player} 203.0.113.1 4711 443\r\n");
                [header.into_bytes(), request()].concat()
            }
        };
        assert_eq!(let_in(&mut server, 20, &of("192.0.2.1")), (8, 12));
        assert_eq!(let_in(&mut server, 5, &of("192.0.2.2")), (5, 0));
        assert_eq!(let_in(&mut server, 5, &of("192.0.2.2")), (3, 2));
        assert_eq!(server.peer.stats.refused_rate, 14);
        server.wait(Duration::from_secs(1));
        assert_eq!(let_in(&mut server, 5, &of("192.0.2.1")), (2, 3));
        let errors = server.notices();
        assert!(errors.iter().all(|line| line.text.contains("192.0.2.")), "{errors:?}");
    }
}

#[test]
fn the_proxy_itself_comes_as_often_as_it_likes() {
    let mut server = server("127.0.0.1", Off);
    server.peer.admission.connections_per_second_per_address = 2;
    assert_eq!(let_in(&mut server, 20, &request()), (20, 0));
    server.peer.admission.proxy.protocol = Required;
    assert_eq!(let_in(&mut server, 20, &[LOCAL, &request()].concat()), (20, 0));
    assert_eq!(server.peer.stats.refused_rate, 0);
}

#[test]
fn who_comes_past_the_proxy_is_counted_when_it_comes() {
    for protocol in [Off, Optional] {
        let mut server = server("127.0.0.2", protocol);
        server.peer.admission.connections_per_second_per_address = 2;
        // Each says it were somebody else.
        let mut refused = 0;
        for player in 0..20 {
            let request = asking(&format!("X-Forwarded-For: 192.0.2.{player}\r\n"));
            refused += let_in(&mut server, 1, &request).1;
        }
        assert_eq!(refused, 12);
    }
}

#[test]
fn over_tls_a_player_who_comes_too_often_is_dropped_before_the_handshake() {
    let identity = Identity::new();
    let mut server = tls_server(&identity, Required);
    server.peer.admission.connections_per_second_per_address = 1;
    let mut clients: Vec<Raw> = (0..6).map(|_| Raw::connect(server.port())).collect();
    clients.iter_mut().for_each(|client| client.send(V1.as_bytes()));
    server.poll_for_nothing();
    assert_eq!(server.peer.stats.refused_rate, 2);
    assert_eq!(clients.iter().filter(|client| client.is_silent()).count(), 4);
}
