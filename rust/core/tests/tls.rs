//! TLS against plain rustls, which is driven as rustls's own examples do it: blocking, over std's
//! sockets.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod tls_support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio_websocket_core::admission::Admission;
use mio_websocket_core::config::{
    AdmissionConfig, ConnectionConfig, DEFAULT_HANDSHAKE_TIMEOUT, PollBudget,
};
use mio_websocket_core::connection::State;
use mio_websocket_core::error::{Error, Failure, Phase};
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer};
use mio_websocket_core::notice::Notices;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::reactor::Reactor;
use mio_websocket_core::stats::Stats;
use mio_websocket_core::tls::{ClientOptions, ServerTls, Trust};
use mio_websocket_core::websocket::Kind;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, NameConstraints, date_time_ymd,
};
use rustls::{ProtocolVersion, StreamOwned};
use socket2::SockRef;
use tls_support::{
    Identity, NAME, Numbers, OurServer, Stepped, VERSIONS, bounded, client, dial, dribble, echo,
    eventually, failure_of, finish, foreign_client, foreign_server, foreign_stream, reach, receive,
    tcp, until,
};
use tungstenite::Message;

/// Payloads around every boundary of frames and records.
const SIZES: [usize; 9] = [0, 1, 125, 126, 16383, 16384, 16385, 40000, 65535];

fn request(port: u16) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {NAME}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Reads up to the end of an HTTP head.
fn read_head(stream: &mut impl Read) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
}

/// A short binary frame of a client, with a mask of zeroes.
fn frame(payload: &[u8]) -> Vec<u8> {
    [&[0x82, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// Polls until `script` in another thread has ended; what it returned.
#[track_caller]
fn poll_while<T>(peer: &mut Peer, script: JoinHandle<T>) -> T {
    eventually(|| {
        peer.poll(Instant::now());
        script.is_finished()
    });
    finish(script)
}

#[test]
fn both_versions_carry_messages_to_our_server() {
    let identity = Identity::new();
    for version in VERSIONS {
        let mut server = OurServer::new(identity.tls(true));
        let (port, config) = (server.port(), Arc::new(identity.client_config(&[version])));
        let script = std::thread::spawn(move || {
            let mut socket = foreign_client(port, &config);
            for size in SIZES {
                let payload = vec![size as u8; size];
                socket.send(Message::binary(payload.clone())).unwrap();
                assert_eq!(socket.read().unwrap(), Message::binary(payload));
            }
            socket.send(Message::text("grüße")).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text("grüße"));
            socket.get_ref().conn.protocol_version()
        });
        assert_eq!(server.echo_while(script), Some(version.version));
        assert_eq!(server.taken[0].connection().unwrap().borrow().requested_url(), {
            format!("wss://{NAME}:{port}/")
        });
    }
}

#[test]
fn both_versions_carry_messages_from_our_client() {
    let identity = Identity::new();
    for version in VERSIONS {
        let (port, server) = foreign_server(identity.server_config(&[version]), |mut socket| {
            echo(&mut socket);
            Some(socket.get_ref().conn.protocol_version())
        });
        let mut client = client(port, identity.options());
        reach(&mut client, State::Open);
        for size in SIZES {
            let payload = vec![size as u8; size];
            client.send(Kind::Binary, &payload).unwrap();
            assert_eq!(receive(&mut client), (Kind::Binary, payload));
        }
        client.close(1000, "");
        reach(&mut client, State::Closed);
        assert_eq!(finish(server), Some(version.version));
    }
}

#[test]
fn the_newer_version_can_be_left_out() {
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(false));
    let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS)));
    let script =
        std::thread::spawn(move || foreign_client(port, &config).get_ref().conn.protocol_version());
    assert_eq!(server.echo_while(script), Some(ProtocolVersion::TLSv1_2));

    let (port, server) = foreign_server(identity.server_config(&VERSIONS), |socket| {
        Some(socket.get_ref().conn.protocol_version())
    });
    let mut older = identity.options();
    older.tls13 = false;
    let mut client = client(port, older);
    assert_eq!(poll_while(&mut client, server), Some(ProtocolVersion::TLSv1_2));
}

