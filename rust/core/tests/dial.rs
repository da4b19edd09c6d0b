//! From a URL to a connection: names, several addresses, ports that nobody listens on.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use mio_websocket_core::connection::State;
use mio_websocket_core::dial::{Resolve, ThreadResolver};
use mio_websocket_core::error::{Error, Failure, Phase};
use mio_websocket_core::multiplayer::Status;
use mio_websocket_core::peer::Peer;
use support::{
    Deaf, Node, Raw, Script, accept, bounded, dial, dial_alone, eventually, listen, settle,
};

const LIMIT: Duration = Duration::from_secs(3);
/// Head start of one address over the next.
const STAGGER: Duration = Duration::from_millis(250);

/// A peer that connects to `port` at the name `game.test`, which `resolver` knows.
fn named(port: u16, resolver: impl Resolve + 'static, now: Instant) -> Peer {
    let mut peer = Peer::default();
    let resolve = |host: &str| -> Box<dyn Resolve> {
        assert_eq!(host, "game.test");
        Box::new(resolver)
    };
    dial_alone(&mut peer, &format!("ws://Game.Test:{port}/"), resolve, LIMIT, now).unwrap();
    peer
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    listen().1
}

/// The peer's connection arrives at `listener` although the clock stands still.
#[track_caller]
fn arrives(peer: &mut Peer, listener: &TcpListener, now: Instant) -> Raw {
    listener.set_nonblocking(true).unwrap();
    let stream = support::until(|| {
        peer.poll(now);
        listener.accept().ok()
    });
    stream.0.set_nonblocking(false).unwrap();
    let mut raw = Raw::new(stream.0);
    eventually(|| {
        peer.poll(now);
        !raw.is_silent()
    });
    assert!(raw.head().starts_with("GET / HTTP/1.1\r\nHost: game.test:"));
    raw
}

fn failure(peer: &Peer) -> Failure {
    peer.connection().unwrap().borrow().failure().unwrap().clone()
}

#[test]
fn a_port_that_nobody_listens_on_fails_without_a_signal() {
    let mut client = Node::client(free_port());
    eventually(|| {
        client.poll();
        client.peer.status() == Status::Disconnected
    });
    assert_eq!(client.events, []);
    let notice = client.peer.next_notice().unwrap();
    assert!(notice.text.contains("cannot connect"), "{}", notice.text);
    // It can be used again at once.
    let server = Node::server();
    client.dial(server.port()).unwrap();
}

#[cfg_attr(not(target_os = "linux"), ignore = "127.0.0.2 is not of every machine")]
#[test]
fn a_dead_address_does_not_hold_up_the_next_one() {
    let now = Instant::now();
    for addresses in [
        &["127.0.0.2", "127.0.0.1"][..],
        &["::1", "127.0.0.1"],
        &["127.0.0.1", "::1"],
        &["127.0.0.2", "::1", "127.0.0.3", "127.0.0.1"],
    ] {
        let (listener, port) = listen();
        let mut peer = named(port, Script::addresses(addresses), now);
        arrives(&mut peer, &listener, now);
        let remote = peer.connection().unwrap().borrow().remote();
        assert_eq!(remote, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))), "{addresses:?}");
    }
}

#[test]
fn a_server_that_has_only_ipv6_is_reached() {
    // Not every machine has IPv6.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let now = Instant::now();
    let mut peer = named(port, Script::addresses(&["127.0.0.1", "::1"]), now);
    arrives(&mut peer, &listener, now);
    assert!(peer.connection().unwrap().borrow().remote().unwrap().is_ipv6());
}

#[cfg_attr(not(target_os = "linux"), ignore = "127.0.0.2 is not of every machine")]
#[test]
fn an_address_that_does_not_answer_gets_a_head_start_and_no_more() {
    bounded(head_start);
}

fn head_start() {
    let (listener, port) = listen();
    let deaf = Deaf::new(([127, 0, 0, 2], port).into());
    let now = Instant::now();
    let mut peer = named(deaf.port(), Script::addresses(&["127.0.0.2", "127.0.0.1"]), now);
    let is_waiting = |peer: &Peer| peer.state() == State::Connecting;
    listener.set_nonblocking(true).unwrap();
    for _ in 0..5 {
        peer.poll(now + STAGGER - Duration::from_millis(1));
        settle();
    }
    assert!(is_waiting(&peer) && listener.accept().is_err(), "the head start");
    arrives(&mut peer, &listener, now + 2 * STAGGER);
}

#[cfg_attr(not(target_os = "linux"), ignore = "a full queue answers elsewhere")]
#[test]
fn an_ipv6_address_that_does_not_answer_costs_its_head_start() {
    bounded(|| {
        // Not every machine has IPv6.
        if TcpListener::bind("[::1]:0").is_err() {
            return;
        }
        let (listener, port) = listen();
        let _deaf = Deaf::new((Ipv6Addr::LOCALHOST, port).into());
        let now = Instant::now();
        let mut peer = named(port, Script::addresses(&["127.0.0.1", "::1"]), now);
        listener.set_nonblocking(true).unwrap();
        for wait in [Duration::ZERO, STAGGER - Duration::from_millis(1)] {
            peer.poll(now + wait);
            settle();
        }
        assert!(listener.accept().is_err(), "ipv6 comes first");
        arrives(&mut peer, &listener, now + STAGGER + Duration::from_millis(1));
        assert!(peer.connection().unwrap().borrow().remote().unwrap().is_ipv4());
    });
}

