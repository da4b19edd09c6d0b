//! One byte stream: a TCP socket, or a stream that somebody else owns; with or without TLS on it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::tls::{ClientTls, ServerTls, Session, TlsError, TlsFacts};

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
    /// Whether somebody has put TLS on the stream.
    fn is_secure(&self) -> bool;
}

/// The bottom of a connection.
pub struct Transport {
    stream: Counted,
    tls: Option<Box<Session>>,
    /// Bytes for TLS that have been read already.
    early: BytesMut,
    /// The other side has been told that nothing more will be sent.
    writing_ended: bool,
}

/// Bytes that have gone through a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireBytes {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// A stream and what has gone through it.
struct Counted {
    stream: Stream,
    bytes: WireBytes,
}

enum Stream {
    /// A socket of ours.
    Tcp(TcpStream),
    /// A stream of somebody else's.
    Foreign(Box<dyn ByteStream>),
}

/// The buffers of a reactor, which all its connections read through.
pub(crate) struct Scratch {
    /// What has been read.
    pub(crate) plain: Box<[u8]>,
    /// What has been read and is not decrypted yet.
    wire: Box<[u8]>,
}

/// What a read has brought.
pub(crate) struct Received {
    /// Bytes in [`Scratch::plain`]; 0 at the end of the stream.
    pub(crate) count: usize,
    /// The stream had no more. A stream of somebody else's may give less than it has, the engine's
    /// gives one TLS record at a time.
    pub(crate) emptied: bool,
}

impl Scratch {
    /// Buffers for reads of up to `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        // So much smaller that the plaintext of a full buffer, and of a record of which a part came
        // before, always has room.
        let wire = size / 2;
        Self { plain: vec![0; size].into(), wire: vec![0; wire].into() }
    }
}

impl Transport {
    /// A connected socket.
    #[must_use]
    pub fn tcp(stream: TcpStream) -> Self {
        Self::new(Stream::Tcp(stream))
    }

    /// A stream of somebody else's.
    #[must_use]
    pub fn foreign(stream: Box<dyn ByteStream>) -> Self {
        Self::new(Stream::Foreign(stream))
    }

    fn new(stream: Stream) -> Self {
        let stream = Counted { stream, bytes: WireBytes::default() };
        Self { stream, tls: None, early: BytesMut::new(), writing_ended: false }
    }

    /// What has gone through the stream, TLS included.
    pub(crate) fn wire_bytes(&self) -> WireBytes {
        self.stream.bytes
    }

    /// Puts the server's end of a TLS session on the stream.
    pub(crate) fn secure_server(mut self, tls: &ServerTls) -> Result<Self, TlsError> {
        self.tls = Some(Box::new(Session::server(tls)?));
        Ok(self)
    }

    /// Gives `bytes`, which have been read from the stream, to the TLS session on it.
    pub(crate) fn put_back(&mut self, bytes: BytesMut) {
        self.early = bytes;
    }

    /// Whether there is something to read of which the system does not tell.
    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Puts the client's end of a TLS session on the stream.
    pub(crate) fn secure_client(mut self, tls: &ClientTls) -> Result<Self, TlsError> {
        self.tls = Some(Box::new(Session::client(tls)?));
        Ok(self)
    }