#[test]
fn no_common_version_is_said_on_both_sides() {
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(false));
    let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS[..1])));
    let script = std::thread::spawn(move || {
        let mut stream = foreign_stream(port, &config);
        stream.flush().unwrap_err().to_string()
    });
    let told = server.echo_while(script);
    assert!(told.contains("ProtocolVersion"), "{told}");
    let line = until(|| {
        server.poll();
        server.server.notices.pop()
    });
    assert!(line.text.contains("no common version"), "{}", line.text);
}

/// RFC 8446, section 4.6.3: keys may change at any time, and one side can ask the other to.
#[test]
fn key_updates_go_unnoticed_by_our_server() {
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(true));
    let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS[..1])));
    let script = std::thread::spawn(move || {
        let mut socket = foreign_client(port, &config);
        for round in 0..50_u8 {
            let payload = vec![round; 1000 * usize::from(round)];
            socket.get_mut().conn.refresh_traffic_keys().unwrap();
            socket.write(Message::binary(payload.clone())).unwrap();
            // The second one is behind the data, in the same segment.
            socket.get_mut().conn.refresh_traffic_keys().unwrap();
            socket.flush().unwrap();
            assert_eq!(socket.read().unwrap(), Message::binary(payload));
        }
        socket
    });
    let _open = server.echo_while(script);
    assert_eq!(server.taken[0].state(), State::Open);
}

#[test]
fn key_updates_go_unnoticed_by_our_client() {
    let identity = Identity::new();
    let (port, server) = foreign_server(identity.server_config(&VERSIONS[..1]), |mut socket| {
        for _ in 0..50 {
            socket.get_mut().conn.refresh_traffic_keys().unwrap();
            let message = socket.read().unwrap();
            socket.get_mut().conn.refresh_traffic_keys().unwrap();
            socket.send(message).unwrap();
        }
        Some(())
    });
    let mut client = client(port, identity.options());
    reach(&mut client, State::Open);
    for round in 0..50_u8 {
        let payload = vec![round; 1000 * usize::from(round)];
        client.send(Kind::Binary, &payload).unwrap();
        assert_eq!(receive(&mut client), (Kind::Binary, payload));
    }
    finish(server);
}

/// What a client of ours that connects to `host` with or without `name` and checks has told a
/// foreign server: the server's name and the protocol.
fn told(
    identity: &Identity,
    host: &str,
    name: Option<&str>,
    trust: Trust,
    check_name: bool,
) -> (Option<String>, Option<Vec<u8>>) {
    let mut config = identity.server_config(&VERSIONS);
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    let (port, server) = foreign_server(config, |socket| {
        let connection = &socket.get_ref().conn;
        let name = connection.server_name().map(str::to_owned);
        Some((name, connection.alpn_protocol().map(<[u8]>::to_vec)))
    });
    let mut options = identity.options();
    options.trust = trust;
    options.name = name.map(str::to_owned);
    options.check_name = check_name;
    let mut peer = Peer::default();
    dial(&mut peer, host, port, options).unwrap();
    poll_while(&mut peer, server)
}

/// RFC 6066, section 3: a name, and no address.
#[test]
fn our_client_says_whom_it_wants_and_what_it_speaks() {
    let identity = Identity::new();
    let root = || Trust::Only(identity.root.clone());
    let http = Some(b"http/1.1".to_vec());
    for (host, name, trust, check_name, expected) in [
        (NAME, None, root(), true, Some(NAME)),
        ("GAME.test", None, root(), true, Some(NAME)),
        ("127.0.0.1", None, root(), true, None),
        ("127.0.0.1", Some(NAME), root(), true, Some(NAME)),
        ("other.test", Some(NAME), root(), true, Some(NAME)),
        (NAME, Some("127.0.0.1"), root(), true, None),
        // Nothing is checked, or the name is not: it is said all the same, since servers choose by
        // it which certificate they show.
        (NAME, None, Trust::Anyone, false, Some(NAME)),
        ("other.test", None, Trust::Anyone, false, Some("other.test")),
        ("other.test", None, root(), false, Some("other.test")),
        ("127.0.0.1", None, Trust::Anyone, false, None),
    ] {
        let case = format!("{host} {name:?} {check_name}");
        let got = told(&identity, host, name, trust, check_name);
        assert_eq!(got, (expected.map(str::to_owned), http.clone()), "{case}");
    }
}

