//! The least that an echo costs: a server that does nothing but read, unmask and write, for the
//! clients here and no others. It is what the kernel and the bytes cost whoever moves them.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::client::ACCEPT;
use crate::options::Options;

const LISTENER: Token = Token(usize::MAX);
const SCRATCH: usize = 256 * 1024;

struct Connection {
    socket: TcpStream,
    upgraded: bool,
    /// The start of a frame of which more must come.
    incoming: Vec<u8>,
    /// What the kernel did not take.
    outgoing: Vec<u8>,
}

/// Serves until it is killed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.get("port")?));
    let mut listener = TcpListener::bind(address).context("failed to listen")?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("LISTENING {}", std::process::id());

    let mut events = Events::with_capacity(1024);
    let mut connections: HashMap<Token, Connection> = HashMap::new();
    let mut scratch = vec![0; SCRATCH];
    let mut out = Vec::new();
    let mut next = 0;
    loop {
        if let Err(error) = poll.poll(&mut events, None)
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true)?;
                    let token = Token(next);
                    next += 1;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut socket, token, interest)?;
                    connections.insert(token, Connection::new(socket));
                }
            } else if let Some(connection) = connections.get_mut(&event.token())
                && !connection.serve(&mut scratch, &mut out).unwrap_or(false)
            {
                connections.remove(&event.token());
            }
        }
    }
}

impl Connection {
    fn new(socket: TcpStream) -> Self {
        Self { socket, upgraded: false, incoming: Vec::new(), outgoing: Vec::new() }
    }

    /// Sends back what is there. Whether the client may send more.
    fn serve(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        out.append(&mut self.outgoing);
        loop {
            let held = self.incoming.len();
            ensure!(held < scratch.len(), "a frame is too long for an anchor");
            scratch[..held].copy_from_slice(&self.incoming);
            self.incoming.clear();
            let read = match self.socket.read(&mut scratch[held..]) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.incoming.extend_from_slice(&scratch[..held]);
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let bytes = &mut scratch[..held + read];
            let used = if self.upgraded { answer(bytes, out)? } else { self.upgrade(bytes, out) };
            self.incoming.extend_from_slice(&bytes[used..]);
            if read < SCRATCH - held {
                break;
            }
        }
        let mut written = 0;
        while written < out.len() {
            match self.socket.write(&out[written..]) {
                Ok(taken) => written += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.outgoing.extend_from_slice(&out[written..]);
        Ok(true)
    }

    fn upgrade(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        if !bytes.ends_with(b"\r\n\r\n") {
            return 0;
        }
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
        out.extend_from_slice(b"Connection: Upgrade\r\nSec-WebSocket-Accept: ");
        out.extend_from_slice(ACCEPT.as_bytes());
        out.extend_from_slice(b"\r\n\r\n\x82\x04\x02\x00\x00\x00");
        self.upgraded = true;
        bytes.len()
    }
}

/// Appends the answers to all whole frames; how many bytes those were.
fn answer(bytes: &mut [u8], out: &mut Vec<u8>) -> Result<usize> {
    let mut used = 0;
    loop {
        let frame = &mut bytes[used..];
        let (head, length) = match *frame {
            [_, 0xfe, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            [_, small @ 0x80..=0xfd, ..] => (2, usize::from(small & 0x7f)),
            [_, 0xff, ..] => anyhow::bail!("a frame is too long for an anchor"),
            _ => return Ok(used),
        };
        let size = head + 4 + length;
        let (Some(mask), true) = (frame[head..].first_chunk::<4>().copied(), frame.len() >= size)
        else {
            return Ok(used);
        };
        let [a, b, c, d] = mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        out.extend_from_slice(&frame[..head]);
        let flags = out.len() - head + 1;
        out[flags] &= 0x7f;
        let (words, rest) = frame[head + 4..size].as_chunks_mut();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        rest.iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        out.extend_from_slice(&frame[head + 4..size]);
        used += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{self, Opcode};

    #[test]
    fn whole_frames_are_sent_back_unmasked() {
        let mut bytes = Vec::new();
        let payloads = [vec![1; 7], vec![2; 300], vec![3; 60_000]];
        payloads.iter().for_each(|payload| frame::append(&mut bytes, Opcode::Binary, payload));
        let whole = bytes.len();
        bytes.extend_from_slice(&[0x82, 0x83, 1]);
        let mut out = Vec::new();
        assert_eq!(answer(&mut bytes, &mut out).expect("valid"), whole);
        let mut rest = &out[..];
        for payload in &payloads {
            let frame = frame::parse(rest).expect("valid").expect("whole");
            assert_eq!(frame.payload, payload);
            rest = &rest[frame.size..];
        }
        assert!(rest.is_empty());
    }
}
