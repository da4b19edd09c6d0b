//! Another certificate for a server while its players play on.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod tls_support;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::MultiplayerPeer;
use mio_websocket_core::notice::Severity;
use mio_websocket_core::tls::{ServerTls, TlsError};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use tls_support::{
    Identity, Socket, Stepped, VERSIONS, eventually, finish, foreign_client, trusting,
};
use tungstenite::Message;

/// A server of the multiplayer API that sends everything back.
struct Echo {
    peer: MultiplayerPeer,
    clock: Instant,
}

impl Echo {
    fn new(tls: Option<ServerTls>) -> Self {
        let mut peer = MultiplayerPeer::new(|| 0);
        peer.create_server(0, "127.0.0.1", tls, Instant::now()).unwrap();
        Self { peer, clock: Instant::now() }
    }

    fn poll(&mut self) {
        self.peer.poll(self.clock, false);
        while let Some(event) = self.peer.next_event() {
            self.peer.finish_event(event);
        }
        while self.peer.available() > 0 {
            let packet = self.peer.get_packet().unwrap();
            self.peer.set_target(packet.peer);
            self.peer.put_packet(&packet.data).unwrap();
        }
        self.peer.flush();
    }

    #[track_caller]
    fn run<T>(&mut self, script: JoinHandle<T>) -> T {
        eventually(|| {
            self.poll();
            script.is_finished()
        });
        finish(script)
    }

    /// A client that comes now: its socket.
    #[track_caller]
    fn join(&mut self, config: &Arc<ClientConfig>) -> Socket<ClientConnection> {
        let (port, config) = (self.peer.local_port(), config.clone());
        self.run(std::thread::spawn(move || {
            let mut socket = foreign_client(port, &config);
            // The id; a ticket comes before it.
            socket.read().unwrap();
            socket
        }))
    }

    /// Whether packets go both ways.
    #[track_caller]
    fn plays(&mut self, mut socket: Socket<ClientConnection>) -> Socket<ClientConnection> {
        self.run(std::thread::spawn(move || {
            let message = Message::binary(vec![7; 1000]);
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
            socket
        }))
    }

    /// The lines of the log for everybody.
    fn errors(&mut self) -> Vec<String> {
        let notices = std::iter::from_fn(|| self.peer.next_notice());
        let errors = notices.filter(|notice| notice.severity == Severity::Error);
        errors.map(|notice| notice.text).collect()
    }
}

fn certificate(socket: &Socket<ClientConnection>) -> CertificateDer<'static> {
    socket.get_ref().conn.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(identity: &Identity) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap()
}

/// What has been read from the files of a certificate and of a key.
fn read(chain: &Identity, key: &Identity) -> Result<(String, String), TlsError> {
    Ok((chain.chain.clone(), key.key.clone()))
}

#[test]
fn newcomers_get_the_new_certificate_and_players_play_on() {
    let (old, new) = (Identity::new(), Identity::new());
    for version in VERSIONS {
        let config = Arc::new(trusting(&[&old, &new], &[version]));
        let mut server = Echo::new(Some(old.tls(true)));
        let player = server.join(&config);
        assert_eq!(certificate(&player), der(&old));
        server.peer.reload_tls(new.tls(true)).unwrap();
        let player = server.plays(player);
        let newcomer = server.join(&config);
        assert_eq!(certificate(&newcomer), der(&new));
        server.plays(player);
        server.plays(newcomer);
    }
}

/// A ticket would let its holder in without seeing the new certificate, on the strength of a key
/// that is exchanged for a reason perhaps.
#[test]
fn sessions_of_the_old_certificate_are_not_resumed() {
    let (old, new) = (Identity::new(), Identity::new());
    for version in VERSIONS {
        let config = Arc::new(trusting(&[&old, &new], &[version]));
        let mut server = Echo::new(Some(old.tls(true)));
        let kinds = |server: &mut Echo| {
            [(); 2].map(|()| server.join(&config).get_ref().conn.handshake_kind())
        };
        let (full, resumed) = (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed));
        assert_eq!(kinds(&mut server), [full, resumed]);
        server.peer.reload_tls(new.tls(true)).unwrap();
        assert_eq!(kinds(&mut server), [full, resumed]);
        assert_eq!(certificate(&server.join(&config)), der(&new));
    }
}

#[test]
fn who_trusts_only_the_old_authority_is_out() {
    let (old, new) = (Identity::new(), Identity::new());
    let config = Arc::new(old.client_config(&VERSIONS));
    let mut server = Echo::new(Some(old.tls(true)));
    server.join(&config);
    server.peer.reload_tls(new.tls(true)).unwrap();
    let port = server.peer.local_port();
    let script = std::thread::spawn(move || {
        let stream = tls_support::foreign_stream(port, &config);
        tungstenite::client(format!("wss://{}:{port}/", tls_support::NAME), stream).is_err()
    });
    assert!(server.run(script));
}