#[test]
fn our_server_speaks_http_and_nothing_else() {
    let identity = Identity::new();
    let http = Some(b"http/1.1".to_vec());
    for (offered, expected) in [
        (vec![], Ok(None)),
        (vec!["http/1.1"], Ok(http.clone())),
        (vec!["h2", "http/1.1"], Ok(http)),
        (vec!["h2"], Err(())),
    ] {
        let mut server = OurServer::new(identity.tls(true));
        let mut config = identity.client_config(&VERSIONS);
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (port, config) = (server.port(), Arc::new(config));
        let script = std::thread::spawn(move || {
            let mut stream = foreign_stream(port, &config);
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock).map_err(drop)?;
            }
            Ok(stream.conn.alpn_protocol().map(<[u8]>::to_vec))
        });
        assert_eq!(server.echo_while(script), expected, "{offered:?}");
    }
}

/// What is not trusted is not trusted, however often it was met.
#[test]
fn careless_sessions_do_not_spread() {
    let identity = Identity::new();
    let stranger = Identity::new();
    let mut server = OurServer::new(identity.tls(true));
    let port = server.port();
    let mut careless = identity.options();
    careless.trust = Trust::Anyone;
    careless.check_name = false;
    let mut first = client(port, careless);
    eventually(|| {
        server.poll();
        first.poll(Instant::now());
        first.state() == State::Open
    });
    for (options, host, word) in [
        (stranger.options(), NAME, "unknown issuer"),
        (identity.options(), "other.test", "name mismatch"),
    ] {
        let mut second = Peer::default();
        dial(&mut second, host, port, options).unwrap();
        eventually(|| {
            server.poll();
            second.poll(Instant::now());
            second.state() == State::Closed
        });
        let failure = failure_of(&second);
        assert!(
            matches!(&failure, Some(Failure::Tls(cause)) if cause.contains(word)),
            "{failure:?}"
        );
    }
}

/// An authority that was made anew has the name that it had; the certificates of the former one
/// are of an issuer that is not known.
#[test]
fn an_authority_is_more_than_its_name() {
    let identity = Identity::of("One root");
    let again = Identity::of("One root");
    let mut server = OurServer::new(identity.tls(true));
    let mut client = client(server.port(), again.options());
    eventually(|| {
        server.poll();
        client.poll(Instant::now());
        client.state() == State::Closed
    });
    let failure = failure_of(&client);
    let is_told = matches!(&failure, Some(Failure::Tls(cause)) if cause.contains("unknown issuer"));
    assert!(is_told, "{failure:?}");
}

/// The key of a server whose own certificate is trusted signs nothing else.
#[test]
fn a_certificate_of_a_server_is_no_authority() {
    for (is_ca, state) in [
        (IsCa::Ca(BasicConstraints::Unconstrained), State::Open),
        (IsCa::ExplicitNoCa, State::Closed),
        (IsCa::NoCa, State::Closed),
    ] {
        let mut params = CertificateParams::new(["other.test".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let trusted = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NAME.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &trusted).unwrap();
        let tls = ServerTls::new(&signed.pem(), &key.serialize_pem(), true).unwrap();
        let mut server = OurServer::new(tls);
        let trust = Trust::Only(trusted.pem());
        let options = ClientOptions { trust, check_name: true, name: None, tls13: true };
        let mut client = client(server.port(), options);
        eventually(|| {
            server.poll();
            client.poll(Instant::now());
            client.state() != State::Connecting
        });
        assert_eq!(client.state(), state, "{:?}", failure_of(&client));
    }
}

/// What an authority signs is refused when it has expired, for other names than it may vouch for, for
/// another purpose, and, where everybody's authorities are trusted, without alternative names.
#[test]
fn an_authority_is_believed_within_its_limits() {
    let issuer = |limit: fn(&mut CertificateParams)| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        limit(&mut params);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let usual = || issuer(|_| ());
    let expired = || issuer(|params| params.not_after = date_time_ymd(2002, 1, 1));
    let limited = || {
        issuer(|params| {
            let permitted_subtrees = vec![GeneralSubtree::DnsName("corp.test".into())];
            let excluded_subtrees = Vec::new();
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees, excluded_subtrees });
        })
    };
    let named = || CertificateParams::new([NAME.to_owned()]).unwrap();
    let own_authority = || {
        let mut params = named();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let for_code = || {
        let mut params = own_authority();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params
    };
    let common_name = || {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params
    };
    let only = |issuer: &CertifiedIssuer<'_, KeyPair>| Trust::Only(issuer.pem());
    let public = |issuer: &CertifiedIssuer<'_, KeyPair>| Trust::Public(issuer.pem().into());
    type TrustIn<'a> = &'a dyn Fn(&CertifiedIssuer<'_, KeyPair>) -> Trust;
    let (only, public): (TrustIn<'_>, TrustIn<'_>) = (&only, &public);
    for (case, issuer, params, trust, state) in [
        ("plain", usual(), named(), only, State::Open),
        ("an authority itself", usual(), own_authority(), only, State::Open),
        ("common name", usual(), common_name(), only, State::Open),
        ("public", usual(), named(), public, State::Open),
        ("expired", expired(), named(), only, State::Closed),
        ("expired, an authority", expired(), own_authority(), only, State::Closed),
        ("other names", limited(), named(), only, State::Closed),
        ("other names, an authority", limited(), own_authority(), only, State::Closed),
        ("code", usual(), for_code(), only, State::Closed),
        ("public, common name", usual(), common_name(), public, State::Closed),
    ] {
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &issuer).unwrap();
        let tls = ServerTls::new(&signed.pem(), &key.serialize_pem(), true).unwrap();
        let mut server = OurServer::new(tls);
        let options =
            ClientOptions { trust: trust(&issuer), check_name: true, name: None, tls13: true };
        let mut client = client(server.port(), options);
        eventually(|| {
            server.poll();
            client.poll(Instant::now());
            client.state() != State::Connecting
        });
        assert_eq!(client.state(), state, "{case}: {:?}", failure_of(&client));
    }
}

