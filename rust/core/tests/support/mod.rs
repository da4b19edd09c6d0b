//! What the tests share: peers driven as their caller drives them, and other ends that know
//! nothing of this crate.

#![allow(dead_code)] // Each test file uses a part of it.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio_websocket_core::config::{ConnectionConfig, DEFAULT_HANDSHAKE_TIMEOUT};
use mio_websocket_core::connection::{State, Target};
use mio_websocket_core::dial::Resolve;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer, Status};
use mio_websocket_core::notice::{Notice, Severity};
use mio_websocket_core::peer::Peer;
use socket2::{Domain, Socket, Type};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

#[allow(unused_imports)] // Each test file uses a part of it.
pub(crate) use crate::patience::{PATIENCE, bounded, eventually, finish, until};

/// Beyond the handshake timeout.
pub(crate) const TOO_LONG: Duration =
    Duration::from_millis(DEFAULT_HANDSHAKE_TIMEOUT.as_millis() as u64 + 1);

/// The first byte of a ping.
pub(crate) const PING: u8 = 0x89;

/// tungstenite's end of a connection.
pub(crate) type Foreign = WebSocket<TcpStream>;

/// Lets a poll take as long as it needs, however busy the machine is.
pub(crate) fn take_all_the_time(peer: &mut MultiplayerPeer) {
    peer.budget.time = Duration::from_secs(3600);
    peer.budget.handshakes = Duration::from_secs(3600);
}

/// Gives the kernel time to deliver what has been sent on loopback.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(5));
}

/// A multiplayer peer, driven the way its caller drives it. Its clock stands still unless moved.
pub(crate) struct Node {
    pub(crate) peer: MultiplayerPeer,
    pub(crate) clock: Instant,
    frame: Rc<Cell<u64>>,
    pub(crate) refuse: bool,
    /// All events signalled so far.
    pub(crate) events: Vec<Event>,
}

impl Node {
    pub(crate) fn new() -> Self {
        let frame = Rc::new(Cell::new(0));
        let frames = frame.clone();
        Self {
            peer: MultiplayerPeer::new(move || frames.get()),
            clock: Instant::now(),
            frame,
            refuse: false,
            events: Vec::new(),
        }
    }

    /// A server on a port of the system's choice.
    pub(crate) fn server() -> Self {
        Self::server_with(|_| {})
    }

    /// A server that is set up by `setup` before it listens.
    pub(crate) fn server_with(setup: impl FnOnce(&mut MultiplayerPeer)) -> Self {
        let mut node = Self::new();
        setup(&mut node.peer);
        serve_on(&mut node.peer, 0, "127.0.0.1", node.clock).unwrap();
        node
    }

    /// A client that has started to connect to `port`.
    pub(crate) fn client(port: u16) -> Self {
        Self::client_with(port, |_| {})
    }

    /// A client that is set up by `setup` before it connects.
    pub(crate) fn client_with(port: u16, setup: impl FnOnce(&mut MultiplayerPeer)) -> Self {
        let mut node = Self::new();
        setup(&mut node.peer);
        node.dial(port).unwrap();
        node
    }

    pub(crate) fn dial(&mut self, port: u16) -> Result<(), Error> {
        dial(&mut self.peer, &format!("ws://127.0.0.1:{port}/"), no_resolver, self.clock)
    }

    pub(crate) fn port(&self) -> u16 {
        self.peer.local_port()
    }

    /// Goes on to the next frame of the engine.
    pub(crate) fn next_frame(&self) {
        self.frame.set(self.frame.get() + 1);
    }

