//! The engine's `StreamPeerTCP`, or `StreamPeerTLS` on one, as a byte stream of core.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use godot::builtin::PackedByteArray;
use godot::classes::stream_peer_tcp::Status as TcpStatus;
use godot::classes::stream_peer_tls::Status as TlsStatus;
use godot::classes::{StreamPeer, StreamPeerTcp, StreamPeerTls};
use godot::global::Error as GodotError;
use godot::obj::Gd;
use mio_websocket_core::transport::ByteStream;

/// A stream that the engine owns. It is moved through the engine's own partial reads and writes.
pub(crate) struct EngineStream {
    tcp: Gd<StreamPeerTcp>,
    tls: Option<Gd<StreamPeerTls>>,
    /// The upper one of the two.
    top: Gd<StreamPeer>,
}

#[derive(PartialEq, Eq)]
enum Progress {
    Coming,
    Connected,
    Gone,
}

impl EngineStream {
    /// Takes `stream` if it is one of the two kinds.
    pub(crate) fn boxed(stream: Gd<StreamPeer>) -> Option<Box<dyn ByteStream>> {
        let (tcp, tls) = match stream.clone().try_cast::<StreamPeerTls>() {
            Ok(tls) => (tls.get_stream()?.try_cast().ok()?, Some(tls)),
            Err(stream) => (stream.try_cast().ok()?, None),
        };
        Some(Box::new(Self { tcp, tls, top: stream }))
    }

    /// Whether the stream is connected; an error of kind `WouldBlock` while it is on its way.
    fn is_connected(&mut self) -> io::Result<bool> {
        let mut state = self.state();
        if state == Progress::Coming {
            // Only then: polling a connected stream throws away what came together with its end.
            match &mut self.tls {
                Some(tls) => tls.poll(),
                None => drop(self.tcp.poll()),
            }
            state = self.state();
        }
        match state {
            Progress::Coming => Err(io::ErrorKind::WouldBlock.into()),
            state => Ok(state == Progress::Connected),
        }
    }

    fn get_partial_data(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = i32::try_from(buffer.len()).unwrap_or(i32::MAX);
        let answer = self.top.get_partial_data(wanted);
        match answer.get(0).map(|code| code.to::<GodotError>()) {
            Some(GodotError::OK) => {}
            Some(GodotError::ERR_FILE_EOF) => return Ok(0),
            code => return Err(io::Error::other(format!("the engine's stream says {code:?}"))),
        }
        let data = answer.get(1).map(|data| data.to::<PackedByteArray>()).unwrap_or_default();
        if data.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = data.len().min(buffer.len());
        buffer[..count].copy_from_slice(&data.as_slice()[..count]);
        Ok(count)
    }

    fn state(&self) -> Progress {
        match &self.tls {
            Some(tls) => match tls.get_status() {
                TlsStatus::HANDSHAKING => Progress::Coming,
                TlsStatus::CONNECTED => Progress::Connected,
                _ => Progress::Gone,
            },
            None => match self.tcp.get_status() {
                TcpStatus::CONNECTING => Progress::Coming,
                TcpStatus::CONNECTED => Progress::Connected,
                _ => Progress::Gone,
            },
        }
    }
}

impl Read for EngineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_connected()? {
            return Ok(0);
        }
        if self.tls.is_none() {
            return self.get_partial_data(buffer);
        }
        // Asked for more than there is, the engine's TLS goes on to the end of the stream and then
        // throws away what it has read. So: one byte, and the rest of the record it came in.
        let Some((first, rest)) = buffer.split_first_chunk_mut::<1>() else {
            return Ok(0);
        };
        if self.get_partial_data(first)? == 0 {
            return Ok(0);
        }
        let left = usize::try_from(self.top.get_available_bytes()).unwrap_or(0).min(rest.len());
        if left == 0 {
            return Ok(1);
        }
        Ok(1 + self.get_partial_data(&mut rest[..left])?)
    }
}

impl Write for EngineStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_connected()? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let answer = self.top.put_partial_data(&PackedByteArray::from(bytes));
        match answer.get(0).map(|code| code.to::<GodotError>()) {
            Some(GodotError::OK) => {}
            code => return Err(io::Error::other(format!("the engine's stream says {code:?}"))),
        }
        let sent = answer.get(1).map_or(0, |sent| sent.to::<i32>());
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => Ok(sent.min(bytes.len())),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteStream for EngineStream {
    fn remote(&self) -> Option<SocketAddr> {
        let host = self.tcp.get_connected_host().to_string().parse().ok()?;
        Some(SocketAddr::new(host, self.tcp.get_connected_port() as u16))
    }

    fn set_no_delay(&mut self, enabled: bool) {
        if self.tcp.get_status() == TcpStatus::CONNECTED {
            self.tcp.set_no_delay(enabled);
        }
    }

    fn shutdown(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.disconnect_from_stream();
        }
        self.tcp.disconnect_from_host();
    }

    fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}