/// With a budget of nearly nothing each poll does one step, and everybody gets in after all. Those
/// who are in are served meanwhile.
#[test]
fn handshakes_are_spread_over_polls() {
    const COUNT: usize = 60;
    let identity = Identity::new();
    let config = Arc::new(identity.client_config(&VERSIONS));
    let mut reactor = Reactor::new().unwrap();
    reactor.listen(0, "127.0.0.1", Some(identity.tls(true))).unwrap();
    let port = reactor.local_port();
    let (mut stats, mut notices) = (Stats::default(), Notices::default());
    let mut poll = |handshakes: Duration| {
        let mut budget = PollBudget::default();
        budget.handshakes = handshakes;
        budget.time = Duration::from_secs(3600);
        let mut admission = Admission {
            config: &AdmissionConfig::default(),
            connections: &ConnectionConfig::default(),
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            is_refusing: false,
            stats: &mut stats,
            notices: &mut notices,
        };
        reactor.poll(Instant::now(), Some(&mut admission), &mut budget);
        reactor.flush(Instant::now());
        while let Some(connection) = reactor.next_touched() {
            let mut connection = connection.borrow_mut();
            while let Some(message) = connection.receive() {
                connection.send(message.kind, &message.data).unwrap();
                connection.flush();
            }
        }
    };

    let mut friend = Stepped::new(port, &config);
    while friend.connection.is_handshaking() {
        friend.step();
        poll(PollBudget::default().handshakes);
    }
    friend.connection.writer().write_all(request(port).as_bytes()).unwrap();
    let mut head = [0; 1024];
    eventually(|| {
        friend.step();
        poll(PollBudget::default().handshakes);
        friend.connection.reader().read(&mut head).is_ok_and(|count| count > 0)
    });

    let mut clients: Vec<Stepped> = (0..COUNT).map(|_| Stepped::new(port, &config)).collect();
    clients.iter_mut().for_each(Stepped::step);
    std::thread::sleep(Duration::from_millis(5));
    let mut polls = 0;
    let mut waiting = COUNT;
    while waiting > 0 {
        friend.connection.writer().write_all(&frame(b"ping")).unwrap();
        friend.step();
        poll(Duration::from_nanos(1));
        polls += 1;
        let mut echo = [0; 64];
        let count = until(|| {
            friend.step();
            friend.connection.reader().read(&mut echo).ok()
        });
        assert_eq!(&echo[..count], b"\x82\x04ping", "within the same poll");
        clients.iter_mut().for_each(Stepped::step);
        let still = clients.iter().filter(|client| client.connection.is_handshaking()).count();
        assert!(waiting - still <= 1, "{} in one poll", waiting - still);
        waiting = still;
        assert!(polls < 10 * COUNT, "{waiting} are not served");
    }
    println!("{COUNT} handshakes took {polls} polls of one step");
    assert!(polls >= COUNT);
}

