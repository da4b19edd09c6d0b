//! The attackers' side of a connection: blocking sockets of std, each call with a time limit.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use socket2::{Domain, SockRef, Socket, Type};

use super::frame::{self, CLOSE};

/// Longer than anything the server has to do takes, but for a server that does not do it.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a flood lasts at most.
const FLOOD: Duration = Duration::from_millis(1500);
/// Between two bytes of those who are slow.
const SLOW: Duration = Duration::from_millis(20);
/// Threads of one attack: what waits for answers waits for frames of the server.
const THREADS: usize = 32;
/// Bytes that the kernel keeps for an attacker: what he does not read is soon the server's affair.
const RECEIVED: usize = 16 * 1024;
/// No answer to a request, and nothing else that the server says before it ends a connection, is
/// longer.
const MOST_READ: usize = 64 << 20;

/// Where to attack, and how hard.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) port: u16,
    /// 0 unless there is a status endpoint.
    pub(super) status_port: u16,
    /// The trust in the server's certificate, if it speaks TLS.
    pub(super) roots: Option<RootCertStore>,
    /// How many times the usual amount is done.
    pub(super) factor: usize,
    /// Connections that an attack may hold at a time.
    pub(super) connections: usize,
}

/// What the attackers come from: not the address of the good clients, and many, so that no limit on
/// one of them is what stops an attack.
fn next_address() -> Ipv4Addr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    Ipv4Addr::new(127, 0, 1, 1 + (NEXT.fetch_add(1, Ordering::Relaxed) % 250) as u8)
}

impl Target {
    /// A TCP connection.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        self.connect_from(next_address())
    }

    fn connect_from(&self, address: Ipv4Addr) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(RECEIVED)?;
        socket.bind(&SocketAddr::from((address, 0)).into()).context("failed to bind")?;
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        socket.connect_timeout(&server.into(), PATIENCE).context("failed to connect")?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection on which HTTP can be spoken.
    fn open(&self, address: Ipv4Addr) -> Result<Stream> {
        let socket = self.connect_from(address)?;
        if self.roots.is_none() {
            return Ok(Stream::Plain(socket));
        }
        let session = self.session(rustls::ALL_VERSIONS)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
    }

    /// The client's end of a TLS session.
    pub(super) fn session(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<ClientConnection> {
        let roots = self.roots.clone().unwrap_or_else(RootCertStore::empty);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?)
    }

    /// A connection that has been upgraded, and has its id.
    pub(super) fn join(&self) -> Result<Client> {
        let mut client = self.ask(&request(&[]))?;
        client.expect_upgrade()?;
        client.read_id()?;
        Ok(client)
    }

    /// A connection on which `bytes` have been sent.
    pub(super) fn ask(&self, bytes: &[u8]) -> Result<Client> {
        self.ask_from(next_address(), bytes)
    }

    /// A connection from `address`, one of the loopback network, on which `bytes` have been sent.
    pub(super) fn ask_from(&self, address: Ipv4Addr, bytes: &[u8]) -> Result<Client> {
        let mut client = Client(BufReader::new(self.open(address)?));
        client.send(bytes).context("failed to send a request")?;
        Ok(client)
    }
}

/// The authorities in a file.
pub(super) fn roots(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).context("the root is no certificate")?)?;
    Ok(roots)
}

/// A socket, with TLS on it or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// Sends a reset in place of an end.
pub(super) fn reset(socket: &TcpStream) -> Result<()> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO)).context("failed to set SO_LINGER")
}

/// Reads until the server ends the connection; how many bytes that were.
pub(super) fn read_to_end(stream: &mut impl Read) -> Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let mut count = 0;
    while count < MOST_READ {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(count),
            Ok(read) => count += read,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    bail!("the server did not end a connection")
                }
                ErrorKind::Interrupted => {}
                _ => return Ok(count),
            },
        }
    }
    bail!("the server sent more than {MOST_READ} bytes");
}

/// One WebSocket, or what wants to become one.
pub(super) struct Client(BufReader<Stream>);

/// An HTTP answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names of the header lines, in lower case.
    pub(super) names: Vec<String>,
}

impl Client {
    pub(super) fn socket(&self) -> &TcpStream {
        self.0.get_ref().socket()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    /// Sends `bytes` again and again without reading: at most `times`, as long as floods last, until
    /// the server ends the connection. How often that was.
    pub(super) fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        let started = Instant::now();
        (0..times).take_while(|_| started.elapsed() < FLOOD && self.send(bytes).is_ok()).count()
    }

