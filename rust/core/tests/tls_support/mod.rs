//! Certificates, and the other ends of TLS connections: plain rustls over blocking sockets, with
//! tungstenite on top. They know nothing of this crate.

#![allow(dead_code)] // Each test file uses a part of it.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use mio_websocket_core::connection::{State, Target};
use mio_websocket_core::dial::Resolve;
use mio_websocket_core::error::{Error, Failure};
use mio_websocket_core::peer::Peer;
use mio_websocket_core::server::Server;
use mio_websocket_core::tls::{ClientOptions, ServerTls, Trust};
use mio_websocket_core::websocket::Kind;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig,
    ServerConnection, SideData, StreamOwned, SupportedProtocolVersion,
};
use tungstenite::WebSocket;

use crate::patience::PATIENCE;
#[allow(unused_imports)] // Each test file uses a part of it.
pub(crate) use crate::patience::{bounded, eventually, finish, until};

/// The name in the certificates.
pub(crate) const NAME: &str = "game.test";

/// Every version that rustls knows, newest first.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// An authority and a server's certificate signed by it, for [`NAME`] and 127.0.0.1.
pub(crate) struct Identity {
    pub(crate) root: String,
    root_der: CertificateDer<'static>,
    pub(crate) chain: String,
    chain_der: CertificateDer<'static>,
    pub(crate) key: String,
    key_der: Vec<u8>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Self::of(&format!("test root {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// With a name for the authority.
    pub(crate) fn of(authority: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, authority);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = [NAME.to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &root).unwrap();
        Self {
            root: root.pem(),
            root_der: root.der().clone(),
            chain: leaf.pem(),
            chain_der: leaf.der().clone(),
            key: key.serialize_pem(),
            key_der: key.serialize_der(),
        }
    }

    /// Our server's end.
    pub(crate) fn tls(&self, tls13: bool) -> ServerTls {
        ServerTls::new(&self.chain, &self.key, tls13).unwrap()
    }

    /// Our client's end, which trusts the root.
    pub(crate) fn options(&self) -> ClientOptions {
        let trust = Trust::Only(self.root.clone());
        ClientOptions { trust, check_name: true, name: None, tls13: true }
    }

    /// A foreign server's end.
    pub(crate) fn server_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key_der.clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![self.chain_der.clone()], key).unwrap();
        config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
        config
    }

    /// A foreign client's end, which trusts the root.
    pub(crate) fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        trusting(&[self], versions)
    }
}

