//! One byte stream: a TCP socket, or a stream that somebody else owns.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// A stream that is not one of our sockets: it has no descriptor to wait on, so it is tried in
/// each poll. Reads and writes follow the rules of non-blocking sockets: `WouldBlock` when nothing
/// can be done now, 0 read at the end.
pub trait ByteStream: Read + Write {
    /// The address of the other end, if known.
    fn remote(&self) -> Option<SocketAddr>;
    /// Turns delaying of small segments off or on.
    fn set_no_delay(&mut self, enabled: bool);
    /// Ends the stream in both directions.
    fn shutdown(&mut self);
}

/// The bottom of a connection.
pub enum Transport {
    /// A socket of ours.
    Tcp(TcpStream),
    /// A stream of somebody else's.
    Foreign(Box<dyn ByteStream>),
}

impl Transport {
    /// Reads what is there, up to the size of `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Foreign(stream) => stream.read(buffer),
        }
    }

    /// Writes as much of `bytes` as is taken now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Foreign(stream) => stream.write(bytes),
        }
    }

    /// Tells the other side that nothing more will be sent.
    pub(crate) fn end_writing(&mut self) {
        // An error means that the connection has gone, which the next read will say.
        if let Self::Tcp(stream) = self {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Ends the stream. Bytes that have arrived and are not read would make the kernel reset the
    /// connection and take our last bytes with it, so they are read first, up to a bound.
    pub(crate) fn end(mut self) {
        self.end_writing();
        let mut rest = [0; 4096];
        for _ in 0..64 {
            match self.read(&mut rest) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        if let Self::Foreign(stream) = &mut self {
            stream.shutdown();
        }
    }

    pub(crate) fn set_no_delay(&mut self, enabled: bool) {
        match self {
            // Only a socket that has gone fails here.
            Self::Tcp(stream) => drop(stream.set_nodelay(enabled)),
            Self::Foreign(stream) => stream.set_no_delay(enabled),
        }
    }

    /// The address of the other end; an IPv4 address that came through an IPv6 socket as IPv4.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        let address = match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Foreign(stream) => stream.remote(),
        };
        address.map(plain)
    }

    /// Asks to be told when the socket is ready; a foreign stream cannot tell.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                registry.register(stream, token, Interest::READABLE | Interest::WRITABLE)
            }
            Self::Foreign(_) => Ok(()),
        }
    }

    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }
}

/// `address` with an IPv4-mapped IPv6 address as IPv4.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The text of an address as the engine writes it: IPv6 is not shortened.
#[must_use]
pub fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|segment| format!("{segment:x}")).join(":"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_the_engine_writes_them() {
        assert_eq!(address_text("127.0.0.1".parse().unwrap()), "127.0.0.1");
        assert_eq!(address_text("::1".parse().unwrap()), "0:0:0:0:0:0:0:1");
        let mapped = plain("[::ffff:10.0.0.1]:80".parse().unwrap());
        assert_eq!(mapped, "10.0.0.1:80".parse().unwrap());
    }
}
