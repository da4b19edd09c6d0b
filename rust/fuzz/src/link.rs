//! The other end of one connection: what it sends, what it has got, and what both mean.

use mio_websocket_core::websocket::Role;

use crate::reference::frames::{self, End, Item, Reading, Sender};
use crate::reference::upgrade::{self, Fate};
use crate::script::Script;
use crate::wire::{Fault, Wire};

/// Bytes that an end sends at most, so that an input takes milliseconds.
const MOST: usize = 1 << 20;

/// Frames that come in floods at most, for the same reason.
pub const MOST_FRAMES: usize = 8192;

/// The mask of the frames that a client sends here.
const MASK: [u8; 4] = [0x12, 0xab, 0x00, 0xf7];

/// The other end of a connection of core's.
#[derive(Debug)]
pub struct Link {
    /// The stream; core has the near end.
    pub wire: Wire,
    /// The owner of a server without sub-protocols decides: those that are offered keep nobody out.
    pub is_lenient: bool,
    /// What core is in this connection.
    core: Role,
    sent: Vec<u8>,
    got: Vec<u8>,
    /// Frames that have come in floods.
    flooded: usize,
}

/// What both directions of a link say.
#[derive(Debug)]
pub struct Judgement {
    /// What must become of the head that was sent, with the sub-protocol that is agreed on.
    pub fate: Fate<String>,
    /// What was sent behind it.
    pub incoming: Reading,
    /// What core has written behind its own head; `None` if that is not there or a refusal.
    pub outgoing: Option<Reading>,
}

/// A message that was given to core to send.
#[derive(Debug)]
pub struct Given {
    /// Whether it is text.
    pub is_text: bool,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Core has accepted it. If not, it may have been sent all the same: a broadcast that not all
    /// had room for.
    pub is_certain: bool,
}

impl Link {
    /// The other end of a connection that core is the `core` of.
    #[must_use]
    pub fn new(core: Role) -> Self {
        Self {
            wire: Wire::default(),
            is_lenient: false,
            core,
            sent: Vec::new(),
            got: Vec::new(),
            flooded: 0,
        }
    }

    /// Sends bytes as they are, unless it has ended the stream.
    pub fn send(&mut self, bytes: &[u8]) {
        if !self.has_ended() && self.sent.len() + bytes.len() <= MOST {
            self.sent.extend(bytes);
            self.wire.in_.borrow_mut().put(bytes);
        }
    }

    /// Sends a frame that is masked as it should be; `first` is its first byte.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let frame = self.frame(first, payload);
        self.send(&frame);
    }

    fn frame(&self, first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = (self.core == Role::Server).then_some(MASK);
        frames::frame(first, payload, mask)
    }

    /// Sends a request that is in order, or the answer to core's request if that has come. Offers,
    /// or agrees to, `protocol` if there is one.
    pub fn upgrade(&mut self, protocol: Option<&str>) {
        let mut head = match self.core {
            Role::Server => String::from(
                "GET /play HTTP/1.1\r\nHost: game.example\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Version: 13\r\n",
            ),
            Role::Client => {
                self.collect();
                let Some(accept) = self.accept() else { return };
                format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
                )
            }
        };
        if let Some(protocol) = protocol {
            head.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes());
    }

    /// Does what the next choice says: sends something, or lets something go wrong.
    pub fn act(&mut self, script: &mut Script<'_>) {
        match script.below(10) {
            0 => {
                let count = script.byte();
                self.send(script.bytes(count.into()));
            }
            1 => {
                self.upgrade(script.one_of(&[None, Some("a"), Some("b"), Some("c"), Some("c, b")]))
            }
            2 => self.send_frame(script.byte(), &payload(script)),
            3 => {
                let first = script.one_of(&[0x82, 0x81, 0x02, 0x01, 0x80, 0x00, 0x89, 0x8a, 0x88]);
                self.send_frame(first, &payload(script));
            }
            4 => {
                let first = script.byte();
                let payload = payload(script);
                let frame = self.frame(first, &payload);
                let most = (MOST - self.sent.len()) / frame.len();
                let count = script.number().min(most).min(MOST_FRAMES - self.flooded);
                self.flooded += count;
                self.send(&frame.repeat(count));
            }
            5 => {
                let after = script.number();
                self.wire.in_.borrow_mut().reads.add(after, fault(script));
            }
            6 => {
                let after = script.number();
                self.wire.out.borrow_mut().writes.add(after, fault(script));
            }
            7 => {
                self.wire.out.borrow_mut().room = script.one_of(&[usize::MAX, 0, 1, 10, 100, 5000])
            }
            8 => self.wire.in_.borrow_mut().end(),
            _ => self.wire.reset(),
        }
    }

    /// Takes what core has written, unless this end is slow at present.
    pub fn collect_if_roomy(&mut self) {
        if self.wire.out.borrow().room == usize::MAX {
            self.collect();
        }
    }

    /// Takes what core has written.
    pub fn collect(&mut self) {
        self.got.extend(self.wire.out.borrow_mut().take());
    }

    /// Whether the stream has failed for core, in either direction.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.wire.in_.borrow().reads.has_failed() || self.wire.out.borrow().writes.has_failed()
    }

    /// Whether nothing more will come from here.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.wire.in_.borrow().has_ended()
    }

    /// Bytes that have been sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Reads both directions; messages to core may have `limit` bytes, and it knows `protocols`.
    #[must_use]
    pub fn judge(&self, limit: usize, protocols: &[String]) -> Judgement {
        let (fate, sender) = match self.core {
            Role::Server => (self.fate_of_request(protocols), Sender::Client),
            Role::Client => {
                let accept = self.accept().unwrap_or_default();
                (upgrade::answer(&self.sent, &accept, protocols), Sender::Server)
            }
        };
        let behind = match &fate {
            Fate::Accepted { len, .. } => &self.sent[*len..],
            _ => &[],
        };
        let incoming = frames::read(behind, sender, limit);
        let (start, sender) = match self.core {
            Role::Server => ("HTTP/1.1 101 ", Sender::Server),
            Role::Client => ("GET ", Sender::Client),
        };
        let outgoing = self
            .got
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .filter(|_| self.got.starts_with(start.as_bytes()))
            .map(|end| (frames::read(&self.got[end + 4..], sender, usize::MAX), end + 4));
        let outgoing = outgoing.map(|(outgoing, start)| {
            let len = self.got.len() - start;
            assert_eq!(outgoing.len, len, "something is written behind the close frame");
            outgoing
        });
        Judgement { fate, incoming, outgoing }
    }

    fn fate_of_request(&self, protocols: &[String]) -> Fate<String> {
        match upgrade::request(&self.sent) {
            Fate::More => Fate::More,
            Fate::Refused => Fate::Refused,
            Fate::Accepted { len, terms } => match upgrade::choose(&terms, protocols) {
                Some(name) => Fate::Accepted { len, terms: name.to_owned() },
                None if self.is_lenient => Fate::Accepted { len, terms: String::new() },
                None => Fate::Refused,
            },
        }
    }

    /// What fits to the key in core's request.
    fn accept(&self) -> Option<String> {
        match upgrade::request(&self.got) {
            Fate::Accepted { terms, .. } => {
                Some(tungstenite::handshake::derive_accept_key(terms.key.as_bytes()))
            }
            _ => None,
        }
    }
}