/// The budget that peers have: 200 clients with P-256 do not get in with a single poll.
#[test]
fn a_rush_of_clients_does_not_hold_a_frame() {
    const COUNT: usize = 200;
    let identity = Identity::new();
    let config = Arc::new(identity.client_config(&VERSIONS));
    let mut server = MultiplayerPeer::new(|| 0);
    let tls = identity.tls(true);
    server.create_server(0, "127.0.0.1", Some(tls), Instant::now()).unwrap();
    let mut clients: Vec<Stepped> =
        (0..COUNT).map(|_| Stepped::new(server.local_port(), &config)).collect();
    clients.iter_mut().for_each(Stepped::step);
    std::thread::sleep(Duration::from_millis(5));
    let (mut polls, mut done, mut longest, mut most) = (0, 0, Duration::ZERO, 0);
    while done < COUNT {
        let start = Instant::now();
        server.poll(start, false);
        longest = longest.max(start.elapsed());
        polls += 1;
        clients.iter_mut().for_each(Stepped::step);
        let now = clients.iter().filter(|client| !client.connection.is_handshaking()).count();
        (most, done) = (most.max(now - done), now);
        assert!(polls < 10 * COUNT as u64, "{} are not served", COUNT - done);
    }
    println!(
        "{COUNT} handshakes took {polls} polls, the longest {longest:?}, at most {most} in one"
    );
    assert!(polls > 1);
    assert!(most < COUNT);
}

/// A client that does not get on is dropped in time, whatever it has sent.
#[test]
fn handshakes_have_a_time_limit() {
    let identity = Identity::new();
    let mut server = MultiplayerPeer::new(|| 0);
    let start = Instant::now();
    server.create_server(0, "127.0.0.1", Some(identity.tls(true)), start).unwrap();
    let silent = tcp(server.local_port());
    let mut slow = tcp(server.local_port());
    slow.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).unwrap();
    let config = Arc::new(identity.client_config(&VERSIONS));
    let mut secure = Stepped::new(server.local_port(), &config);
    while secure.connection.is_handshaking() {
        secure.step();
        server.poll(start, false);
    }
    let ends = |mut stream: std::net::TcpStream| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        rest
    };
    server.poll(start + DEFAULT_HANDSHAKE_TIMEOUT, false);
    assert!(secure.connection.wants_read());
    server.poll(start + DEFAULT_HANDSHAKE_TIMEOUT + Duration::from_millis(1), false);
    // Over TLS the end is said, whatever the stage.
    for stream in [silent, slow] {
        let rest = ends(stream);
        assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
    }
    assert_eq!(server.next_event(), None);
}

/// Everything in one segment: messages, the end of TLS, with or without that of TCP.
#[test]
fn data_before_the_end_arrives_and_the_end_is_noticed() {
    let identity = Identity::new();
    for version in VERSIONS {
        for ending in ["close_notify and FIN", "close_notify", "FIN"] {
            let mut server = OurServer::new(identity.tls(true));
            let (port, config) = (server.port(), Arc::new(identity.client_config(&[version])));
            let script = std::thread::spawn(move || {
                let mut stream = foreign_stream(port, &config);
                stream.write_all(request(port).as_bytes()).unwrap();
                read_head(&mut stream);
                stream
            });
            let mut stream = server.echo_while(script);
            let mut peer = server.taken.pop().unwrap();
            stream.conn.writer().write_all(&frame(b"last")).unwrap();
            stream.conn.writer().write_all(&frame(b"words")).unwrap();
            if ending != "FIN" {
                stream.conn.send_close_notify();
            }
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut stream.sock).unwrap();
            }
            if ending != "close_notify" {
                stream.sock.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(receive(&mut peer).1, b"last", "{ending}");
            assert_eq!(receive(&mut peer).1, b"words", "{ending}");
            let end = Instant::now() + Duration::from_secs(1);
            while peer.state() != State::Closed && Instant::now() < end {
                peer.poll(Instant::now());
            }
            assert_eq!(
                (peer.state(), failure_of(&peer)),
                (State::Closed, Some(Failure::Ended(Phase::Open))),
                "{ending} {:?}",
                version.version
            );
        }
    }
}