/// A foreign client's end, which trusts the roots of all.
pub(crate) fn trusting(
    identities: &[&Identity],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for identity in identities {
        roots.add(identity.root_der.clone()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server of ours and the connections that it has accepted, polled together.
pub(crate) struct OurServer {
    pub(crate) server: Server,
    pub(crate) taken: Vec<Peer>,
}

impl OurServer {
    pub(crate) fn new(tls: ServerTls) -> Self {
        let mut server = Server::default();
        server.listen(0, "127.0.0.1", Some(tls)).unwrap();
        Self { server, taken: Vec::new() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.local_port()
    }

    pub(crate) fn poll(&mut self) {
        while self.server.is_connection_available(Instant::now()) {
            self.taken.extend(self.server.take_connection());
        }
        for peer in &mut self.taken {
            peer.poll(Instant::now());
        }
    }

    /// Polls, sending everything back, until `script` in another thread has ended; what it returned.
    #[track_caller]
    pub(crate) fn echo_while<T>(&mut self, script: JoinHandle<T>) -> T {
        eventually(|| {
            self.poll();
            for peer in &self.taken {
                while let Some(message) = peer.receive() {
                    peer.send(message.kind, &message.data).unwrap();
                }
            }
            script.is_finished()
        });
        finish(script)
    }

    /// Polls until a connection is there.
    #[track_caller]
    pub(crate) fn take(&mut self) -> Peer {
        until(|| {
            self.poll();
            self.taken.pop()
        })
    }
}

/// Starts to connect to `host`, which is at 127.0.0.1.
pub(crate) fn dial(
    peer: &mut Peer,
    host: &str,
    port: u16,
    options: ClientOptions,
) -> Result<(), Error> {
    let url = format!("wss://{host}:{port}/");
    let target = || Target::new(&url, |_| Box::new(Here), || Ok(options));
    peer.connect(target, PATIENCE, Instant::now())
}

/// A client of ours that has started to connect to [`NAME`] at `port`.
pub(crate) fn client(port: u16, options: ClientOptions) -> Peer {
    let mut peer = Peer::default();
    dial(&mut peer, NAME, port, options).unwrap();
    peer
}

/// Every name is at 127.0.0.1.
struct Here;

impl Resolve for Here {
    fn poll(&mut self) -> Option<Result<Vec<IpAddr>, String>> {
        Some(Ok(vec![Ipv4Addr::LOCALHOST.into()]))
    }
}

/// Polls until `peer` is in `state`.
#[track_caller]
pub(crate) fn reach(peer: &mut Peer, state: State) {
    eventually(|| {
        peer.poll(Instant::now());
        peer.state() == state
    });
}

/// Polls until a message comes.
#[track_caller]
pub(crate) fn receive(peer: &mut Peer) -> (Kind, Vec<u8>) {
    let message = until(|| {
        peer.poll(Instant::now());
        peer.receive()
    });
    (message.kind, message.data.to_vec())
}

pub(crate) fn failure_of(peer: &Peer) -> Option<Failure> {
    peer.connection().unwrap().borrow().failure().cloned()
}

/// A TLS stream to or from us, and what is spoken over it.
pub(crate) type Stream<C> = StreamOwned<C, TcpStream>;
pub(crate) type Socket<C> = WebSocket<Stream<C>>;

pub(crate) fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    tune(&stream);
    stream
}

fn tune(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}

/// A foreign client, before its handshake.
pub(crate) fn foreign_stream(port: u16, config: &Arc<ClientConfig>) -> Stream<ClientConnection> {
    let name = ServerName::try_from(NAME).unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), tcp(port))
}

/// A foreign client, upgraded.
pub(crate) fn foreign_client(port: u16, config: &Arc<ClientConfig>) -> Socket<ClientConnection> {
    tungstenite::client(format!("wss://{NAME}:{port}/"), foreign_stream(port, config)).unwrap().0
}

/// A foreign server in a thread, for one connection after the other; `script` is what it does with
/// each, upgraded. It ends with `script`'s first answer.
pub(crate) fn foreign_server<T: Send + 'static>(
    config: ServerConfig,
    mut script: impl FnMut(Socket<ServerConnection>) -> Option<T> + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    let thread = std::thread::spawn(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            tune(&stream);
            let connection = ServerConnection::new(config.clone()).unwrap();
            let socket = tungstenite::accept(StreamOwned::new(connection, stream)).unwrap();
            if let Some(answer) = script(socket) {
                return answer;
            }
        }
    });
    (port, thread)
}

/// Sends back what comes until the other side closes.
pub(crate) fn echo<C, S>(socket: &mut Socket<C>)
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    loop {
        match socket.read() {
            Ok(tungstenite::Message::Close(_)) => {
                // The answer to it.
                let _ = socket.flush();
                return;
            }
            Ok(message) => socket.send(message).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Passes bytes between a client and the server at `port` in pieces of 1 to `largest`, until both
/// have ended. The port of the client's side.
pub(crate) fn dribble(port: u16, largest: usize, seed: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = tcp(port);
        tune(&near);
        for (from, to, seed) in [(&near, &far, seed), (&far, &near, !seed)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            std::thread::spawn(move || pass(from, to, largest, seed));
        }
    });
    here
}

fn pass(mut from: TcpStream, mut to: TcpStream, largest: usize, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut buffer = vec![0; largest];
    loop {
        let size = numbers.below(largest) + 1;
        match from.read(&mut buffer[..size]) {
            Ok(count) if count > 0 && to.write_all(&buffer[..count]).is_ok() => {}
            _ => {
                let _ = to.shutdown(std::net::Shutdown::Write);
                return;
            }
        }
    }
}

/// Numbers that look random and are the same each time: xorshift.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A rustls client that is moved by hand, without waiting.
pub(crate) struct Stepped {
    pub(crate) connection: ClientConnection,
    stream: TcpStream,
}

impl Stepped {
    pub(crate) fn new(port: u16, config: &Arc<ClientConfig>) -> Self {
        let StreamOwned { conn: connection, sock: stream } = foreign_stream(port, config);
        stream.set_nonblocking(true).unwrap();
        Self { connection, stream }
    }

    /// Reads and writes what can be now.
    pub(crate) fn step(&mut self) {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        match self.connection.read_tls(&mut self.stream) {
            Ok(0) => panic!("the server has gone"),
            Ok(_) => drop(self.connection.process_new_packets().unwrap()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}