#[test]
fn ipv6_wins_where_both_answer() {
    let (other, port) = listen();
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) else { return };
    let now = Instant::now();
    let mut peer = named(port, Script::addresses(&["127.0.0.1", "::1"]), now);
    arrives(&mut peer, &listener, now);
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "nobody else was asked");
}

#[cfg_attr(not(target_os = "linux"), ignore = "127.0.0.2 is not of every machine")]
#[test]
fn an_address_that_fails_ends_the_wait_for_the_next_one() {
    bounded(|| {
        let (listener, port) = listen();
        let _deaf = Deaf::new(([127, 0, 0, 2], port).into());
        let now = Instant::now();
        // The first does not answer; in the second head start nobody listens on the next two.
        let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"];
        let mut peer = named(port, Script::addresses(&addresses), now);
        peer.poll(now);
        arrives(&mut peer, &listener, now + STAGGER + Duration::from_millis(1));
    });
}

#[cfg_attr(not(target_os = "linux"), ignore = "127.0.0.2 is not of every machine")]
#[test]
fn no_address_that_answers_is_a_failure() {
    let port = free_port();
    let now = Instant::now();
    let mut peer = named(port, Script::addresses(&["127.0.0.1", "127.0.0.2"]), now);
    eventually(|| {
        peer.poll(now);
        peer.state() == State::Closed
    });
    assert!(matches!(failure(&peer), Failure::Connect(_)), "{:?}", failure(&peer));
}

#[test]
fn a_name_that_cannot_be_resolved_is_a_failure() {
    let now = Instant::now();
    let script = Script([Some(Err("no such name".to_owned()))].into());
    let mut peer = named(80, script, now);
    peer.poll(now);
    assert_eq!(failure(&peer), Failure::Resolve("no such name".to_owned()));

    let mut peer = named(80, Script::addresses(&[]), now);
    peer.poll(now);
    assert!(matches!(failure(&peer), Failure::Resolve(_)), "{:?}", failure(&peer));

    let mut client = Node::new();
    let script = Script([Some(Err("no such name".to_owned()))].into());
    dial(&mut client.peer, "ws://nowhere.test/", |_| Box::new(script), client.clock).unwrap();
    client.poll();
    assert_eq!((client.peer.status(), client.events.len()), (Status::Disconnected, 0));
    assert!(client.peer.next_notice().unwrap().text.contains("no such name"));
}

#[test]
fn a_name_may_take_its_time() {
    let (listener, port) = listen();
    let now = Instant::now();
    let answer = Some(Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
    let script = Script([None, None, None, answer].into());
    let mut peer = named(port, script, now);
    for _ in 0..3 {
        peer.poll(now);
        assert_eq!(peer.state(), State::Connecting);
        assert_eq!(peer.connection().unwrap().borrow().remote().unwrap().port(), port);
    }
    arrives(&mut peer, &listener, now);
}

#[test]
fn a_name_that_is_never_resolved_ends_in_time() {
    let now = Instant::now();
    let mut peer = named(80, Script([None].into()), now);
    peer.poll(now + LIMIT);
    assert_eq!(peer.state(), State::Connecting);
    peer.poll(now + LIMIT + Duration::from_millis(1));
    assert_eq!(failure(&peer), Failure::Timeout(Phase::Resolve));
}

#[test]
fn a_name_is_resolved_by_the_system() {
    let (listener, port) = listen();
    let mut peer = Peer::default();
    let url = format!("ws://localhost:{port}/");
    let resolver =
        |host: &str| -> Box<dyn Resolve> { Box::new(ThreadResolver::new(host.to_owned())) };
    dial_alone(&mut peer, &url, resolver, LIMIT, Instant::now()).unwrap();
    let server = std::thread::spawn(move || tungstenite::accept(accept(&listener)).unwrap());
    support::reach(&mut peer, State::Open);
    support::finish(server);
}

#[test]
fn what_cannot_be_dialed_is_refused_at_once() {
    let mut client = Node::new();
    for url in ["http://a/", "ws://", "ws://a:b/", "ws://a:99999/", "ws://a/\r\nX: y"] {
        let result = dial(&mut client.peer, url, support::no_resolver, client.clock);
        assert!(matches!(result, Err(Error::Url(_))), "{url:?}: {result:?}");
    }
    client.peer.config.handshake_headers = vec!["A: b\r\nC: d".to_owned()];
    let result = dial(&mut client.peer, "ws://127.0.0.1/", support::no_resolver, client.clock);
    assert!(matches!(result, Err(Error::Header(_))), "{result:?}");
    assert_eq!(client.peer.status(), Status::Disconnected);
}