/// What is valid before something that is not counts, as it does without TLS.
#[test]
fn data_before_garbage_arrives() {
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(true));
    let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS)));
    let script = std::thread::spawn(move || {
        let mut stream = foreign_stream(port, &config);
        stream.write_all(request(port).as_bytes()).unwrap();
        read_head(&mut stream);
        stream
    });
    let mut stream = server.echo_while(script);
    let mut peer = server.taken.pop().unwrap();
    stream.conn.writer().write_all(&frame(b"valid")).unwrap();
    let mut bytes = Vec::new();
    stream.conn.write_tls(&mut bytes).unwrap();
    bytes.extend([23, 3, 3, 0, 20]);
    bytes.extend([7; 20]);
    stream.sock.write_all(&bytes).unwrap();
    assert_eq!(receive(&mut peer).1, b"valid");
    reach(&mut peer, State::Closed);
    let failure = failure_of(&peer);
    assert!(matches!(failure, Some(Failure::Tls(_))), "{failure:?}");
}

/// After one's own close the other side's answer counts, although its end comes with it.
#[test]
fn the_code_of_a_close_is_kept() {
    let identity = Identity::new();
    for version in VERSIONS {
        let (port, server) = foreign_server(identity.server_config(&[version]), |mut socket| {
            let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close") };
            // The answer, the end of TLS and that of TCP.
            let _ = socket.flush();
            let stream = socket.get_mut();
            stream.conn.send_close_notify();
            stream.conn.write_tls(&mut stream.sock).unwrap();
            Some((u16::from(frame.code), frame.reason.as_str().to_owned()))
        });
        let mut peer = client(port, identity.options());
        reach(&mut peer, State::Open);
        peer.close(4001, "bye");
        // All that the server says is there when we look.
        assert_eq!(finish(server), (4001, "bye".to_owned()));
        reach(&mut peer, State::Closed);
        let connection = peer.connection().unwrap().borrow();
        assert_eq!((connection.close_code(), connection.close_reason()), (4001, "bye"));
        assert_eq!(connection.failure(), None);
    }
}

/// With a reader that does not read: what is queued is whole messages, it never exceeds the limit,
/// and all of it arrives when the reader wakes up.
#[test]
fn what_is_not_written_counts_exactly() {
    const SIZE: usize = 30_000;
    const LIMIT: i32 = 1_000_000;
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(true));
    server.server.config.outbound_buffer_size = LIMIT;
    let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS)));
    let (wake, sleep) = std::sync::mpsc::channel();
    let script = std::thread::spawn(move || {
        let mut socket = foreign_client(port, &config);
        let mut numbers = Vec::new();
        // How many to read before the next sleep.
        while let Ok(count) = sleep.recv() {
            for _ in 0..count {
                let message = socket.read().unwrap().into_data();
                assert_eq!(message.len(), SIZE);
                numbers.push(u32::from_le_bytes(message[..4].try_into().unwrap()));
            }
        }
        numbers
    });
    let mut peer = server.take();
    let buffered = |peer: &Peer| peer.connection().unwrap().borrow().buffered();
    let mut accepted = 0_u32;
    let mut fill = |peer: &mut Peer| {
        loop {
            let mut message = vec![accepted as u8; SIZE];
            message[..4].copy_from_slice(&accepted.to_le_bytes());
            match peer.send(Kind::Binary, &message) {
                Ok(()) => accepted += 1,
                Err(Error::OutOfMemory { .. }) => return accepted,
                Err(error) => panic!("{error}"),
            }
            assert!(buffered(peer) <= LIMIT as usize);
            assert_eq!(buffered(peer) % SIZE, 0);
        }
    };
    let mut last = fill(&mut peer);
    // Nothing more is taken while nobody reads; the kernel may have been slow.
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(2));
        peer.poll(Instant::now());
        last = fill(&mut peer);
    }
    assert_eq!(buffered(&peer), LIMIT as usize / SIZE * SIZE);
    // Some are read, so some can be sent.
    wake.send(100).unwrap();
    eventually(|| {
        peer.poll(Instant::now());
        buffered(&peer) < LIMIT as usize / SIZE * SIZE
    });
    let total = fill(&mut peer);
    assert!(total > last, "{total} of {last}");
    wake.send(total as usize - 100).unwrap();
    drop(wake);
    eventually(|| {
        peer.poll(Instant::now());
        assert_eq!(buffered(&peer) % SIZE, 0);
        buffered(&peer) == 0 && script.is_finished()
    });
    assert_eq!(finish(script), (0..total).collect::<Vec<_>>());
}

