//! One client: a connection from its upgrade on.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, Result, bail, ensure};

use crate::frame::{self, Opcode};
use crate::stream::Stream;

/// Key and answer are the example of RFC 6455, section 1.3.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const NORMAL_CLOSURE: [u8; 2] = 1000u16.to_be_bytes();

/// A client that is connecting or connected.
pub(crate) struct Client {
    pub(crate) link: Link,
    /// The start of a message of which more must come.
    incoming: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Upgrading,
    /// The first message is the client's id.
    Naming,
    Open,
    /// It has sent a close frame.
    Leaving,
    /// So has the server.
    Left,
}

/// The way out of a client.
pub(crate) struct Link {
    /// Which client it is.
    pub(crate) index: usize,
    /// What the server calls it.
    pub(crate) id: u32,
    pub(crate) stream: Stream,
    out: Vec<u8>,
    written: usize,
}

/// What comes from the server.
pub(crate) enum Incoming<'a> {
    /// The client has an id.
    Opened,
    Message(&'a [u8]),
}

impl Client {
    pub(crate) fn new(index: usize, stream: Stream) -> Self {
        let link = Link { index, id: 0, stream, out: REQUEST.to_vec(), written: 0 };
        Self { link, incoming: Vec::new(), state: State::Upgrading }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.state, State::Upgrading | State::Naming)
    }

    /// Says goodbye; the server ends the connection.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.state = State::Leaving;
        frame::append(&mut self.link.out, Opcode::Close, &NORMAL_CLOSURE);
        self.link.flush().map(drop)
    }

    /// Reads what is there. Whether the server may send more; it has ended the connection if not.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        mut take: impl FnMut(&mut Link, Incoming<'_>) -> Result<()>,
    ) -> Result<bool> {
        loop {
            let read = match self.link.stream.read(scratch) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(true),
                    // Not yet connected: an event will come.
                    ErrorKind::NotConnected => return Ok(true),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => return Ok(false),
                    _ => return Err(error).context("failed to read"),
                },
            };
            let new = &scratch[..read];
            if self.incoming.is_empty() {
                let used = self.consume(new, &mut take)?;
                self.incoming.extend_from_slice(&new[used..]);
            } else {
                let mut bytes = std::mem::take(&mut self.incoming);
                bytes.extend_from_slice(new);
                let used = self.consume(&bytes, &mut take)?;
                bytes.drain(..used);
                self.incoming = bytes;
            }
            if self.state == State::Left {
                return Ok(false);
            }
            if read < scratch.len() && self.link.stream.is_drained_by_short_read() {
                return Ok(true);
            }
        }
    }

    /// Takes what is whole; how many bytes that were.
    fn consume(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&mut Link, Incoming<'_>) -> Result<()>,
    ) -> Result<usize> {
        let mut used = 0;
        if self.state == State::Upgrading {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Ok(0);
            };
            check_answer(&bytes[..end])?;
            self.state = State::Naming;
            used = end + 4;
        }
        while let Some(frame) = frame::parse(&bytes[used..])? {
            used += frame.size;
            match frame.opcode {
                Opcode::Binary if self.state == State::Naming => {
                    let id = frame.payload.try_into().context("the id has not 4 bytes")?;
                    self.link.id = u32::from_le_bytes(id);
                    self.state = State::Open;
                    take(&mut self.link, Incoming::Opened)?;
                }
                Opcode::Binary => take(&mut self.link, Incoming::Message(frame.payload))?,
                Opcode::Ping => frame::append(&mut self.link.out, Opcode::Pong, frame.payload),
                Opcode::Pong => (),
                Opcode::Close if self.state == State::Leaving => self.state = State::Left,
                Opcode::Close => bail!("the server sent a close frame"),
            }
        }
        Ok(used)
    }
}

fn check_answer(head: &[u8]) -> Result<()> {
    let head = String::from_utf8_lossy(head);
    ensure!(
        head.starts_with("HTTP/1.1 101") && head.contains(ACCEPT),
        "the server answered the upgrade with {head:?}"
    );
    Ok(())
}

impl Link {
    /// Queues a message; [`Self::flush`] sends it.
    pub(crate) fn send(&mut self, payload: &[u8]) {
        frame::append(&mut self.out, Opcode::Binary, payload);
    }

    /// Writes what the kernel takes. Whether that is all.
    pub(crate) fn flush(&mut self) -> Result<bool> {
        self.stream.flush().or_else(ignore_unconnected)?;
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => return Ok(false),
                    _ => return Err(error).context("failed to write"),
                },
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }
}

fn ignore_unconnected(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::NotConnected { Ok(()) } else { Err(error) }
}
