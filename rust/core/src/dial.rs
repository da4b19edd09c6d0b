//! From a name to a connected socket: addresses are raced, nothing waits.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::error::{Failure, Phase};
use crate::transport::{ByteStream, Transport};

/// Head start of each address over the next one: RFC 8305, section 5.
const STAGGER: Duration = Duration::from_millis(250);

/// The addresses of a name, asked for and not there yet.
pub trait Resolve {
    /// The addresses, or why there are none; `None` while it is not known. Called from each poll.
    fn poll(&mut self) -> Option<Result<Vec<IpAddr>, String>>;
}

/// Resolves with the operating system's resolver in a thread that ends with the answer. Only tests use
/// it: the addon has the engine's resolver.
#[derive(Debug)]
pub struct ThreadResolver(Receiver<Result<Vec<IpAddr>, String>>);

impl ThreadResolver {
    /// Starts to resolve `host`.
    #[must_use]
    pub fn new(host: String) -> Self {
        let (send, receive) = channel();
        let resolve = move || {
            let found = (host.as_str(), 0)
                .to_socket_addrs()
                .map(|addresses| addresses.map(|address| address.ip()).collect())
                .map_err(|error| error.to_string());
            // Nobody waits any more when the connection has been given up.
            let _ = send.send(found);
        };
        // Without a thread the sender is dropped, which the first poll sees.
        let _ = std::thread::Builder::new().name("resolver".into()).spawn(resolve);
        Self(receive)
    }
}

impl Resolve for ThreadResolver {
    fn poll(&mut self) -> Option<Result<Vec<IpAddr>, String>> {
        match self.0.try_recv() {
            Ok(found) => Some(found),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("no thread for the resolver".into())),
        }
    }
}

/// What a dial has come to.
pub(crate) enum Progress {
    /// It goes on.
    Pending,
    /// This stream is connected.
    Connected(Transport),
    /// No address is left.
    Failed(Failure),
}

/// Connection attempts to the addresses of one name.
pub(crate) struct Dial {
    /// A stream that somebody else has connected.
    connected: Option<Box<dyn ByteStream>>,
    resolver: Option<Box<dyn Resolve>>,
    port: u16,
    waiting: VecDeque<SocketAddr>,
    attempts: Vec<(SocketAddr, TcpStream)>,
    next_start: Option<Instant>,
    last_error: Option<String>,
}

impl Dial {
    /// Dials `port` at an address that is known.
    pub(crate) fn address(address: SocketAddr) -> Self {
        let mut dial = Self::name(None, address.port());
        dial.waiting.push_back(address);
        dial
    }

    /// Nothing is left to dial: `stream` is connected to `port`.
    pub(crate) fn stream(stream: Box<dyn ByteStream>, port: u16) -> Self {
        Self { connected: Some(stream), ..Self::name(None, port) }
    }

    /// Dials `port` at the addresses that `resolver` finds.
    pub(crate) fn name(resolver: impl Into<Option<Box<dyn Resolve>>>, port: u16) -> Self {
        Self {
            connected: None,
            resolver: resolver.into(),
            port,
            waiting: VecDeque::new(),
            attempts: Vec::new(),
            next_start: None,
            last_error: None,
        }
    }

    /// The address that is tried first.
    pub(crate) fn first_address(&self) -> Option<SocketAddr> {
        let attempt = self.attempts.first().map(|(address, _)| *address);
        attempt.or_else(|| self.waiting.front().copied())
    }

    /// When [`Dial::advance`] is to be called although no socket is ready.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next_start
    }

    /// What it is about.
    pub(crate) fn phase(&self) -> Phase {
        if self.resolver.is_some() { Phase::Resolve } else { Phase::Connect }
    }

    /// Whether nothing tells when there is something to do, so that each poll has to look: for the
    /// addresses of a name, or at somebody else's stream.
    pub(crate) fn needs_polling(&self) -> bool {
        self.resolver.is_some() || self.connected.is_some()
    }

    /// Takes the next step; to be called when a socket is ready or the deadline has come.
    pub(crate) fn advance(&mut self, now: Instant, registry: &Registry, token: Token) -> Progress {
        if let Some(stream) = self.connected.take() {
            return Progress::Connected(Transport::foreign(stream));
        }
        if let Some(resolver) = &mut self.resolver {
            match resolver.poll() {
                None => return Progress::Pending,
                Some(Err(error)) => return Progress::Failed(Failure::Resolve(error)),
                Some(Ok(found)) => {
                    self.resolver = None;
                    self.waiting = interleave(&found, self.port);
                    if self.waiting.is_empty() {
                        return Progress::Failed(Failure::Resolve("it has no address".into()));
                    }
                }
            }
        }
        let mut index = 0;
        while index < self.attempts.len() {
            match is_connected(&self.attempts[index].1) {
                Ok(true) => {
                    let (_, stream) = self.attempts.swap_remove(index);
                    return Progress::Connected(Transport::tcp(stream));
                }
                Ok(false) => index += 1,
                Err(error) => {
                    self.note_error(&error, now);
                    self.attempts.remove(index);
                }
            }
        }
        // The next address gets its turn when the head start is over, which an attempt that fails
        // ends.
        while self.attempts.is_empty() || self.next_start.is_some_and(|start| now >= start) {
            self.next_start = None;
            let Some(address) = self.waiting.pop_front() else {
                break;
            };
            match connect(address, registry, token) {
                Ok(stream) => {
                    self.attempts.push((address, stream));
                    if !self.waiting.is_empty() {
                        self.next_start = Some(now + STAGGER);
                    }
                }
                Err(error) => self.note_error(&error, now),
            }
        }
        if self.attempts.is_empty() {
            let error = self.last_error.take();
            return Progress::Failed(Failure::Connect(error.unwrap_or_default()));
        }
        Progress::Pending
    }

    fn note_error(&mut self, error: &io::Error, now: Instant) {
        self.last_error = Some(error.to_string());
        self.next_start = Some(now);
    }
}

fn connect(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    // That nobody listens on an address of this machine is known at once.
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Whether the connection stands. The order of the questions is mio's advice for portability.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        // Linux and macOS say this while the connection is being made.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error),
    }
}

/// The families by turns, IPv6 first: RFC 8305, section 4.
fn interleave(found: &[IpAddr], port: u16) -> VecDeque<SocketAddr> {
    let mut v6 = found.iter().filter(|address| address.is_ipv6());
    let mut v4 = found.iter().filter(|address| address.is_ipv4());
    let mut order = VecDeque::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return order;
        }
        for address in pair.into_iter().flatten() {
            let address = SocketAddr::new(*address, port);
            if !order.contains(&address) {
                order.push_back(address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_ipv6_is_first() {
        let found: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2", "::1", "10.0.0.1", "::2", "::3"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        let order: Vec<String> =
            interleave(&found, 80).iter().map(|address| address.ip().to_string()).collect();
        assert_eq!(order, ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]);
    }
}