    /// The head of an HTTP answer.
    pub(super) fn read_answer(&mut self) -> Result<Answer> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.by_ref().take(4096).read_line(&mut line).context("failed to read an answer")?;
            ensure!(line.ends_with("\r\n"), "an answer was cut off: {lines:?} {line:?}");
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let status = lines.first().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3));
        let status = status.and_then(|status| status.parse().ok()).context("no HTTP answer")?;
        let names = lines[1..].iter().filter_map(|line| line.split_once(':'));
        Ok(Answer { status, names: names.map(|(name, _)| name.to_lowercase()).collect() })
    }

    /// The head of an answer with this status.
    pub(super) fn expect(&mut self, status: u16) -> Result<Answer> {
        let answer = self.read_answer()?;
        ensure!(answer.status == status, "status {} and not {status}", answer.status);
        Ok(answer)
    }

    pub(super) fn expect_upgrade(&mut self) -> Result<()> {
        self.expect(101).map(drop)
    }

    /// The first message: the client's id.
    pub(super) fn read_id(&mut self) -> Result<()> {
        let (opcode, payload) = self.read_frame()?;
        ensure!(opcode == frame::BINARY && payload.len() == 4, "the first message is no id");
        Ok(())
    }

    /// The next frame: its opcode and payload.
    pub(super) fn read_frame(&mut self) -> Result<(u8, Vec<u8>)> {
        frame::read(&mut self.0).context("failed to read a frame")
    }

    /// The code of the close frame that comes next, behind any other frames; 0 if it has none.
    pub(super) fn close_code(&mut self) -> Result<u16> {
        for _ in 0..10_000 {
            let (opcode, payload) = self.read_frame()?;
            if opcode == CLOSE {
                return Ok(payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code)));
            }
        }
        bail!("no close frame came");
    }

    /// Sees that the server closes with `code` and ends the connection.
    pub(super) fn expect_close(&mut self, code: u16) -> Result<()> {
        let got = self.close_code()?;
        ensure!(got == code, "close code {got} and not {code}");
        self.read_to_end()
    }

    pub(super) fn read_to_end(&mut self) -> Result<()> {
        read_to_end(&mut self.0).map(drop)
    }

    /// Ends our half.
    pub(super) fn end_writing(&self) -> Result<()> {
        self.socket().shutdown(Shutdown::Write).context("failed to end a half")
    }

    /// Goes with a reset.
    pub(super) fn reset(self) -> Result<()> {
        reset(self.socket())
    }
}

/// A good request, with more header lines.
pub(super) fn request(lines: &[&str]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines.extend(HEADERS);
    head("GET / HTTP/1.1", &lines)
}

/// The header lines that a request needs. The key is the example of RFC 6455, section 1.3.
pub(super) const HEADERS: [&str; 5] = [
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A head of these lines.
pub(super) fn head(start: &str, lines: &[&str]) -> Vec<u8> {
    let mut head = format!("{start}\r\n");
    lines.iter().for_each(|line| head.extend([line, "\r\n"]));
    head.push_str("\r\n");
    head.into_bytes()
}

/// Does `deed` for each number below `count`, on a few threads. What they came to; the first error
/// ends it.
pub(super) fn crowd<T: Send>(
    count: usize,
    deed: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(done);
            }
            match deed(index) {
                Ok(value) => done.push(value),
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(count)).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().ok().context("a thread panicked")??);
        }
        Ok(all)
    })
}

/// Writes to all `streams`, a byte of `byte(index)` at a time, at most `steps`, until the server has
/// ended them all. How many of them have been ended.
pub(super) fn slowly<S: Write>(
    streams: &mut [S],
    steps: usize,
    byte: impl Fn(usize) -> u8,
) -> usize {
    let mut ended = vec![false; streams.len()];
    for step in 0..steps {
        for (stream, ended) in streams.iter_mut().zip(&mut ended) {
            let sent = !*ended && stream.write(&[byte(step)]).is_ok() && stream.flush().is_ok();
            *ended = !sent;
        }
        if ended.iter().all(|ended| *ended) {
            break;
        }
        thread::sleep(SLOW);
    }
    ended.iter().filter(|ended| **ended).count()
}

/// A number that looks random, the same each time.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}