#[test]
fn a_handshake_that_has_begun_ends_with_the_certificate_that_it_began_with() {
    let (old, new) = (Identity::new(), Identity::new());
    let config = Arc::new(trusting(&[&old, &new], &VERSIONS));
    let mut server = Echo::new(Some(old.tls(true)));
    let mut client = Stepped::new(server.peer.local_port(), &config);
    // Accepted, and nothing has been sent.
    eventually(|| {
        server.poll();
        server.peer.stats.accepted == 1
    });
    server.peer.reload_tls(new.tls(true)).unwrap();
    eventually(|| {
        client.step();
        server.poll();
        !client.connection.is_handshaking()
    });
    assert_eq!(client.connection.peer_certificates().unwrap()[0], der(&old));
}

#[test]
fn only_a_server_with_tls_has_a_certificate_to_exchange() {
    let tls = || Identity::new().tls(true);
    assert_eq!(MultiplayerPeer::new(|| 0).reload_tls(tls()), Err(Error::Unconfigured));
    let mut plain = Echo::new(None);
    assert_eq!(plain.peer.reload_tls(tls()), Err(Error::NoTls));
    plain.peer.set_tls_reload_interval(Duration::from_secs(1));
    let later = plain.clock + Duration::from_secs(5);
    assert!(!plain.peer.is_tls_look_due(plain.clock) && !plain.peer.is_tls_look_due(later));
}

/// A file is written after the other, and perhaps in pieces.
#[test]
fn files_that_do_not_belong_together_leave_the_certificate_in_place() {
    let (old, new) = (Identity::new(), Identity::new());
    let config = Arc::new(trusting(&[&old, &new], &VERSIONS));
    let mut server = Echo::new(Some(old.tls(true)));
    let now = server.clock;
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    let missing = || Err(TlsError::Other("cannot read the file `x`".to_owned()));
    for wrong in [
        read(&new, &old),
        Ok((cut(&new.chain), new.key.clone())),
        Ok((new.chain.clone(), cut(&new.key))),
        Ok((String::new(), new.key.clone())),
        missing(),
    ] {
        server.peer.look_at_tls(wrong, true, now);
        let newcomer = server.join(&config);
        assert_eq!(certificate(&newcomer), der(&old));
    }
    assert_eq!(server.errors(), Vec::<String>::new(), "each was wrong for a moment only");
    for _ in 0..5 {
        server.peer.look_at_tls(read(&new, &old), true, now);
    }
    let errors = server.errors();
    assert!(errors.len() == 1 && errors[0].contains("does not belong to"), "{errors:?}");
    for _ in 0..5 {
        server.peer.look_at_tls(missing(), true, now);
    }
    let errors = server.errors();
    assert!(errors.len() == 1 && errors[0].contains("cannot read the file `x`"), "{errors:?}");
    server.peer.look_at_tls(read(&new, &new), true, now);
    assert_eq!(certificate(&server.join(&config)), der(&new));
    assert_eq!(server.errors(), Vec::<String>::new());
}

/// Else all players would have to make full handshakes, for nothing.
#[test]
fn files_that_hold_the_certificate_in_use_change_nothing() {
    let (old, other) = (Identity::new(), Identity::new());
    let config = Arc::new(trusting(&[&old, &other], &VERSIONS));
    let mut server = Echo::new(Some(old.tls(true)));
    server.join(&config);
    // A key that is written before its certificate is not in use yet.
    for key in [&old, &other] {
        let text = Ok((format!("# by somebody\n{}", old.chain), key.key.clone()));
        server.peer.look_at_tls(text, true, server.clock);
        let kind = server.join(&config).get_ref().conn.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Resumed));
    }
    server.peer.look_at_tls(read(&other, &other), true, server.clock);
    assert_eq!(certificate(&server.join(&config)), der(&other));
}

#[test]
fn looks_are_due_in_their_interval_and_begin_with_the_session() {
    let identity = Identity::new();
    let mut server = Echo::new(Some(identity.tls(true)));
    let at = |seconds| server.clock + Duration::from_secs(seconds);
    assert!(!server.peer.is_tls_look_due(at(0)) && !server.peer.is_tls_look_due(at(1000)));
    server.peer.set_tls_reload_interval(Duration::from_secs(10));
    assert!(!server.peer.is_tls_look_due(at(1000)));
    assert!(!server.peer.is_tls_look_due(at(1009)));
    assert!(server.peer.is_tls_look_due(at(1010)));
    assert!(!server.peer.is_tls_look_due(at(1010)));
    server.peer.close();
    server.peer.create_server(0, "127.0.0.1", Some(identity.tls(true)), at(2000)).unwrap();
    assert!(!server.peer.is_tls_look_due(at(2000)), "the files have just been read");
    assert!(server.peer.is_tls_look_due(at(2010)));
    assert_eq!(server.peer.tls_reload_interval(), Duration::from_secs(10));
}