impl Judgement {
    /// Checks what core has `received`. All of it, if `complete`.
    ///
    /// # Panics
    /// When it is not what was sent.
    pub fn check_received(&self, received: &[(bool, Vec<u8>)], complete: bool) {
        let sent = self.incoming.messages();
        assert!(received.len() <= sent.len(), "{} of {} received", received.len(), sent.len());
        for (index, (received, sent)) in received.iter().zip(&sent).enumerate() {
            assert_eq!((received.0, received.1.as_slice()), *sent, "message {index}");
        }
        assert!(!complete || received.len() == sent.len(), "{} of {}", received.len(), sent.len());
    }

    /// Checks what core has written behind its `own` first messages, against what it was `given`.
    /// All of it must be there, if `complete`.
    ///
    /// # Panics
    /// When something is missing or wrong, or there is too much.
    pub fn check_written(&self, own: usize, given: &[Given], complete: bool) {
        let Some(outgoing) = &self.outgoing else {
            assert!(!complete || given.is_empty(), "nothing was written");
            return;
        };
        assert!(matches!(outgoing.end, End::Open | End::Closed), "{outgoing:?}");
        let mut given = given.iter();
        for (is_text, data) in outgoing.messages().into_iter().skip(own) {
            // What was not accepted for certain may be left out.
            let found = given.find(|given| given.is_certain || given.data == data);
            let Some(found) = found else { panic!("written twice, or never given: {data:?}") };
            assert_eq!((is_text, data), (found.is_text, found.data.as_slice()));
        }
        // A close frame stands behind everything that was accepted.
        if complete || outgoing.end == End::Closed {
            assert!(given.all(|given| !given.is_certain), "a message was not written");
        }
        let mut pings = self.incoming.pings().into_iter();
        let mut last = None;
        for item in &outgoing.items {
            if let Item::Pong(data) = item {
                assert!(pings.any(|ping| ping == data), "a pong to no ping: {data:?}");
                last = Some(data);
            }
        }
        // Earlier ones need no answer.
        if complete && let Some(ping) = self.incoming.pings().last() {
            assert_eq!(last.map(Vec::as_slice), Some(*ping), "the last ping is not answered");
        }
    }
}

/// Up to 63 bytes that are spelled out, and then up to 4080 of padding.
fn payload(script: &mut Script<'_>) -> Vec<u8> {
    let count = script.below(64);
    let padding = 16 * usize::from(script.byte());
    let mut payload = script.bytes(count).to_vec();
    payload.resize(payload.len() + padding, b'.');
    payload
}

fn fault(script: &mut Script<'_>) -> Fault {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    script.one_of(&[
        Fault::Pause,
        Fault::Interrupt,
        Fault::Short,
        Fault::Fail(ConnectionReset),
        Fault::Fail(BrokenPipe),
    ])
}
