//! One TLS session: ciphertext in and out, plaintext in and out. The caller moves the bytes.

use std::io::{self, Read, Write};

use rustls::{ClientConnection, Connection, ProtocolVersion, ServerConnection};

use super::{ClientTls, ServerTls, TlsError, TlsFailure};

/// Plaintext that is encrypted at once: more would be memory that the limits on queued packets do
/// not see, less would be records that are not full.
const CHUNK: usize = 64 * 1024;

/// What a TLS handshake has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The name that the client asked for (SNI), in lower case; a server knows it, and none for a
    /// client that came by address.
    pub server_name: Option<String>,
}

/// A TLS session over some stream.
pub(crate) struct Session {
    connection: Connection,
    /// Plaintext that has been encrypted and not completely written.
    owed: usize,
    /// The other side has said that nothing more will come, or what came was wrong. What was
    /// decrypted before is given out first.
    end: Option<Result<(), TlsFailure>>,
}

impl Session {
    pub(crate) fn client(tls: &ClientTls) -> Result<Self, TlsError> {
        let connection = ClientConnection::new(tls.config.clone(), tls.name.clone())
            .map_err(|error| TlsError::Other(error.to_string()))?;
        Ok(Self::new(connection.into()))
    }

    pub(crate) fn server(tls: &ServerTls) -> Result<Self, TlsError> {
        let connection = ServerConnection::new(tls.config.clone())
            .map_err(|error| TlsError::Other(error.to_string()))?;
        Ok(Self::new(connection.into()))
    }

    fn new(mut connection: Connection) -> Self {
        // What is encrypted at once is bounded by `CHUNK`.
        connection.set_buffer_limit(None);
        Self { connection, owed: 0, end: None }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// What the handshake has agreed on; `None` before its end.
    pub(crate) fn facts(&self) -> Option<TlsFacts> {
        if self.is_handshaking() {
            return None;
        }
        let version = match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "",
        };
        let server_name = match &self.connection {
            Connection::Server(server) => server.server_name().map(str::to_ascii_lowercase),
            Connection::Client(_) => None,
        };
        Some(TlsFacts { version, server_name })
    }

    /// How the stream has ended, if its end has been decrypted.
    pub(crate) fn end(&self) -> Option<Result<(), TlsFailure>> {
        self.end.clone()
    }

    /// Whether ciphertext waits to be written.
    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Decrypts `wire`, all of it, into `buffer`; the bytes of plaintext. An empty `wire` is the end
    /// of the stream. `buffer` must have room for the plaintext of `wire` and of one record more, of
    /// which a part may have come before.
    ///
    /// # Errors
    /// `WouldBlock` when more ciphertext is needed, or a [`TlsFailure`], for which an alert then
    /// waits to be written.
    pub(crate) fn read(&mut self, mut wire: &[u8], buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            // The end is reported when everything before it has been taken.
            if !wire.is_empty() || count == 0 {
                self.connection.read_tls(&mut wire)?;
                let in_handshake = self.is_handshaking();
                match self.connection.process_new_packets() {
                    Ok(state) if state.peer_has_closed() => self.end = Some(Ok(())),
                    Ok(_) => {}
                    Err(error) => {
                        self.end = Some(Err(TlsFailure::new(&error, in_handshake)));
                        wire = &[];
                    }
                }
            }
            match self.connection.reader().read(&mut buffer[count..]) {
                Ok(0) => return Ok(count),
                Ok(read) => count += read,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    // The end without a close_notify. WebSocket frames say themselves where they
                    // end, so a cut is noticed without it, and many peers end this way.
                    return Ok(count);
                }
                Err(_) if !wire.is_empty() => {}
                Err(_) if count > 0 => return Ok(count),
                Err(error) => {
                    return match self.end() {
                        Some(Err(failure)) => Err(failure.into()),
                        _ => Err(error),
                    };
                }
            }
        }
    }

    /// Encrypts from the front of `plain` and writes to `stream`; the bytes whose ciphertext has
    /// been written completely. Called again with the same front until it returns a count, so that
    /// what is not written still counts as queued.
    pub(crate) fn write(&mut self, plain: &[u8], stream: &mut impl Write) -> io::Result<usize> {
        if self.is_handshaking() {
            self.write_out(stream)?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.owed == 0 {
            let chunk = &plain[..plain.len().min(CHUNK)];
            self.connection.writer().write_all(chunk)?;
            self.owed = chunk.len();
        }
        self.write_out(stream)?;
        Ok(std::mem::take(&mut self.owed))
    }

    /// Writes the ciphertext that waits.
    pub(crate) fn write_out(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }

    /// Tells the other side that nothing more will be sent.
    pub(crate) fn end_writing(&mut self, stream: &mut impl Write) {
        self.connection.send_close_notify();
        // What the stream does not take now is lost; the end of the stream says the same.
        let _ = self.write_out(stream);
    }
}
