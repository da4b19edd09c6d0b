//! One client: a connection from its upgrade on.

use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, Result, bail, ensure};

use crate::frame::{self, Opcode};
use crate::stream::Stream;

/// Key and answer are the example of RFC 6455, section 1.3.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const NORMAL_CLOSURE: [u8; 2] = 1000u16.to_be_bytes();

/// A client that is connecting or connected.
pub(crate) struct Client {
    pub(crate) link: Link,
    /// It reads nothing at present.
    pub(crate) is_paused: bool,
    /// The start of a message of which more must come.
    incoming: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Upgrading,
    /// It was not let in.
    Refused,
    /// The first message is the client's id.
    Naming,
    Open,
    /// It has sent a close frame.
    Leaving,
    /// So has the server.
    Left,
    /// The server was the first to send one.
    Dismissed,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Before the client had an id.
    Unopened,
    /// The server let nobody in at present, and said so.
    Refused,
    /// Without a close frame from the server.
    Cut,
    /// The client said goodbye, and so did the server.
    Left,
    /// The server said goodbye.
    Dismissed,
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
    Pong(&'a [u8]),
}

impl Client {
    /// A client that begins with `request`.
    pub(crate) fn new(index: usize, stream: Stream, request: &[u8]) -> Self {
        let link = Link { index, id: 0, stream, out: request.to_vec(), written: 0 };
        Self { link, is_paused: false, incoming: Vec::new(), state: State::Upgrading }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.state, State::Upgrading | State::Naming)
    }

    /// What the end of the connection would be now.
    pub(crate) fn end(&self) -> End {
        match self.state {
            State::Upgrading | State::Naming => End::Unopened,
            State::Refused => End::Refused,
            State::Open | State::Leaving => End::Cut,
            State::Left => End::Left,
            State::Dismissed => End::Dismissed,
        }
    }

    /// Says goodbye; the server ends the connection.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.state = State::Leaving;
        frame::append(&mut self.link.out, Opcode::Close, &NORMAL_CLOSURE);
        self.link.flush().map(drop)
    }

    /// Reads what is there. Whether the server may send more; it has ended the connection if not.
    /// With `ended` its end may be behind what is there, and is not told again.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        ended: bool,
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
                    kind if is_end(kind) => return Ok(false),
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
            if matches!(self.state, State::Refused | State::Left | State::Dismissed) {
                self.link.flush()?;
                return Ok(false);
            }
            if read < scratch.len() && !ended && self.link.stream.is_drained_by_short_read() {
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
            if bytes.starts_with(b"HTTP/1.1 503 ") {
                self.state = State::Refused;
                return Ok(bytes.len());
            }
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
                Opcode::Pong => take(&mut self.link, Incoming::Pong(frame.payload))?,
                Opcode::Close if self.state == State::Leaving => self.state = State::Left,
                Opcode::Close => {
                    frame::append(&mut self.link.out, Opcode::Close, frame.payload);
                    self.state = State::Dismissed;
                }
                Opcode::Continuation => bail!("the server sent a fragment"),
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

    /// Queues a message in fragments, with a ping behind the first one if there is a payload for it.
    pub(crate) fn send_fragments<'a>(
        &mut self,
        mut fragments: impl Iterator<Item = &'a [u8]>,
        ping: Option<&[u8]>,
    ) {
        let mut opcode = Opcode::Binary;
        let mut last = fragments.next().unwrap_or_default();
        for next in fragments {
            frame::append_fragment(&mut self.out, opcode, last);
            if opcode == Opcode::Binary {
                ping.inspect(|payload| self.ping(payload));
            }
            (opcode, last) = (Opcode::Continuation, next);
        }
        frame::append(&mut self.out, opcode, last);
    }

    /// Queues the first half of a message's frame, after which nothing else can be sent.
    pub(crate) fn send_half(&mut self, payload: &[u8]) {
        let before = self.out.len();
        self.send(payload);
        self.out.truncate(before + (self.out.len() - before) / 2);
    }

    /// Queues a ping.
    pub(crate) fn ping(&mut self, payload: &[u8]) {
        frame::append(&mut self.out, Opcode::Ping, payload);
    }

    /// Writes what the kernel takes. Whether that is all.
    pub(crate) fn flush(&mut self) -> Result<bool> {
        match self.write_out() {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::NotConnected => Ok(false),
                // The next read says so too.
                kind if is_end(kind) => {
                    self.out.clear();
                    self.written = 0;
                    Ok(false)
                }
                _ => Err(error).context("failed to write"),
            },
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.stream.flush()?;
        while self.written < self.out.len() {
            self.written += self.stream.write(&self.out[self.written..])?;
        }
        self.out.clear();
        self.written = 0;
        self.stream.flush()
    }
}

/// Whether an error means that the connection has gone.
fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
    )
}