    /// Moves the clock.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.clock += time;
    }

    /// One poll, with all that its caller does. The events that it brought.
    pub(crate) fn poll(&mut self) -> Vec<Event> {
        self.poll_with(|_, _| {})
    }

    /// One poll whose events are given to `handler`, as signals are.
    pub(crate) fn poll_with(
        &mut self,
        mut handler: impl FnMut(&mut MultiplayerPeer, Event),
    ) -> Vec<Event> {
        self.peer.poll(self.clock, self.refuse);
        let mut events = Vec::new();
        while let Some(event) = self.peer.next_event() {
            events.push(event.event);
            handler(&mut self.peer, event.event);
            self.peer.finish_event(event);
        }
        self.peer.flush();
        self.events.extend(&events);
        events
    }

    /// Takes every packet that is there.
    pub(crate) fn take(&mut self) -> Vec<(i32, Vec<u8>)> {
        let mut packets = Vec::new();
        while self.peer.available() > 0 {
            let sender = self.peer.packet_peer().unwrap();
            let packet = self.peer.get_packet().unwrap();
            assert_eq!(packet.peer, sender);
            packets.push((sender, packet.data.to_vec()));
        }
        packets
    }

    /// Polls until `count` packets have come.
    #[track_caller]
    pub(crate) fn receive(&mut self, count: usize) -> Vec<(i32, Vec<u8>)> {
        let mut packets = Vec::new();
        eventually(|| {
            self.poll();
            packets.extend(self.take());
            packets.len() >= count
        });
        packets
    }

    /// Polls until a poll brings events; those.
    #[track_caller]
    pub(crate) fn next_events(&mut self) -> Vec<Event> {
        until(|| Some(self.poll()).filter(|events| !events.is_empty()))
    }

    /// Polls often enough for anything that is going to happen to have happened.
    pub(crate) fn poll_for_nothing(&mut self) {
        settle();
        for _ in 0..10 {
            self.poll();
        }
    }

    pub(crate) fn put(&mut self, target: i32, data: &[u8]) -> Result<(), Error> {
        self.peer.set_target(target);
        self.peer.put_packet(data)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.peer.status() == Status::Connected
    }

    /// A packet from `client` arrives and so does the answer to it; what others sent meanwhile.
    #[track_caller]
    pub(crate) fn plays_on(&mut self, client: &mut Raw, id: i32) -> Vec<(i32, Vec<u8>)> {
        let packet = (id, b"well behaved".to_vec());
        client.send(&masked(0x82, &packet.1));
        let mut others = Vec::new();
        eventually(|| {
            self.poll();
            others.extend(self.take());
            others.contains(&packet)
        });
        others.retain(|other| *other != packet);
        self.put(id, b"answer").unwrap();
        self.peer.flush();
        let answer = std::iter::from_fn(|| client.frame()).find(|(first, _)| *first != PING);
        assert_eq!(answer, Some((0x82, b"answer".to_vec())));
        others
    }

    /// A client of this server, plain bytes, that reads nothing and has little room for what is on
    /// its way.
    #[track_caller]
    pub(crate) fn join_slow(&mut self) -> (Raw, i32) {
        let raw = Raw::connect_small(self.port());
        self.upgrade(raw)
    }

    /// The lines of the log that have not been looked at.
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.peer.next_notice()).collect()
    }

    /// There is one line in the log, for verbose logs, with `text` in it.
    #[track_caller]
    pub(crate) fn notes_once(&mut self, text: &str) {
        let notices = self.notices();
        let [Notice { severity: Severity::Verbose, text: line }] = notices.as_slice() else {
            panic!("{notices:?}");
        };
        assert!(line.contains(text), "{line}");
    }

    /// Bytes that wait for the peer `id`.
    pub(crate) fn buffered(&self, id: i32) -> usize {
        self.peer.connection(id).unwrap().borrow().buffered()
    }

    /// Polls until a script in another thread has ended; what it returned.
    #[track_caller]
    pub(crate) fn run<T>(&mut self, script: JoinHandle<T>) -> T {
        eventually(|| {
            self.poll();
            script.is_finished()
        });
        finish(script)
    }

    /// A tungstenite client of this server, and the id that it got.
    #[track_caller]
    pub(crate) fn join(&mut self) -> (Foreign, i32) {
        let port = self.port();
        let (client, id) = self.run(std::thread::spawn(move || {
            let mut client = connect(port);
            let Message::Binary(id) = client.read().unwrap() else {
                panic!("the id is not binary");
            };
            (client, i32::from_le_bytes(id.as_ref().try_into().unwrap()))
        }));
        assert_eq!(self.events.pop(), Some(Event::PeerConnected(id)));
        (client, id)
    }

    /// A client of this server that is plain bytes, upgraded and with its id.
    #[track_caller]
    pub(crate) fn join_raw(&mut self) -> (Raw, i32) {
        let raw = Raw::connect(self.port());
        self.upgrade(raw)
    }

    /// Lets `raw` upgrade and read its id.
    #[track_caller]
    pub(crate) fn upgrade(&mut self, mut raw: Raw) -> (Raw, i32) {
        raw.send(&request());
        let events = self.next_events();
        let [Event::PeerConnected(id)] = events.as_slice() else {
            panic!("{events:?}");
        };
        self.events.clear();
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        assert_eq!(raw.frame(), Some((0x82, id.to_le_bytes().to_vec())));
        (raw, *id)
    }
}