/// What is left to be written to a client that has gone can never be written.
#[test]
fn a_reset_while_ciphertext_waits_does_not_hold_the_server_up() {
    let script = std::thread::spawn(|| {
        let identity = Identity::new();
        let mut server = OurServer::new(identity.tls(true));
        let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS)));
        let client = std::thread::spawn(move || foreign_client(port, &config));
        let mut peer = server.take();
        let client = finish(client);
        // It reads nothing; the kernel may be slow to fill its buffers.
        for _ in 0..5 {
            while peer.send(Kind::Binary, &[7; 60_000]).is_ok() {}
            std::thread::sleep(Duration::from_millis(2));
        }
        SockRef::from(&client.get_ref().sock).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        // Found out by writing, before anything is read.
        eventually(|| peer.send(Kind::Binary, &[7; 60_000]) == Err(Error::NotOpen));
        eventually(|| {
            peer.poll(Instant::now());
            failure_of(&peer).is_some()
        });
    });
    eventually(|| script.is_finished());
    finish(script);
}

/// The same messages through a middleman that passes on a few bytes at a time.
#[test]
fn bytes_may_dribble() {
    let identity = Identity::new();
    for (largest, version, seed) in
        [(1, VERSIONS[0], 1), (1, VERSIONS[1], 2), (7, VERSIONS[0], 3), (900, VERSIONS[1], 4)]
    {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ seed);
        let messages: Vec<Vec<u8>> = [0, 1, 125, 126, 3000, 17000]
            .into_iter()
            .chain((0..10).map(|_| numbers.below(2000)))
            .map(|size| Numbers(seed + size as u64 + 1).bytes(size))
            .collect();

        let mut server = OurServer::new(identity.tls(true));
        let port = dribble(server.port(), largest, seed);
        let config = Arc::new(identity.client_config(&[version]));
        let sent = messages.clone();
        let script = std::thread::spawn(move || {
            let mut socket = foreign_client(port, &config);
            for message in &sent {
                socket.write(Message::binary(message.clone())).unwrap();
                if message.len() % 3 == 0 {
                    socket.flush().unwrap();
                }
            }
            socket.flush().unwrap();
            let read = |_| socket.read().unwrap().into_data().to_vec();
            (0..sent.len()).map(read).collect::<Vec<_>>()
        });
        assert_eq!(server.echo_while(script), messages, "{largest} to our server");

        let (port, server) = foreign_server(identity.server_config(&[version]), |mut socket| {
            echo(&mut socket);
            Some(())
        });
        let mut client = client(dribble(port, largest, seed), identity.options());
        reach(&mut client, State::Open);
        for message in &messages {
            client.send(Kind::Binary, message).unwrap();
        }
        for message in &messages {
            assert_eq!(&receive(&mut client).1, message, "{largest} to our client");
        }
        client.close(1000, "");
        finish(server);
        reach(&mut client, State::Closed);
    }
}

/// Both of ours, with records of every size.
#[test]
fn much_data_goes_both_ways() {
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(true));
    let mut client = client(server.port(), identity.options());
    let mut other = until(|| {
        client.poll(Instant::now());
        server.poll();
        server.taken.pop()
    });
    reach(&mut client, State::Open);
    let mut numbers = Numbers(42);
    let messages: Vec<Vec<u8>> = (0..300)
        .map(|number| {
            let size = numbers.below(65535);
            vec![number as u8; size]
        })
        .collect();
    let mut ends = [(&mut client, 0, 0), (&mut other, 0, 0)];
    eventually(|| {
        for (peer, sent, got) in &mut ends {
            while *sent < messages.len() && peer.send(Kind::Binary, &messages[*sent]).is_ok() {
                *sent += 1;
            }
            peer.poll(Instant::now());
            while let Some(message) = peer.receive() {
                assert_eq!(message.data, messages[*got]);
                *got += 1;
            }
        }
        ends.iter().all(|(_, _, got)| *got == messages.len())
    });
}

