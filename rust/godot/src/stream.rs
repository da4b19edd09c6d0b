//! The engine's `StreamPeerTCP` as a byte stream of core.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use godot::builtin::PackedByteArray;
use godot::classes::StreamPeerTcp;
use godot::classes::stream_peer_tcp::Status;
use godot::global::Error as GodotError;
use godot::obj::Gd;
use mio_websocket_core::transport::ByteStream;

/// A stream that the engine owns. It is moved through the engine's own partial reads and writes.
pub(crate) struct EngineStream {
    tcp: Gd<StreamPeerTcp>,
}

impl EngineStream {
    pub(crate) fn boxed(tcp: Gd<StreamPeerTcp>) -> Box<dyn ByteStream> {
        Box::new(Self { tcp })
    }

    /// Whether the stream is connected; an error of kind `WouldBlock` while it is on its way.
    fn is_connected(&mut self) -> io::Result<bool> {
        self.tcp.poll();
        match self.tcp.get_status() {
            Status::CONNECTED => Ok(true),
            Status::CONNECTING => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(false),
        }
    }
}

impl Read for EngineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_connected()? {
            return Ok(0);
        }
        let wanted = i32::try_from(buffer.len()).unwrap_or(i32::MAX);
        let answer = self.tcp.get_partial_data(wanted);
        match answer.get(0).map(|code| code.to::<GodotError>()) {
            Some(GodotError::OK) => {}
            Some(GodotError::ERR_FILE_EOF) => return Ok(0),
            code => {
                return Err(io::Error::other(format!("the engine's stream says {code:?}")));
            }
        }
        let data = answer.get(1).map(|data| data.to::<PackedByteArray>()).unwrap_or_default();
        if data.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..data.len()].copy_from_slice(data.as_slice());
        Ok(data.len())
    }
}

impl Write for EngineStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_connected()? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let answer = self.tcp.put_partial_data(&PackedByteArray::from(bytes));
        match answer.get(0).map(|code| code.to::<GodotError>()) {
            Some(GodotError::OK) => {}
            code => {
                return Err(io::Error::other(format!("the engine's stream says {code:?}")));
            }
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
        if self.tcp.get_status() == Status::CONNECTED {
            self.tcp.set_no_delay(enabled);
        }
    }

    fn shutdown(&mut self) {
        self.tcp.disconnect_from_host();
    }
}