// The calls that begin a connection, each in one place.

pub(crate) fn serve_on(
    peer: &mut MultiplayerPeer,
    port: u16,
    address: &str,
    now: Instant,
) -> Result<(), Error> {
    peer.create_server(port.into(), address, None, now)
}

pub(crate) fn dial(
    peer: &mut MultiplayerPeer,
    url: &str,
    resolver: impl FnOnce(&str) -> Box<dyn Resolve>,
    now: Instant,
) -> Result<(), Error> {
    peer.create_client(target(url, resolver)?, now)
}

pub(crate) fn dial_alone(
    peer: &mut Peer,
    url: &str,
    resolver: impl FnOnce(&str) -> Box<dyn Resolve>,
    timeout: Duration,
    now: Instant,
) -> Result<(), Error> {
    peer.connect(|| target(url, resolver), timeout, now)
}

fn target(url: &str, resolver: impl FnOnce(&str) -> Box<dyn Resolve>) -> Result<Target, Error> {
    Target::new(url, resolver, || panic!("asked for tls options"))
}

/// A server and a client of this crate that are connected; the client's id.
#[track_caller]
pub(crate) fn pair() -> (Node, Node, i32) {
    let mut server = Node::server();
    let mut client = Node::client(server.port());
    eventually(|| {
        server.poll();
        client.poll();
        client.is_connected()
    });
    let id = client.peer.unique_id();
    assert_eq!(server.events, [Event::PeerConnected(id)]);
    assert_eq!(client.events, [Event::PeerConnected(1)]);
    server.events.clear();
    client.events.clear();
    (server, client, id)
}

/// A blocking socket to `port` on loopback.
pub(crate) fn tcp(port: u16) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    // It takes no time, unless the listener's queue is full.
    let stream = TcpStream::connect_timeout(&address, PATIENCE / 10).unwrap();
    tune(&stream);
    stream
}

fn tune(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}

/// A tungstenite client; blocks until the server has answered.
pub(crate) fn connect(port: u16) -> Foreign {
    tungstenite::client(format!("ws://127.0.0.1:{port}/"), tcp(port)).unwrap().0
}

/// A listener for servers that are not ours.
pub(crate) fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Accepts on a blocking listener.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    tune(&stream);
    stream
}

/// A tungstenite server in a thread, for one client; `script` is what it does once upgraded.
pub(crate) fn serve<T: Send + 'static>(
    script: impl FnOnce(Foreign) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let (listener, port) = listen();
    let thread = std::thread::spawn(move || {
        let config = WebSocketConfig::default();
        let server = tungstenite::accept_with_config(accept(&listener), Some(config)).unwrap();
        script(server)
    });
    (port, thread)
}

/// A client of ours with the id 7, and its server, which is plain bytes.
#[track_caller]
pub(crate) fn raw_pair() -> (Node, Raw) {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    let mut server = raw_server(&mut client, &listener);
    server.send(&frame(0x82, &7_i32.to_le_bytes()));
    assert_eq!(client.next_events(), [Event::PeerConnected(1)]);
    client.events.clear();
    (client, server)
}

/// Accepts and upgrades a client of ours; it does not get an id yet.
#[track_caller]
pub(crate) fn raw_server(client: &mut Node, listener: &TcpListener) -> Raw {
    client.poll();
    let mut server = Raw::new(accept(listener));
    client.poll();
    let request = server.head();
    server.send(answer(&request).as_bytes());
    server
}

/// A peer by itself that has started to connect to `port`.
pub(crate) fn alone(port: u16) -> Peer {
    alone_with(port, |_| {})
}

/// A peer by itself that has started to connect to `port` with settings of its own.
pub(crate) fn alone_with(port: u16, setup: impl FnOnce(&mut ConnectionConfig)) -> Peer {
    let mut peer = Peer::default();
    peer.configure(setup);
    let url = format!("ws://127.0.0.1:{port}");
    dial_alone(&mut peer, &url, no_resolver, DEFAULT_HANDSHAKE_TIMEOUT, Instant::now()).unwrap();
    peer
}