/// A client that resets behind its first bytes: the answer cannot be written, and TLS goes on having
/// it to write.
#[test]
fn a_reset_behind_the_hello_ends_that_connection_only() {
    bounded(|| {
        let identity = Identity::new();
        let mut server = MultiplayerPeer::new(|| 0);
        server.create_server(0, "127.0.0.1", Some(identity.tls(true)), Instant::now()).unwrap();
        for version in VERSIONS {
            let config = Arc::new(identity.client_config(&[version]));
            for _ in 0..10 {
                let stream = foreign_stream(server.local_port(), &config);
                let StreamOwned { mut conn, mut sock } = stream;
                conn.write_tls(&mut sock).unwrap();
                SockRef::from(&sock).set_linger(Some(Duration::ZERO)).unwrap();
            }
            for _ in 0..10 {
                server.poll(Instant::now(), false);
                server.flush();
            }
            let port = server.local_port();
            let script = std::thread::spawn(move || foreign_client(port, &config).read().unwrap());
            eventually(|| {
                server.poll(Instant::now(), false);
                server.flush();
                script.is_finished()
            });
            assert_eq!(finish(script).into_data().len(), 4);
        }
    });
}

/// The kernel tells of an end once, together with the bytes before it; these make no plaintext.
#[test]
fn an_end_behind_half_a_record_is_noticed() {
    let identity = Identity::new();
    for version in VERSIONS {
        let config = Arc::new(identity.client_config(&[version]));
        let mut server = MultiplayerPeer::new(|| 0);
        server.set_handshake_timeout(Duration::from_secs(3600));
        server.create_server(0, "127.0.0.1", Some(identity.tls(true)), Instant::now()).unwrap();
        let port = server.local_port();

        let StreamOwned { mut conn, mut sock } = foreign_stream(port, &config);
        let mut hello = Vec::new();
        conn.write_tls(&mut hello).unwrap();
        sock.write_all(&hello[..hello.len() / 2]).unwrap();
        sock.shutdown(Shutdown::Write).unwrap();
        sock.set_nonblocking(true).unwrap();
        eventually(|| {
            server.poll(Instant::now(), false);
            server.flush();
            matches!(sock.read(&mut [0]), Ok(0))
        });

        let joining = config.clone();
        let script = std::thread::spawn(move || {
            let mut socket = foreign_client(port, &joining);
            socket.read().unwrap();
            socket
        });
        let mut events = 0;
        eventually(|| {
            server.poll(Instant::now(), false);
            events += server.next_event().map_or(0, |event| {
                server.finish_event(event);
                1
            });
            server.flush();
            script.is_finished()
        });
        assert_eq!(events, 1);
        let mut socket = finish(script);
        let StreamOwned { conn, sock } = socket.get_mut();
        conn.writer().write_all(&frame(b"lost")).unwrap();
        let mut record = Vec::new();
        conn.write_tls(&mut record).unwrap();
        sock.write_all(&record[..record.len() / 2]).unwrap();
        sock.shutdown(Shutdown::Write).unwrap();
        eventually(|| {
            server.poll(Instant::now(), false);
            server.flush();
            server
                .next_event()
                .is_some_and(|event| matches!(event.event, Event::PeerDisconnected(_)))
        });
    }
}

/// A multiplayer server: the id, a packet each way, and the end.
#[test]
fn a_multiplayer_peer_speaks_tls() {
    let identity = Identity::new();
    let mut server = MultiplayerPeer::new(|| 0);
    let tls = identity.tls(true);
    server.create_server(0, "127.0.0.1", Some(tls), Instant::now()).unwrap();
    let (port, config) = (server.local_port(), Arc::new(identity.client_config(&VERSIONS)));
    let script = std::thread::spawn(move || {
        let mut socket = foreign_client(port, &config);
        let id = socket.read().unwrap().into_data();
        socket.send(Message::binary(b"hello".to_vec())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::binary(b"welcome".to_vec()));
        i32::from_le_bytes(id.as_ref().try_into().unwrap())
    });
    let mut events = Vec::new();
    let mut frame = 0;
    let mut packets = Vec::new();
    eventually(|| {
        frame += 1;
        server.poll(Instant::now(), false);
        while let Some(event) = server.next_event() {
            events.push(event.event);
            if let Event::PeerConnected(id) = event.event {
                server.set_target(id);
                server.put_packet(b"welcome").unwrap();
            }
            server.finish_event(event);
        }
        while server.available() > 0 {
            packets.push(server.get_packet().unwrap());
        }
        server.flush();
        script.is_finished() && events.len() == 2
    });
    let id = finish(script);
    assert_eq!(events, [Event::PeerConnected(id), Event::PeerDisconnected(id)]);
    let packets: Vec<_> = packets.iter().map(|packet| (packet.peer, &packet.data[..])).collect();
    assert_eq!(packets, [(id, &b"hello"[..])]);
}
