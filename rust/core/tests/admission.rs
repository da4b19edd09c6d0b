//! Who is let in: places, newcomers, rates, paths, origins and time limits, while somebody plays on.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;
mod tls_support;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio_websocket_core::config::DEFAULT_HANDSHAKE_TIMEOUT;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer};
use mio_websocket_core::notice::Severity;
use mio_websocket_core::server::Server;
use mio_websocket_core::stats::Stats;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use support::{
    HEADERS, Node, PATIENCE, Raw, TOO_LONG, close_payload, eventually, masked, request, settle,
};
use tls_support::{Identity, NAME, Stepped, VERSIONS, foreign_client};
use tungstenite::Message;

const SECOND: Duration = Duration::from_secs(1);

/// A server with a client that plays on whatever else happens.
struct Game {
    server: Node,
    friend: Raw,
    id: i32,
    played: u8,
    /// Those who have asked, whatever the answer was.
    others: Vec<Raw>,
}

impl Game {
    fn new(setup: impl FnOnce(&mut MultiplayerPeer)) -> Self {
        // What the machine does besides must not decide how much a poll does.
        let mut server = Node::server_with(|peer| {
            peer.budget.time = PATIENCE;
            peer.budget.handshakes = PATIENCE;
            setup(peer);
        });
        let (friend, id) = server.join_raw();
        Self { server, friend, id, played: 0, others: Vec::new() }
    }

    /// A packet of the friend's arrives and is answered.
    #[track_caller]
    fn play(&mut self) {
        self.played += 1;
        let packet = vec![self.played; 3];
        self.friend.send(&masked(0x82, &packet));
        assert_eq!(self.server.receive(1), [(self.id, packet.clone())]);
        self.server.put(self.id, &packet).unwrap();
        self.server.peer.flush();
        assert_eq!(self.friend.frame(), Some((0x82, packet)));
    }

    /// What a client with `head` is answered: the status and the whole head.
    #[track_caller]
    fn ask(&mut self, head: &str) -> (u16, String) {
        let mut client = Raw::connect(self.server.port());
        client.send(head.as_bytes());
        let script = std::thread::spawn(move || (client.head(), client));
        let (answer, client) = self.server.run(script);
        self.others.push(client);
        self.play();
        (status(&answer), answer)
    }

    fn stats(&self) -> Stats {
        self.server.peer.stats
    }