/// A peer by itself that is open, and its server, which is plain bytes.
pub(crate) fn alone_and_raw(setup: impl FnOnce(&mut ConnectionConfig)) -> (Peer, Raw) {
    let (listener, port) = listen();
    let mut peer = alone_with(port, setup);
    peer.poll(Instant::now());
    let mut server = Raw::new(accept(&listener));
    peer.poll(Instant::now());
    let request = server.head();
    server.send(answer(&request).as_bytes());
    reach(&mut peer, State::Open);
    (peer, server)
}

/// Polls until `peer` is in `state`.
#[track_caller]
pub(crate) fn reach(peer: &mut Peer, state: State) {
    eventually(|| {
        peer.poll(Instant::now());
        peer.state() == state
    });
}

/// For URLs without a name.
pub(crate) fn no_resolver(host: &str) -> Box<dyn Resolve> {
    panic!("asked to resolve {host}");
}

/// A resolver whose answers are written down. The last one stays.
pub(crate) struct Script(pub(crate) VecDeque<Option<Result<Vec<IpAddr>, String>>>);

impl Script {
    /// Answers at once.
    pub(crate) fn addresses(addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self([Some(Ok(addresses))].into())
    }
}

impl Resolve for Script {
    fn poll(&mut self) -> Option<Result<Vec<IpAddr>, String>> {
        if self.0.len() > 1 {
            self.0.pop_front().unwrap()
        } else {
            self.0.front().cloned().unwrap()
        }
    }
}

/// A server address that answers no connection: its queue is full. It lives as long as the value.
pub(crate) struct Deaf {
    listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    /// On `address`, which may have port 0.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        // How many fit is up to the system; one that has no answer in this time never has.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "the queue does not fill up");
        }
        Self { listener, _waiting: waiting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().as_socket().unwrap().port()
    }
}

/// The header lines that an upgrade needs.
pub(crate) const HEADERS: &str = "Host: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";

/// A request that a server accepts.
pub(crate) fn request() -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{HEADERS}\r\n").into_bytes()
}

/// The answer that accepts `request`.
pub(crate) fn answer(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// A frame as a server sends it; `first` is the first byte of the header.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    encode(first, 0, payload)
}

/// A frame as a client sends it.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x12, 0xab, 0x00, 0xf7];
    let mut bytes = encode(first, 0x80, payload);
    let from = bytes.len() - payload.len();
    bytes.iter_mut().skip(from).zip(KEY.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    bytes.splice(from..from, KEY);
    bytes
}

fn encode(first: u8, mask: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(mask | len as u8),
        len @ 126..65536 => {
            bytes.push(mask | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(mask | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// A packet that shows its place in the order.
pub(crate) fn numbered(number: u32, size: usize) -> Vec<u8> {
    let mut packet = number.to_le_bytes().to_vec();
    packet.resize(size, number as u8);
    packet
}

/// A blocking socket and what has been read from it ahead.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    ahead: VecDeque<u8>,
}

impl Raw {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, ahead: VecDeque::new() }
    }

    pub(crate) fn connect(port: u16) -> Self {
        Self::new(tcp(port))
    }

    /// With a small receive buffer, so that little is on its way when it does not read.
    pub(crate) fn connect_small(port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
        let stream = TcpStream::from(socket);
        tune(&stream);
        Self::new(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Ends our half of the stream.
    pub(crate) fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let socket = Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn byte(&mut self) -> Option<u8> {
        if self.ahead.is_empty() {
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).unwrap();
            self.ahead.extend(&buffer[..count]);
        }
        self.ahead.pop_front()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte().expect("the stream ends inside a frame")).collect()
    }

    /// Reads up to the end of an HTTP head.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte().expect("the stream ends inside a head"));
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads a frame: its first byte and its payload, unmasked; `None` at the end of the stream.
    pub(crate) fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.byte()?;
        let second = self.bytes(1)[0];
        let len = match second & 0x7f {
            126 => usize::from(u16::from_be_bytes(self.bytes(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.bytes(8).try_into().unwrap()).try_into().unwrap(),
            short => usize::from(short),
        };
        let key = if second & 0x80 == 0 { vec![0; 4] } else { self.bytes(4) };
        let mut payload = self.bytes(len);
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        Some((first, payload))
    }

    /// Reads everything up to the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::from(std::mem::take(&mut self.ahead));
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Whether there is nothing to read: no byte and no end.
    pub(crate) fn is_silent(&self) -> bool {
        settle();
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        let blocks = read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        blocks && self.ahead.is_empty()
    }
}