    /// Whether there is TLS on the stream.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
            || matches!(&self.stream.stream, Stream::Foreign(stream) if stream.is_secure())
    }

    /// Whether the TLS handshake goes on.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// What the TLS handshake has agreed on, if it was ours.
    pub(crate) fn tls_facts(&self) -> Option<TlsFacts> {
        self.tls.as_ref().and_then(|tls| tls.facts())
    }

    /// Reads what is there, up to `most` bytes and the size of the scratch buffers. With TLS always
    /// up to that size: less might be less than a record, and nothing would tell of the rest.
    /// `Interrupted` means to try again.
    pub(crate) fn read(&mut self, scratch: &mut Scratch, most: usize) -> io::Result<Received> {
        let Some(tls) = &mut self.tls else {
            let most = most.min(scratch.plain.len());
            let count = self.stream.read(&mut scratch.plain[..most])?;
            let emptied = !self.is_foreign() && count < most;
            return Ok(Received { count, emptied });
        };
        if let Some(end) = tls.end() {
            end?;
            return Ok(Received { count: 0, emptied: true });
        }
        let is_early = !self.early.is_empty();
        let wire = if is_early {
            let count = self.early.len().min(scratch.wire.len());
            self.early.copy_to_slice(&mut scratch.wire[..count]);
            count
        } else {
            self.stream.read(&mut scratch.wire)?
        };
        let read = tls.read(&scratch.wire[..wire], &mut scratch.plain);
        // Handshake messages, answers to key updates and alerts go out at once. If the stream does
        // not take them they wait; if it has failed the next read says so.
        let _ = tls.write_out(&mut self.stream);
        // The end may have come together with data, and nothing will tell of it again.
        let may_have_more = is_early || wire == scratch.wire.len() || tls.end().is_some();
        let emptied = !self.is_foreign() && !may_have_more;
        match read {
            // What came made no plaintext. There may be more, or the end, and nothing will tell of
            // it again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && wire > 0 => {
                Err(io::ErrorKind::Interrupted.into())
            }
            read => Ok(Received { count: read?, emptied }),
        }
    }

    /// Writes as much of `bytes` as is taken now. With TLS a count means that the ciphertext has
    /// been written, so until then the same bytes must be offered again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(bytes, &mut self.stream),
            None => self.stream.write(bytes),
        }
    }

    /// Whether TLS has something to write that is not anyone's message.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes what TLS has to write.
    pub(crate) fn write_out(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.write_out(&mut self.stream),
            None => Ok(()),
        }
    }

    /// Tells the other side that nothing more will be sent.
    pub(crate) fn end_writing(&mut self) {
        if std::mem::replace(&mut self.writing_ended, true) {
            return;
        }
        if let Some(tls) = &mut self.tls {
            tls.end_writing(&mut self.stream);
        }
        // An error means that the connection has gone, which the next read will say.
        if let Stream::Tcp(stream) = &self.stream.stream {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Ends the stream. Bytes that have arrived and are not read would make the kernel reset the
    /// connection and take our last bytes with it, so they are read first, up to a bound. What has
    /// gone through the stream by then.
    pub(crate) fn end(mut self) -> WireBytes {
        self.end_writing();
        let mut rest = [0; 4096];
        for _ in 0..64 {
            match self.stream.read(&mut rest) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        if let Stream::Foreign(stream) = &mut self.stream.stream {
            stream.shutdown();
        }
        self.wire_bytes()
    }

    pub(crate) fn set_no_delay(&mut self, enabled: bool) {
        match &mut self.stream.stream {
            // Only a socket that has gone fails here.
            Stream::Tcp(stream) => drop(stream.set_nodelay(enabled)),
            Stream::Foreign(stream) => stream.set_no_delay(enabled),
        }
    }

    /// The address of the other end; an IPv4 address that came through an IPv6 socket as IPv4.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        let address = match &self.stream.stream {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Foreign(stream) => stream.remote(),
        };
        address.map(plain)
    }

    /// Asks to be told when the socket is ready; a foreign stream cannot tell.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.stream.stream {
            Stream::Tcp(stream) => {
                registry.register(stream, token, Interest::READABLE | Interest::WRITABLE)
            }
            Stream::Foreign(_) => Ok(()),
        }
    }

    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.stream.stream, Stream::Foreign(_))
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Foreign(stream) => stream.read(buffer),
        }?;
        self.bytes.received += count as u64;
        Ok(count)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.stream {
            Stream::Tcp(stream) => stream.write(bytes)?,
            Stream::Foreign(stream) => stream.write(bytes)?,
        };
        // To try again what takes nothing would never end.
        if written == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.sent += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
