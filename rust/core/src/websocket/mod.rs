//! A sans-IO WebSocket: bytes in, messages out; messages in, bytes out (RFC 6455).
//!
//! No sockets and no clock: the caller moves the bytes and keeps the time. tungstenite's frame
//! headers and close codes are used here and do not leave.

pub mod close;
mod decoder;
mod mask;
mod utf8;

use std::num::NonZeroU64;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

pub use self::close::CloseFrame;
use self::decoder::{Decoder, Incoming};
use crate::outbox::Outbox;
use crate::rate::Rate;

/// Memory that received packets share, in bytes: taken at once, and again when all of it is free.
pub const ARENA_SIZE: usize = 64 * 1024;

/// Pongs are queued behind other data up to this many waiting bytes; beyond it only the newest
/// ping is answered, which RFC 6455, section 5.5.3, allows. A peer that pings and does not read
/// takes no more memory than this.
const PONG_BACKLOG: usize = 64 * 1024;
/// Most pongs that wait: the smallest has two bytes, and an entry of sixteen.
const MOST_PONGS: u8 = u8::MAX;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that asked for the upgrade; its frames are masked.
    Client,
    /// The end that answered.
    Server,
}

/// Whether a message was sent as text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Text or binary.
    pub kind: Kind,
    /// The payload of all its frames.
    pub data: Bytes,
}

/// The rule that the other side broke, and the code that the connection fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {rule} (close code {code})", self.kind())]
pub struct Violation {
    /// The close code to send.
    pub code: u16,
    /// What was wrong, in words.
    pub rule: &'static str,
    /// The limit, if it is none of the protocol's rules.
    pub limit: Option<Limit>,
}

/// A limit that this side sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `inbound_buffer_size`.
    Message,
    /// `max_fragments`.
    Fragments,
    /// `inbound_packets_per_second`.
    Packets,
    /// `inbound_bytes_per_second`.
    Bytes,
}

impl From<Limit> for Violation {
    fn from(limit: Limit) -> Self {
        let (code, rule) = match limit {
            Limit::Message => (close::TOO_BIG, "a message over inbound_buffer_size"),
            Limit::Fragments => (close::POLICY_VIOLATION, "a message over max_fragments"),
            Limit::Packets => (close::POLICY_VIOLATION, "over inbound_packets_per_second"),
            Limit::Bytes => (close::POLICY_VIOLATION, "over inbound_bytes_per_second"),
        };
        Self { code, rule, limit: Some(limit) }
    }
}

impl Violation {
    fn new(code: u16, rule: &'static str) -> Self {
        Self { code, rule, limit: None }
    }

    fn kind(&self) -> &'static str {
        if self.limit.is_some() { "over a limit" } else { "protocol violation" }
    }

    fn protocol(rule: &'static str) -> Self {
        Self::new(close::PROTOCOL_ERROR, rule)
    }

    /// The reason that this side shows. The engine's class sends none with the codes that it knows;
    /// with 1008, which can mean anything, it is sent.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match (self.limit, self.code) {
            (Some(Limit::Message), _) => "Message too big",
            (Some(Limit::Fragments), _) => "Too many fragments",
            (Some(Limit::Packets), _) => "Too many packets per second",
            (Some(Limit::Bytes), _) => "Too many bytes per second",
            (None, close::INVALID_DATA) => "Invalid frame payload data",
            (None, _) => "Protocol error",
        }
    }
}

/// How far the closing handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Messages flow.
    Open,
    /// A close frame has been sent, the answer is awaited.
    Closing,
    /// Close frames have gone both ways, or the other side broke a rule: nothing more is read.
    Closed,
}

/// One end of an open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    role: Role,
    decoder: Decoder,
    state: State,
    /// The close frame received, or the one that a broken rule was answered with.
    close: Option<CloseFrame>,
    /// The rule that was broken; nothing is read after it.
    violation: Option<Violation>,
    /// Payload of a ping that is answered when there is room again.
    owed_pong: Option<Box<[u8]>>,
    /// Pongs that were queued since none waited, and the place in the stream behind the last, of
    /// which the lower half is enough: it counts only until the queue is empty.
    pongs: u8,
    pongs_end: u32,
    /// A pong has arrived since [`WebSocket::take_pong`] was last called.
    pong: bool,
    /// The payload of the newest pong that can answer a numbered ping.
    answered: Option<NonZeroU64>,
}

