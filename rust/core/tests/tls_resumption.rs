//! Sessions that are taken up again. By themselves, because a process keeps few configurations and
//! other tests make many.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod tls_support;

use std::sync::Arc;
use std::thread::JoinHandle;

use mio_websocket_core::connection::State;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::tls::Trust;
use mio_websocket_core::websocket::Kind;
use rustls::HandshakeKind;
use tls_support::{
    Identity, NAME, OurServer, VERSIONS, client, dial, finish, foreign_client, foreign_server,
    reach, receive,
};
use tungstenite::Message;

#[test]
fn our_server_resumes_sessions() {
    let identity = Identity::new();
    for version in VERSIONS {
        let mut server = OurServer::new(identity.tls(true));
        let (port, config) = (server.port(), Arc::new(identity.client_config(&[version])));
        let script = std::thread::spawn(move || {
            let connect = || {
                let mut socket = foreign_client(port, &config);
                // The ticket comes before the answer.
                socket.send(Message::binary(vec![1])).unwrap();
                socket.read().unwrap();
                socket.get_ref().conn.handshake_kind()
            };
            [connect(), connect(), connect()]
        });
        let [first, second, third] = server.echo_while(script);
        assert_eq!(first, Some(HandshakeKind::Full));
        assert_eq!((second, third), (Some(HandshakeKind::Resumed), Some(HandshakeKind::Resumed)));
    }
}

/// A foreign server that tells for each connection whether it resumed, until a message is "end".
fn server_of_kinds(
    identity: &Identity,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (u16, JoinHandle<Vec<Option<HandshakeKind>>>) {
    let mut kinds = Vec::new();
    foreign_server(identity.server_config(versions), move |mut socket| {
        kinds.push(socket.get_ref().conn.handshake_kind());
        let message = socket.read().unwrap();
        let ends = message == Message::binary(b"end".to_vec());
        socket.send(message).unwrap();
        let _ = socket.read();
        ends.then(|| kinds.clone())
    })
}

fn visit(peer: &mut Peer, message: &[u8]) {
    reach(peer, State::Open);
    peer.send(Kind::Binary, message).unwrap();
    receive(peer);
    peer.close(1000, "");
    reach(peer, State::Closed);
}

#[test]
fn our_client_resumes_sessions() {
    for version in VERSIONS {
        // Tickets are kept by name, and these are servers of one name.
        let identity = Identity::new();
        let (port, server) = server_of_kinds(&identity, &[version]);
        // The same peer, then another with equal options.
        let mut peer = client(port, identity.options());
        visit(&mut peer, b"first");
        dial(&mut peer, NAME, port, identity.options()).unwrap();
        visit(&mut peer, b"second");
        visit(&mut client(port, identity.options()), b"end");
        let resumed = Some(HandshakeKind::Resumed);
        assert_eq!(finish(server), [Some(HandshakeKind::Full), resumed, resumed]);
    }
}

/// Nobody gets around the checks with a session that was made without them.
#[test]
fn sessions_are_not_resumed_under_other_rules() {
    // The newer version last: its tickets would be offered to a server of the older one, too.
    for version in VERSIONS.into_iter().rev() {
        let identity = Identity::new();
        let (port, server) = server_of_kinds(&identity, &[version]);
        let mut careless = identity.options();
        careless.trust = Trust::Anyone;
        careless.check_name = false;
        visit(&mut client(port, careless.clone()), b"first");
        visit(&mut client(port, identity.options()), b"second");
        let mut unnamed = identity.options();
        unnamed.check_name = false;
        visit(&mut client(port, unnamed), b"third");
        visit(&mut client(port, careless), b"end");
        let [full, resumed] = [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)];
        assert_eq!(finish(server), [full, full, full, resumed]);
    }
}