    /// The error lines of the log.
    fn errors(&mut self) -> Vec<String> {
        let lines = std::iter::from_fn(|| self.server.peer.next_notice());
        let errors = lines.filter(|line| line.severity == Severity::Error);
        errors.map(|line| line.text).collect()
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn asking(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HEADERS}{more}\r\n")
}

/// Connections that say nothing.
fn silent(port: u16, count: usize) -> Vec<Raw> {
    (0..count).map(|_| Raw::connect(port)).collect()
}

/// How many of `clients` have been ended by the server.
fn ended(clients: &[Raw]) -> usize {
    settle();
    let has_ended = |client: &&Raw| {
        client.stream.set_nonblocking(true).unwrap();
        let read = client.stream.peek(&mut [0]);
        client.stream.set_nonblocking(false).unwrap();
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    };
    clients.iter().filter(has_ended).count()
}

#[test]
fn several_who_come_in_one_poll_do_not_exceed_the_limit() {
    let mut game = Game::new(|peer| peer.admission.max_clients = 3);
    let mut clients = silent(game.server.port(), 5);
    clients.iter_mut().for_each(|client| client.send(&request()));
    settle();
    game.server.poll_for_nothing();
    let mut answers: Vec<u16> = clients.iter_mut().map(|client| status(&client.head())).collect();
    answers.sort_unstable();
    assert_eq!(answers, [101, 101, 503, 503, 503]);
    game.play();
    assert_eq!((game.stats().joined, game.stats().refused_full), (3, 3));
    assert_eq!(game.errors(), [""; 0]);
}

#[test]
fn who_comes_to_a_full_server_is_told_when_to_ask_again() {
    let mut game = Game::new(|peer| peer.admission.max_clients = 1);
    let (status, head) = game.ask(&asking("/", ""));
    assert_eq!(status, 503);
    assert!(head.contains("\r\nRetry-After: 5\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
}

#[test]
fn a_place_is_free_when_the_end_of_its_client_has_been_signalled() {
    let mut game = Game::new(|peer| peer.admission.max_clients = 2);
    let (mut leaver, leaver_id) = game.server.join_raw();
    // Both in one poll: the game would have three peers for a moment.
    let mut newcomer = Raw::connect(game.server.port());
    settle();
    game.server.poll();
    leaver.send(&masked(0x88, &close_payload(1000, "")));
    newcomer.send(&request());
    settle();
    let events = game.server.next_events();
    assert_eq!(events, [Event::PeerDisconnected(leaver_id)]);
    assert_eq!(status(&newcomer.head()), 503);
    game.server.join_raw();
    game.play();
}

#[test]
fn a_place_is_free_when_its_client_has_been_forced_out() {
    let mut game = Game::new(|peer| peer.admission.max_clients = 2);
    for _ in 0..3 {
        let (_kept_open, id) = game.server.join_raw();
        assert_eq!(game.ask(&asking("/", "")).0, 503);
        game.server.peer.disconnect_peer(id, true).unwrap();
    }
    game.server.join_raw();
}

/// It came to be upgraded, and never to be a peer.
#[test]
fn clients_that_never_were_peers_keep_no_place() {
    let mut game = Game::new(|peer| peer.admission.max_clients = 2);
    // Gone before it was seen.
    let mut hasty = Raw::connect(game.server.port());
    hasty.send(&[request(), masked(0x88, &close_payload(1000, ""))].concat());
    settle();
    game.server.poll_for_nothing();
    assert_eq!(game.server.events, []);
    // Refused since it was accepted.
    let mut late = Raw::connect(game.server.port());
    settle();
    game.server.poll();
    game.server.refuse = true;
    late.send(&request());
    game.server.poll_for_nothing();
    assert_eq!(late.rest().last(), Some(&b'\n'), "no id behind the answer");
    game.server.refuse = false;
    game.server.join_raw();
    assert_eq!(game.stats().refused_full, 0);
    assert_eq!(game.ask(&asking("/", "")).0, 503);
}

#[test]
fn the_limit_may_change_at_any_time() {
    let mut game = Game::new(|_| {});
    let _clients = [game.server.join_raw(), game.server.join_raw()];
    game.server.peer.admission.max_clients = 2;
    assert_eq!(game.ask(&asking("/", "")).0, 503);
    game.server.peer.admission.max_clients = 4;
    assert_eq!(game.ask(&asking("/", "")).0, 101);
    assert_eq!(game.ask(&asking("/", "")).0, 503);
    game.server.peer.admission.max_clients = 0;
    assert_eq!(game.ask(&asking("/", "")).0, 101);
}

#[test]
fn those_who_are_left_waiting_are_neither_refused_nor_accepted() {
    let mut game = Game::new(|peer| peer.admission.max_clients = 1);
    game.server.refuse = true;
    let mut client = Raw::connect(game.server.port());
    client.send(&request());
    game.play();
    assert!(client.is_silent());
    assert_eq!((game.stats().accepted, game.stats().refused_full), (1, 0));
    game.server.refuse = false;
    game.server.poll_for_nothing();
    assert_eq!(status(&client.head()), 503);
}

#[test]
fn silent_connections_make_room_for_newcomers() {
    const MOST: usize = 10;
    const SILENT: usize = 200;
    let mut game = Game::new(|peer| peer.admission.max_pending_handshakes = MOST as u32);
    let crowd = silent(game.server.port(), SILENT);
    settle();
    // Without any time passing, so that nobody is late.
    game.server.join_raw();
    game.play();
    game.server.poll_for_nothing();
    // The oldest have gone.
    assert_eq!(ended(&crowd[..SILENT - MOST]), SILENT - MOST);
    assert_eq!(ended(&crowd[SILENT - MOST..]), 1, "for the newcomer");
    assert_eq!(game.stats().handshakes_displaced, (SILENT - MOST + 1) as u64);
    assert_eq!((game.stats().joined, game.stats().handshake_timeouts), (2, 0));
    assert_eq!(game.errors(), [""; 0]);
    game.play();
}

#[test]
fn who_is_being_refused_counts_as_a_newcomer_until_it_has_gone() {
    let mut game = Game::new(|peer| peer.admission.max_pending_handshakes = 5);
    let mut crowd = silent(game.server.port(), 50);
    crowd.iter_mut().for_each(|client| client.send(b"nonsense\r\n\r\n"));
    settle();
    game.server.poll_for_nothing();
    let refused = game.stats().refused_request;
    assert_eq!((refused, game.stats().handshakes_displaced), (50, 0));
    // All have their answer; the last few are waited for.
    for client in &mut crowd {
        assert_eq!(status(&client.head()), 400);
    }
    game.play();
}

#[test]
fn those_who_have_gone_do_not_count() {
    let mut game = Game::new(|peer| peer.admission.max_pending_handshakes = 2);
    let mut slow = Raw::connect(game.server.port());
    settle();
    game.server.poll();
    for _ in 0..10 {
        drop(Raw::connect(game.server.port()));
        settle();
        game.server.poll_for_nothing();
    }
    slow.send(&request());
    game.server.poll_for_nothing();
    assert_eq!(status(&slow.head()), 101);
    assert_eq!((game.stats().accepted, game.stats().handshakes_displaced), (12, 0));
}

#[test]
fn a_rush_of_those_who_come_with_their_request_displaces_nobody() {
    let mut game = Game::new(|peer| peer.admission.max_pending_handshakes = 3);
    let mut crowd = silent(game.server.port(), 100);
    crowd.iter_mut().for_each(|client| client.send(&request()));
    settle();
    eventually(|| {
        game.server.poll();
        game.stats().joined == 101
    });
    assert_eq!(game.stats().handshakes_displaced, 0);
    assert!(crowd.iter_mut().all(|client| status(&client.head()) == 101));
    game.play();
}

/// In the kernel's queue nobody is given up for others, and no time limit runs.
#[test]
fn those_for_whom_there_is_no_time_are_not_accepted_yet() {
    let mut game = Game::new(|peer| peer.admission.max_pending_handshakes = 3);
    let mut crowd = silent(game.server.port(), 100);
    crowd.iter_mut().for_each(|client| client.send(&request()));
    settle();
    game.server.peer.budget.handshakes = Duration::ZERO;
    for joined in 2..=50 {
        game.server.poll();
        assert!(game.stats().joined <= joined);
        assert!(game.stats().accepted <= joined + 3, "at {joined}: {:?}", game.stats());
    }
    assert!(game.stats().joined > 20);
    assert_eq!(game.stats().handshakes_displaced, 0);
}

#[test]
fn an_address_that_comes_too_often_is_told_so_at_once() {
    let mut game = Game::new(|peer| peer.admission.connections_per_second_per_address = 2);
    let before = game.stats().accepted;
    assert_eq!(before, 1);
    let port = game.server.port();
    let mut let_in = silent(port, 7);
    settle();
    game.server.poll_for_nothing();
    assert_eq!(ended(&let_in), 0);
    // Without a request, and with one that is not looked at.
    let mut refused = silent(port, 2);
    refused[1].send(b"nonsense\r\n\r\n");
    settle();
    game.server.poll_for_nothing();
    for client in &mut refused {
        let answer = String::from_utf8(client.rest()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(status(head), 429);
        assert!(head.contains("\r\nRetry-After: 1\r\n"), "{head}");
        assert_eq!(body, "too many connections from this address\n");
        assert!(head.ends_with(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    }
    game.play();
    assert_eq!((game.stats().refused_rate, game.stats().refused_request), (2, 0));
    // Those who are in are not affected, and a little later one more is let in.
    game.server.wait(SECOND / 2);
    let mut later = silent(port, 2);
    later[0].send(&request());
    later[1].send(&request());
    settle();
    game.server.poll_for_nothing();
    assert_eq!(status(&later[0].head()), 101);
    assert_eq!(status(&later[1].head()), 429);
    let_in[0].send(&request());
    game.server.poll_for_nothing();
    assert_eq!(status(&let_in[0].head()), 101);
    game.play();
    assert_eq!(game.errors(), [""; 0]);
}

#[test]
fn a_flood_of_refusals_leaves_few_lines_in_the_log() {
    let mut game = Game::new(|peer| {
        peer.admission.connections_per_second_per_address = 50;
        peer.admission.allowed_paths = vec!["/".to_owned()];
    });
    for _ in 0..8 {
        let mut crowd = silent(game.server.port(), 60);
        crowd.iter_mut().for_each(|client| drop(client.stream.write(asking("/x", "").as_bytes())));
        settle();
        game.server.poll_for_nothing();
        game.play();
    }
    assert_eq!((game.stats().refused_path, game.stats().refused_rate), (199, 8 * 60 - 199));
    let lines: Vec<_> = std::iter::from_fn(|| game.server.peer.next_notice()).collect();
    assert!(lines.iter().all(|line| line.severity == Severity::Verbose));
    assert_eq!(lines.len(), 100);
}

#[test]
fn only_allowed_paths_are_served() {
    let mut game = Game::new(|_| {});
    game.server.peer.admission.allowed_paths = vec!["/play".to_owned(), "/watch".to_owned()];
    assert_eq!(game.ask(&asking("/", "")).0, 404);
    assert_eq!(game.ask(&asking("/play", "")).0, 101);
    assert_eq!(game.ask(&asking("/watch?seat=3", "")).0, 101);
    assert_eq!(game.ask(&asking("/play/", "")).0, 404);
    assert_eq!((game.stats().refused_path, game.stats().joined), (2, 3));
    assert_eq!(game.errors(), [""; 0]);
}

#[test]
fn only_pages_of_allowed_origins_may_connect() {
    let mut game = Game::new(|_| {});
    game.server.peer.admission.allowed_origins = vec!["https://game.example".to_owned()];
    assert_eq!(game.ask(&asking("/", "Origin: https://evil.example\r\n")).0, 403);
    assert_eq!(game.ask(&asking("/", "Origin: https://GAME.example\r\n")).0, 101);
    assert_eq!(game.ask(&asking("/", "")).0, 101);
    assert_eq!((game.stats().refused_origin, game.stats().joined), (1, 3));
    assert_eq!(game.errors(), [""; 0]);
}

/// Whoever is refused for something else takes no place.
#[test]
fn a_refusal_takes_no_place() {
    let mut game = Game::new(|_| {});
    game.server.peer.admission.max_clients = 2;
    game.server.peer.admission.allowed_paths = vec!["/play".to_owned()];
    game.server.peer.config.supported_protocols = vec!["chess".to_owned()];
    assert_eq!(game.ask(&asking("/", "")).0, 404);
    assert_eq!(game.ask(&asking("/play", "")).0, 400);
    let chess = "Sec-WebSocket-Protocol: chess\r\n";
    assert_eq!(game.ask(&asking("/play", chess)).0, 101);
    assert_eq!(game.ask(&asking("/play", chess)).0, 503);
    // It would not fit either when there is a place.
    assert_eq!(game.ask(&asking("/play", "")).0, 400);
    let stats = game.stats();
    assert_eq!((stats.refused_path, stats.refused_request, stats.refused_full), (1, 2, 1));
}

#[test]
fn a_request_may_be_as_large_as_it_may_be_and_no_larger() {
    for size in [400, 20_000] {
        let mut game = Game::new(|peer| peer.config.max_request_size = size);
        let padding = size - asking("/", "X: \r\n").len();
        let fitting = asking("/", &format!("X: {}\r\n", "x".repeat(padding)));
        assert_eq!(fitting.len(), size);
        assert_eq!(game.ask(&fitting).0, 101);
        let larger = asking("/", &format!("X: {}\r\n", "x".repeat(padding + 1)));
        assert_eq!(game.ask(&larger).0, 431);
        assert_eq!((game.stats().refused_request, game.stats().joined), (1, 2));
    }
}

#[test]
fn a_byte_a_second_does_not_hold_a_place_among_the_newcomers() {
    let mut game = Game::new(|_| {});
    let mut slow = Raw::connect(game.server.port());
    settle();
    game.server.poll();
    let seconds = DEFAULT_HANDSHAKE_TIMEOUT.as_secs() as usize;
    for byte in &request()[..seconds] {
        slow.send(&[*byte]);
        settle();
        game.server.wait(SECOND);
        game.play();
        assert!(slow.is_silent());
    }
    slow.send(b"x");
    settle();
    game.server.wait(Duration::from_millis(1));
    game.play();
    assert_eq!(slow.rest(), b"");
    assert_eq!(game.stats().handshake_timeouts, 1);
    assert_eq!(game.errors(), [""; 0]);
}

#[test]
fn many_who_are_late_at_once_do_not_hold_up_a_poll_and_stay_late() {
    let mut game = Game::new(|_| {});
    let mut late = silent(game.server.port(), 20);
    settle();
    game.play();
    assert_eq!(game.stats().accepted, 21);
    game.server.wait(TOO_LONG);
    // There is always time for one.
    game.server.peer.budget.handshakes = Duration::ZERO;
    for count in 1..=10 {
        game.server.poll();
        assert_eq!(game.stats().handshake_timeouts, count);
    }
    // Now it does what it should have done before, and its deadline has not been looked at.
    late[19].send(&request());
    settle();
    game.server.poll();
    assert_eq!((game.stats().handshake_timeouts, game.stats().joined), (12, 1));
    game.play();
    game.server.peer.budget.handshakes = PATIENCE;
    game.server.poll();
    assert_eq!((game.stats().handshake_timeouts, ended(&late)), (20, 20));
    assert_eq!(game.stats().joined, 1);
}

#[test]
fn a_byte_a_second_does_not_prolong_a_tls_handshake() {
    let identity = Identity::new();
    let mut server = Node::new();
    server.peer.create_server(0, "127.0.0.1", Some(identity.tls(true)), server.clock).unwrap();
    let port = server.port();
    let config = Arc::new(identity.client_config(&VERSIONS));
    let mut hello = Vec::new();
    let name = ServerName::try_from(NAME).unwrap();
    ClientConnection::new(config.clone(), name).unwrap().write_tls(&mut hello).unwrap();
    let mut slow = Raw::connect(port);
    settle();
    server.poll();
    let seconds = DEFAULT_HANDSHAKE_TIMEOUT.as_secs() as usize;
    for byte in &hello[..seconds] {
        slow.send(&[*byte]);
        settle();
        server.wait(SECOND);
        server.poll();
        assert!(slow.is_silent());
    }
    slow.send(&hello[seconds..]);
    settle();
    server.wait(Duration::from_millis(1));
    server.poll();
    let rest = slow.rest();
    // The end of TLS may be said, and nothing else.
    assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
    assert_eq!((server.peer.stats.handshake_timeouts, server.peer.stats.failed_tls), (1, 0));
    // Somebody who is not slow gets in meanwhile.
    let script = std::thread::spawn(move || foreign_client(port, &config));
    server.run(script);
    assert_eq!(server.peer.stats.joined, 1);
}

#[test]
fn a_connection_over_the_rate_is_dropped_before_tls() {
    let identity = Identity::new();
    let mut server = Node::new();
    server.peer.admission.connections_per_second_per_address = 1;
    server.peer.create_server(0, "127.0.0.1", Some(identity.tls(true)), server.clock).unwrap();
    let port = server.port();
    let config = Arc::new(identity.client_config(&VERSIONS));
    let script = std::thread::spawn(move || foreign_client(port, &config));
    let mut friend = server.run(script);
    let _let_in = silent(port, 3);
    let mut refused = Raw::connect(port);
    settle();
    server.poll_for_nothing();
    assert_eq!(refused.rest(), b"");
    assert_eq!((server.peer.stats.accepted, server.peer.stats.refused_rate), (5, 1));
    friend.send(Message::binary("on".as_bytes())).unwrap();
    assert_eq!(server.receive(1)[0].1, b"on");
}

/// Handshakes go on for several polls. Who has come in the meantime displaces nobody.
#[test]
fn a_rush_over_tls_displaces_nobody() {
    const COUNT: usize = 60;
    let identity = Identity::new();
    let config = Arc::new(identity.client_config(&VERSIONS));
    let mut server = Node::new();
    server.peer.admission.max_pending_handshakes = 16;
    server.peer.budget.handshakes = Duration::ZERO;
    server.peer.create_server(0, "127.0.0.1", Some(identity.tls(true)), server.clock).unwrap();
    let mut clients: Vec<Stepped> =
        (0..COUNT).map(|_| Stepped::new(server.port(), &config)).collect();
    let request = request();
    for client in &mut clients {
        client.connection.writer().write_all(&request).unwrap();
    }
    let mut polls = 0;
    while server.peer.stats.joined < COUNT as u64 {
        clients.iter_mut().for_each(Stepped::step);
        server.poll();
        polls += 1;
        assert!(polls < 20 * COUNT, "{:?}", server.peer.stats);
    }
    assert_eq!(server.peer.stats.handshakes_displaced, 0);
}

#[test]
fn what_is_no_tls_is_counted() {
    let identity = Identity::new();
    let mut server = Node::new();
    server.peer.create_server(0, "127.0.0.1", Some(identity.tls(true)), server.clock).unwrap();
    let mut plain = Raw::connect(server.port());
    plain.send(&request());
    server.poll_for_nothing();
    plain.rest();
    let stats = server.peer.stats;
    assert_eq!((stats.failed_tls, stats.refused_request, stats.handshake_timeouts), (1, 0, 0));
}

/// The peers of a server share its event loop, and whichever is polled reads for all.
#[test]
fn a_peer_that_is_polled_lets_nobody_in() {
    let mut server = Server::default();
    server.admission.allowed_paths = vec!["/play".to_owned()];
    server.listen(0, "127.0.0.1", None).unwrap();
    let now = Instant::now();
    let mut friend = Raw::connect(server.local_port());
    friend.send(asking("/play", "").as_bytes());
    eventually(|| server.is_connection_available(now));
    let mut peer = server.take_connection().unwrap();
    assert_eq!(status(&friend.head()), 101);

    let mut stranger = Raw::connect(server.local_port());
    settle();
    server.is_connection_available(now);
    stranger.send(asking("/", "").as_bytes());
    settle();
    for _ in 0..10 {
        peer.poll(now);
    }
    assert!(stranger.is_silent());
    friend.send(&masked(0x82, b"on"));
    eventually(|| {
        peer.poll(now);
        peer.receive().is_some_and(|message| message.data == "on")
    });
    assert!(!server.is_connection_available(now));
    assert_eq!(status(&stranger.head()), 404);
    assert_eq!((server.stats.refused_path, server.stats.accepted), (1, 2));
}

#[test]
fn a_client_that_waits_for_its_id_in_vain_is_counted() {
    let (listener, port) = support::listen();
    let mut client = Node::client(port);
    let _server = support::raw_server(&mut client, &listener);
    client.poll_for_nothing();
    client.wait(TOO_LONG);
    client.poll();
    assert!(!client.is_connected());
    assert_eq!(client.peer.stats.handshake_timeouts, 1);
}

#[test]
fn every_count_has_its_name() {
    let stats = Stats { accepted: 1, refused_origin: 2, packets_dropped: 3, ..Stats::default() };
    let entries: Vec<(&str, u64)> = stats.entries().collect();
    let text = format!("{stats:?}");
    let fields: Vec<String> =
        entries.iter().map(|(name, count)| format!("{name}: {count}")).collect();
    let closes = stats.closes;
    assert_eq!(text, format!("Stats {{ {}, closes: {closes:?} }}", fields.join(", ")));
}

/// A connection of a server without multiplayer rules that ended before anybody took it, with
/// messages in it and answers that could not be written.
#[test]
fn who_has_gone_untaken_leaves_no_place_behind() {
    let mut server = Server::default();
    server.admission.max_clients = 1;
    server.config.max_queued_packets = 3;
    server.listen(0, "127.0.0.1", None).unwrap();
    let now = Instant::now();
    let mut gone = Raw::connect_small(server.local_port());
    gone.send(&request());
    eventually(|| server.is_connection_available(now));
    let pings = masked(0x89, &[7; 125]).repeat(200);
    for _ in 0..250 {
        gone.send(&pings);
        settle();
        server.is_connection_available(now);
    }
    gone.send(&masked(0x82, b"x").repeat(10));
    settle();
    server.is_connection_available(now);
    gone.reset();
    eventually(|| !server.is_connection_available(now));
    for _ in 0..3 {
        settle();
        server.is_connection_available(now);
    }
    let mut next = Raw::connect(server.local_port());
    next.send(&request());
    eventually(|| server.is_connection_available(now));
    assert_eq!(status(&next.head()), 101);
}