impl WebSocket {
    /// The end `role` of a connection that has just been upgraded; a message may have
    /// `max_message` bytes.
    #[must_use]
    pub fn new(role: Role, max_message: usize) -> Self {
        Self {
            role,
            decoder: Decoder::new(role, max_message),
            state: State::Open,
            close: None,
            violation: None,
            owed_pong: None,
            pongs: 0,
            pongs_end: 0,
            pong: false,
            answered: None,
        }
    }

    /// The same with further limits: frames per message, at least 1, and how much may come a second.
    #[must_use]
    pub fn limited(mut self, max_fragments: u32, rate: Option<Box<Rate>>) -> Self {
        self.decoder.set_limits(max_fragments, rate);
        self
    }

    /// Tells the limits per second what time it is; see [`Rate::refill`].
    pub fn refill(&mut self, now: Instant, caught_up: Option<Instant>) {
        self.decoder.refill(now, caught_up);
    }

    /// Bytes that have arrived of a message that is not complete.
    #[must_use]
    pub fn incomplete(&self) -> usize {
        self.decoder.incomplete()
    }

    /// Takes bytes off the front of `input` until a message is complete; `None` when `input` or
    /// `frames` is used up, from which each frame takes one. Pongs and the answer to a close frame
    /// are appended to `outbox`.
    ///
    /// Messages that arrive after [`WebSocket::close`] are dropped, as the engine's class does.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        arena: &mut BytesMut,
        outbox: &mut Outbox,
        frames: &mut usize,
    ) -> Option<Message> {
        loop {
            if self.state == State::Closed || self.violation.is_some() {
                *input = &[];
                return None;
            }
            *frames = frames.checked_sub(1)?;
            match self.decoder.next(input, arena) {
                Ok(None) => {
                    // Nothing was complete, so nothing was taken.
                    *frames += 1;
                    return None;
                }
                Ok(Some(Incoming::Fragment)) => {}
                Ok(Some(Incoming::Message(message))) if self.state == State::Open => {
                    return Some(message);
                }
                Ok(Some(Incoming::Message(_))) => {}
                Ok(Some(Incoming::Ping)) => self.answer_ping(outbox),
                Ok(Some(Incoming::Pong)) => {
                    self.pong = true;
                    if let Ok(number) = self.decoder.control().try_into() {
                        self.answered = NonZeroU64::new(u64::from_be_bytes(number));
                    }
                }
                Ok(Some(Incoming::Close)) => match CloseFrame::parse(self.decoder.control()) {
                    Ok(frame) => self.answer_close(frame, outbox),
                    Err(code) => {
                        self.violation = Some(Violation::new(code, "a malformed close frame"));
                    }
                },
                Err(violation) => self.violation = Some(violation),
            }
        }
    }

    /// Appends a message to `outbox`. Only for an open WebSocket.
    pub fn send(&self, kind: Kind, payload: &[u8], outbox: &mut Outbox) {
        let data = match kind {
            Kind::Text => Data::Text,
            Kind::Binary => Data::Binary,
        };
        self.push_frame(OpCode::Data(data), payload, outbox);
    }

    /// Appends an empty ping.
    pub fn ping(&self, outbox: &mut Outbox) {
        self.push_frame(OpCode::Control(Control::Ping), &[], outbox);
    }

    /// Appends a ping that can be told from others by its answer.
    pub fn ping_numbered(&self, number: NonZeroU64, outbox: &mut Outbox) {
        self.push_frame(OpCode::Control(Control::Ping), &number.get().to_be_bytes(), outbox);
    }

    /// Appends a pong that had no room; to be called when `outbox` has been written out.
    pub fn resume(&mut self, outbox: &mut Outbox) {
        self.pongs = 0;
        // RFC 6455, section 5.5.1: nothing after a close frame.
        if let Some(payload) = self.owed_pong.take().filter(|_| self.state == State::Open) {
            self.push_frame(OpCode::Control(Control::Pong), &payload, outbox);
        }
    }

    /// Starts the closing handshake; ignored unless open.
    pub fn close(&mut self, frame: &CloseFrame, outbox: &mut Outbox) {
        if self.state == State::Open {
            self.push_frame(OpCode::Control(Control::Close), &frame.payload(), outbox);
            self.state = State::Closing;
        }
    }

    /// Fails the connection if the other side has broken a rule. Until this is called the WebSocket
    /// stays open, so that messages which came before can still be answered.
    pub fn conclude(&mut self, outbox: &mut Outbox) {
        let Some(violation) = self.violation.filter(|_| self.state != State::Closed) else {
            return;
        };
        if self.state == State::Open {
            let is_told = violation.code == close::POLICY_VIOLATION;
            let reason = if is_told { violation.reason() } else { "" };
            let frame = CloseFrame::new(violation.code, reason);
            self.push_frame(OpCode::Control(Control::Close), &frame.payload(), outbox);
        }
        self.state = State::Closed;
        self.close = Some(CloseFrame::new(violation.code, violation.reason()));
    }

    /// How far the closing handshake has come.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The close frame received, or what a broken rule was answered with.
    #[must_use]
    pub fn received_close(&self) -> Option<&CloseFrame> {
        self.close.as_ref()
    }

    /// The rule that the other side broke, if one.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Whether a pong has arrived since the last call.
    pub fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.pong)
    }

    /// The number of the newest ping that has been answered since the last call. Nothing is known
    /// here of which have been sent.
    pub fn take_answered(&mut self) -> Option<NonZeroU64> {
        self.answered.take()
    }

    fn answer_ping(&mut self, outbox: &mut Outbox) {
        // RFC 6455, section 5.5.2: no pong after a close frame.
        if self.state != State::Open {
            return;
        }
        // Far less than 2 GiB wait at a time.
        if (outbox.position() as u32).wrapping_sub(self.pongs_end).cast_signed() >= 0 {
            self.pongs = 0;
        }
        if outbox.bytes().len() < PONG_BACKLOG && self.pongs < MOST_PONGS {
            // It is newer than one that is owed, which needs no answer any more.
            self.owed_pong = None;
            self.push_frame(OpCode::Control(Control::Pong), self.decoder.control(), outbox);
            self.pongs += 1;
            self.pongs_end = outbox.end() as u32;
        } else {
            self.owed_pong = Some(self.decoder.control().into());
        }
    }

    fn answer_close(&mut self, frame: CloseFrame, outbox: &mut Outbox) {
        if self.state == State::Open {
            self.push_frame(OpCode::Control(Control::Close), &frame.payload(), outbox);
        }
        self.state = State::Closed;
        self.close = Some(frame);
    }

    fn push_frame(&self, opcode: OpCode, payload: &[u8], outbox: &mut Outbox) {
        let mask = match self.role {
            Role::Client => Some(mask::new_key()),
            Role::Server => None,
        };
        let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
        let len = payload.len() as u64;
        outbox.push_message(payload.len(), |bytes| {
            bytes.reserve(header.len(len) + payload.len());
            let mut head = [0; 14];
            let mut unused = head.as_mut_slice();
            // A header has at most 14 bytes, so writing it to the array cannot fail.
            let _ = header.format(len, &mut unused);
            let head_len = 14 - unused.len();
            bytes.extend_from_slice(&head[..head_len]);
            let from = bytes.len();
            bytes.extend_from_slice(payload);
            if let Some(key) = mask {
                mask::apply(&mut bytes[from..], key, 0);
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Two ends and the bytes between them.
    struct Pair {
        client: WebSocket,
        server: WebSocket,
        to_server: Outbox,
        to_client: Outbox,
        arena: BytesMut,
    }

    impl Pair {
        fn new(max_message: usize) -> Self {
            Self {
                client: WebSocket::new(Role::Client, max_message),
                server: WebSocket::new(Role::Server, max_message),
                to_server: Outbox::default(),
                to_client: Outbox::default(),
                arena: BytesMut::new(),
            }
        }

        fn server_receives(&mut self) -> Vec<Message> {
            let bytes = drain(&mut self.to_server);
            receive_all(&mut self.server, &bytes, &mut self.arena, &mut self.to_client)
        }

        fn client_receives(&mut self) -> Vec<Message> {
            let bytes = drain(&mut self.to_client);
            receive_all(&mut self.client, &bytes, &mut self.arena, &mut self.to_server)
        }
    }

    fn drain(outbox: &mut Outbox) -> Vec<u8> {
        let bytes = outbox.bytes().to_vec();
        outbox.written(bytes.len());
        bytes
    }

    fn receive_all(
        end: &mut WebSocket,
        mut bytes: &[u8],
        arena: &mut BytesMut,
        outbox: &mut Outbox,
    ) -> Vec<Message> {
        let mut frames = usize::MAX;
        let receive = || end.receive(&mut bytes, arena, outbox, &mut frames);
        let messages = std::iter::from_fn(receive).collect();
        end.conclude(outbox);
        messages
    }

    #[test]
    fn messages_go_both_ways() {
        let mut pair = Pair::new(65535);
        pair.client.send(Kind::Text, "hé".as_bytes(), &mut pair.to_server);
        pair.client.send(Kind::Binary, &[1, 2, 3], &mut pair.to_server);
        let received = pair.server_receives();
        assert_eq!(received[0], Message { kind: Kind::Text, data: "hé".into() });
        assert_eq!(received[1].data.as_ref(), &[1, 2, 3]);
        pair.server.send(Kind::Binary, &[9; 70000], &mut pair.to_client);
        assert_eq!(pair.client_receives(), vec![], "over the limit");
        assert_eq!(pair.client.violation().unwrap().code, close::TOO_BIG);
    }

    #[test]
    fn server_frames_are_plain_and_client_frames_masked_with_fresh_keys() {
        let mut pair = Pair::new(100);
        pair.server.send(Kind::Binary, &[1, 2, 3], &mut pair.to_client);
        assert_eq!(pair.to_client.bytes(), [0x82, 3, 1, 2, 3]);
        pair.client.send(Kind::Binary, &[1, 2, 3], &mut pair.to_server);
        pair.client.send(Kind::Binary, &[1, 2, 3], &mut pair.to_server);
        let bytes = drain(&mut pair.to_server);
        assert_eq!(bytes[..2], [0x82, 0x83]);
        assert_ne!(bytes[2..6], bytes[11..15]);
    }

    #[test]
    fn a_close_is_answered_with_its_own_code_and_reason() {
        let mut pair = Pair::new(100);
        pair.client.close(&CloseFrame::new(4001, "bye"), &mut pair.to_server);
        assert_eq!(pair.client.state(), State::Closing);
        pair.server_receives();
        assert_eq!(pair.server.state(), State::Closed);
        pair.client_receives();
        assert_eq!(pair.client.state(), State::Closed);
        assert_eq!(pair.client.received_close(), Some(&CloseFrame::new(4001, "bye")));
        assert_eq!(pair.server.received_close(), pair.client.received_close());
    }

    #[test]
    fn messages_before_a_close_in_the_same_bytes_are_kept() {
        let mut pair = Pair::new(100);
        pair.client.send(Kind::Binary, b"last", &mut pair.to_server);
        pair.client.close(&CloseFrame::new(1000, ""), &mut pair.to_server);
        assert_eq!(pair.server_receives().len(), 1);
        assert_eq!(pair.server.state(), State::Closed);
    }

    #[test]
    fn when_both_close_each_gets_the_code_of_the_other() {
        let mut pair = Pair::new(100);
        pair.client.close(&CloseFrame::new(4001, "A"), &mut pair.to_server);
        pair.server.close(&CloseFrame::new(4002, "B"), &mut pair.to_client);
        pair.server_receives();
        pair.client_receives();
        assert_eq!(pair.client.received_close().unwrap().code, Some(4002));
        assert_eq!(pair.server.received_close().unwrap().code, Some(4001));
    }

    #[test]
    fn pings_are_answered_in_order_with_their_payload() {
        let mut pair = Pair::new(100);
        pair.server.push_frame(OpCode::Control(Control::Ping), b"a", &mut pair.to_client);
        pair.server.push_frame(OpCode::Control(Control::Ping), b"b", &mut pair.to_client);
        pair.client_receives();
        assert!(!pair.server.take_pong());
        pair.server_receives();
        assert!(pair.server.take_pong());
        assert!(!pair.server.take_pong());
        assert_eq!(pair.server.take_answered(), None);
    }

    #[test]
    fn a_numbered_ping_is_known_by_its_answer() {
        let mut pair = Pair::new(100);
        for number in [NonZeroU64::MIN, NonZeroU64::MAX] {
            pair.server.ping_numbered(number, &mut pair.to_client);
        }
        pair.client_receives();
        pair.server_receives();
        assert!(pair.server.take_pong());
        assert_eq!(pair.server.take_answered(), Some(NonZeroU64::MAX));
        assert_eq!(pair.server.take_answered(), None);
    }

    #[test]
    fn a_flood_of_pings_owes_a_bounded_number_of_bytes() {
        let mut pair = Pair::new(100);
        for _ in 0..10_000 {
            pair.client.push_frame(OpCode::Control(Control::Ping), &[7; 125], &mut pair.to_server);
        }
        pair.server_receives();
        assert!(pair.to_client.bytes().len() < PONG_BACKLOG + 200);
        drain(&mut pair.to_client);
        pair.server.resume(&mut pair.to_client);
        assert_eq!(pair.to_client.bytes().len(), 127, "the newest ping is answered");
    }

    #[test]
    fn pings_without_payload_take_no_more_memory() {
        let mut pair = Pair::new(100);
        for _ in 0..10_000 {
            pair.client.ping(&mut pair.to_server);
        }
        pair.server_receives();
        assert_eq!(pair.to_client.messages(), usize::from(MOST_PONGS));
    }

    #[test]
    fn pings_are_answered_although_other_messages_wait() {
        let mut pair = Pair::new(100);
        for _ in 0..4096 {
            pair.server.send(Kind::Binary, b"", &mut pair.to_client);
        }
        for count in 1..=2 * usize::from(MOST_PONGS) {
            // A message goes out with each ping that comes in, some pongs too at the end.
            pair.to_client.written(2);
            pair.client.ping(&mut pair.to_server);
            pair.server_receives();
            assert_eq!(pair.server.owed_pong.is_some(), count > usize::from(MOST_PONGS), "{count}");
        }
        while pair.to_client.position() < u64::from(pair.server.pongs_end) {
            pair.to_client.written(2);
        }
        pair.server.send(Kind::Binary, b"", &mut pair.to_client);
        pair.client.ping(&mut pair.to_server);
        pair.server_receives();
        assert!(pair.server.owed_pong.is_none());
    }

    #[test]
    fn pongs_that_have_gone_are_forgotten_however_long_ago_that_was() {
        let mut pair = Pair::new(100);
        pair.server.pongs = MOST_PONGS;
        pair.server.resume(&mut pair.to_client);
        // When 2 GiB have gone since, the end of the last looks as if it were still to come.
        pair.server.pongs_end = 1 << 30;
        pair.client.ping(&mut pair.to_server);
        pair.server_receives();
        assert_eq!(pair.to_client.messages(), 1);
    }

    #[test]
    fn pings_are_answered_again_when_there_is_room_for_pongs() {
        let mut pair = Pair::new(100);
        pair.to_client.push_bytes(&[0; PONG_BACKLOG]);
        pair.client.push_frame(OpCode::Control(Control::Ping), b"a", &mut pair.to_server);
        pair.server_receives();
        assert_eq!(pair.to_client.messages(), 0);
        // Some bytes wait all the time.
        pair.to_client.written(100);
        pair.client.push_frame(OpCode::Control(Control::Ping), b"b", &mut pair.to_server);
        pair.server_receives();
        assert_eq!((pair.to_client.messages(), pair.to_client.payload()), (1, 1));
        drain(&mut pair.to_client);
        pair.server.resume(&mut pair.to_client);
        assert!(pair.to_client.is_empty(), "the older one needs no answer any more");
    }

    #[test]
    fn a_pong_that_had_no_room_does_not_follow_a_close_frame() {
        let mut pair = Pair::new(100);
        for _ in 0..1000 {
            pair.client.push_frame(OpCode::Control(Control::Ping), &[7; 125], &mut pair.to_server);
        }
        pair.server_receives();
        pair.server.close(&CloseFrame::new(close::NORMAL, ""), &mut pair.to_client);
        drain(&mut pair.to_client);
        pair.server.resume(&mut pair.to_client);
        assert!(pair.to_client.is_empty());
    }

    #[test]
    fn every_kind_of_frame_counts_and_the_rest_waits() {
        let mut pair = Pair::new(100);
        pair.client.ping(&mut pair.to_server);
        pair.client.ping(&mut pair.to_server);
        pair.client.send(Kind::Binary, &[1], &mut pair.to_server);
        let bytes = drain(&mut pair.to_server);
        let (mut input, mut frames) = (bytes.as_slice(), 2);
        let mut receive = |input: &mut &[u8], frames: &mut usize| {
            pair.server.receive(input, &mut pair.arena, &mut pair.to_client, frames)
        };
        assert_eq!(receive(&mut input, &mut frames), None);
        assert_eq!((input.len(), frames), (7, 0));
        frames = 5;
        assert!(receive(&mut input, &mut frames).is_some());
        assert_eq!(receive(&mut input, &mut frames), None);
        assert_eq!(frames, 4);
    }

    #[test]
    fn a_broken_rule_is_answered_once_and_nothing_is_read_after_it() {
        let mut pair = Pair::new(100);
        let mut outbox = Outbox::default();
        let bytes = [[0x82, 1, 9].as_slice(), &[0x82; 50]].concat();
        assert!(receive_all(&mut pair.server, &bytes, &mut pair.arena, &mut outbox).is_empty());
        assert_eq!(outbox.bytes(), [0x88, 2, 0x03, 0xea]);
        assert_eq!(pair.server.received_close().unwrap().reason, "Protocol error");
    }
}
