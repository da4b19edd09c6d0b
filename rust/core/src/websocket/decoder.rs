//! Bytes in, messages and control frames out: RFC 6455, section 5.
//!
//! Every byte is used as it comes: only an incomplete header, an incomplete control frame or an
//! incomplete message is kept between two calls, so an idle connection holds no buffer. A message
//! that arrives whole is copied once, unmasked, into the arena that all connections share.

use std::io::Cursor;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::utf8::Utf8Check;
use super::{Kind, Limit, Message, Role, Violation, close, mask};
use crate::rate::{Exceeded, Rate};

/// Longest frame header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
/// Longest payload of a control frame: RFC 6455, section 5.5.
const MAX_CONTROL: u64 = 125;
/// A message is never given more memory at once than this and what has already arrived, whatever
/// length its header announces.
const GROWTH: usize = 64 * 1024;

/// What came out of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A complete message.
    Message(Message),
    /// A complete frame of a message that is not complete.
    Fragment,
    /// A ping; its payload is [`Decoder::control`].
    Ping,
    /// A pong; its payload is [`Decoder::control`].
    Pong,
    /// A close frame; its payload is [`Decoder::control`].
    Close,
}

/// The receiving half of a WebSocket.
#[derive(Debug)]
pub(super) struct Decoder {
    role: Role,
    limit: usize,
    /// Most frames of a message, at least 1.
    max_fragments: u32,
    /// What may come a second, if that is limited.
    rate: Option<Box<Rate>>,
    head: [u8; MAX_HEADER],
    head_len: usize,
    frame: Option<Frame>,
    partial: Option<Box<Partial>>,
    control: BytesMut,
}

/// The frame whose payload is arriving.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: Option<[u8; 4]>,
    len: usize,
    seen: usize,
}

/// A message of which a part has arrived.
#[derive(Debug)]
struct Partial {
    kind: Kind,
    data: BytesMut,
    utf8: Utf8Check,
    /// Frames that have begun.
    frames: u32,
}

impl Decoder {
    /// A decoder for the stream that `role` receives; messages may have `limit` bytes, which is the
    /// only limit unless [`Decoder::set_limits`] sets others.
    pub(super) fn new(role: Role, limit: usize) -> Self {
        Self {
            role,
            limit,
            max_fragments: u32::MAX,
            rate: None,
            head: [0; MAX_HEADER],
            head_len: 0,
            frame: None,
            partial: None,
            control: BytesMut::new(),
        }
    }

    /// Sets how many frames a message may have, at least 1, and how much may come a second.
    pub(super) fn set_limits(&mut self, max_fragments: u32, rate: Option<Box<Rate>>) {
        self.max_fragments = max_fragments;
        self.rate = rate;
    }

    /// See [`Rate::refill`].
    pub(super) fn refill(&mut self, now: Instant, caught_up: Option<Instant>) {
        if let Some(rate) = &mut self.rate {
            rate.refill(now, caught_up);
        }
    }

    /// Bytes that have arrived of a message that is not complete.
    pub(super) fn incomplete(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.data.len())
    }

    /// The payload of the control frame returned last.
    pub(super) fn control(&self) -> &[u8] {
        &self.control
    }

    /// Takes bytes off the front of `input` until something is complete; `None` when `input` is
    /// used up.
    ///
    /// # Errors
    /// The rule that the other side broke. Nothing may be read after an error.
    pub(super) fn next(
        &mut self,
        input: &mut &[u8],
        arena: &mut BytesMut,
    ) -> Result<Option<Incoming>, Violation> {
        let (frame, begun) = match self.frame.take() {
            Some(frame) => (Some(frame), 0),
            None => (self.read_header(input)?, 1),
        };
        let Some(mut frame) = frame else { return Ok(None) };
        let (piece, rest) = input.split_at((frame.len - frame.seen).min(input.len()));
        *input = rest;
        if let Some(rate) = &mut self.rate {
            rate.take(begun, piece.len()).map_err(|exceeded| match exceeded {
                Exceeded::Packets => Limit::Packets,
                Exceeded::Bytes => Limit::Bytes,
            })?;
        }
        let seen = frame.seen;
        frame.seen += piece.len();
        let complete = frame.seen == frame.len;
        let incoming = match frame.opcode {
            OpCode::Control(opcode) => {
                append_unmasked(&mut self.control, piece, frame.mask, seen);
                match opcode {
                    Control::Ping => Incoming::Ping,
                    Control::Pong => Incoming::Pong,
                    _ => Incoming::Close,
                }
            }
            OpCode::Data(_) => {
                let message = self.data(&frame, piece, seen, complete, arena)?;
                message.map_or(Incoming::Fragment, Incoming::Message)
            }
        };
        if complete {
            return Ok(Some(incoming));
        }
        self.frame = Some(frame);
        Ok(None)
    }

    /// Reads the next header; `None` if it is not complete yet.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        let from_head = self.head_len;
        let take = (MAX_HEADER - from_head).min(input.len());
        self.head[from_head..from_head + take].copy_from_slice(&input[..take]);
        let mut cursor = Cursor::new(&self.head[..from_head + take]);
        let parsed = FrameHeader::parse(&mut cursor)
            .map_err(|_| Violation::protocol("a reserved opcode"))?;
        let Some((header, len)) = parsed else {
            self.head_len = from_head + take;
            *input = &input[take..];
            return Ok(None);
        };
        let header_len = cursor.position() as usize;
        *input = &input[header_len - from_head..];
        self.head_len = 0;
        self.check(&header, header_len, len)?;
        // `check` bounds the length by `limit`, which is a usize.
        let len = len as usize;
        match (header.opcode, &mut self.partial) {
            (OpCode::Control(_), _) => self.control.clear(),
            (OpCode::Data(_), Some(partial)) => partial.frames += 1,
            (OpCode::Data(_), None) => {}
        }
        Ok(Some(Frame {
            opcode: header.opcode,
            is_final: header.is_final,
            mask: header.mask,
            len,
            seen: 0,
        }))
    }

    /// The rules that a header alone can break.
    fn check(&self, header: &FrameHeader, header_len: usize, len: u64) -> Result<(), Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::protocol("a reserved bit"));
        }
        // RFC 6455, section 5.1: clients mask, servers do not.
        match self.role {
            Role::Server if header.mask.is_none() => {
                return Err(Violation::protocol("an unmasked frame from a client"));
            }
            Role::Client if header.mask.is_some() => {
                return Err(Violation::protocol("a masked frame from a server"));
            }
            _ => {}
        }
        // RFC 6455, section 5.2: the shortest form, and the most significant bit must be 0.
        if header_len != header.len(len) || len > i64::MAX as u64 {
            return Err(Violation::protocol("a length not in its shortest form"));
        }
        match header.opcode {
            OpCode::Control(_) if len > MAX_CONTROL || !header.is_final => {
                Err(Violation::protocol("a long or fragmented control frame"))
            }
            OpCode::Control(_) => Ok(()),
            OpCode::Data(Data::Continue) if self.partial.is_none() => {
                Err(Violation::protocol("a continuation of nothing"))
            }
            OpCode::Data(Data::Text | Data::Binary) if self.partial.is_some() => {
                Err(Violation::protocol("a message inside a fragmented message"))
            }
            OpCode::Data(_) => {
                if len > (self.limit - self.incomplete()) as u64 {
                    return Err(Limit::Message.into());
                }
                // Another frame follows one that is not the last.
                let before = self.partial.as_ref().map_or(0, |partial| partial.frames);
                if !header.is_final && before + 1 >= self.max_fragments {
                    return Err(Limit::Fragments.into());
                }
                Ok(())
            }
        }
    }

    /// Adds a piece of a data frame; the message when it is complete.
    fn data(
        &mut self,
        frame: &Frame,
        piece: &[u8],
        seen: usize,
        complete: bool,
        arena: &mut BytesMut,
    ) -> Result<Option<Message>, Violation> {
        let invalid = |_| Violation::new(close::INVALID_DATA, "text that is not utf-8");
        let kind = match frame.opcode {
            OpCode::Data(Data::Text) => Kind::Text,
            _ => Kind::Binary,
        };
        // A message that is here as a whole needs no memory of its own.
        if complete && seen == 0 && frame.is_final && self.partial.is_none() {
            let data = take_unmasked(arena, piece, frame.mask);
            if kind == Kind::Text && std::str::from_utf8(&data).is_err() {
                return Err(invalid(super::utf8::InvalidUtf8));
            }
            return Ok(Some(Message { kind, data }));
        }
        let partial = self.partial.get_or_insert_with(|| {
            Box::new(Partial { kind, data: BytesMut::new(), utf8: Utf8Check::default(), frames: 1 })
        });
        let from = partial.data.len();
        if partial.data.capacity() < from + piece.len() {
            let missing = frame.len - seen;
            partial.data.reserve(missing.min(piece.len() + GROWTH.max(from)));
        }
        append_unmasked(&mut partial.data, piece, frame.mask, seen);
        if partial.kind == Kind::Text {
            partial.utf8.feed(&partial.data[from..]).map_err(invalid)?;
        }
        if !(complete && frame.is_final) {
            return Ok(None);
        }
        if partial.kind == Kind::Text {
            partial.utf8.finish().map_err(invalid)?;
        }
        let message =
            |partial: Box<Partial>| Message { kind: partial.kind, data: partial.data.freeze() };
        Ok(self.partial.take().map(message))
    }
}

/// Copies `piece` out of the scratch buffer into the shared arena.
fn take_unmasked(arena: &mut BytesMut, piece: &[u8], mask: Option<[u8; 4]>) -> Bytes {
    if piece.is_empty() {
        return Bytes::new();
    }
    if arena.capacity() < piece.len() {
        // Takes the old memory back when all packets in it have gone.
        arena.reserve(piece.len().max(super::ARENA_SIZE));
    }
    append_unmasked(arena, piece, mask, 0);
    arena.split().freeze()
}

fn append_unmasked(buffer: &mut BytesMut, piece: &[u8], mask: Option<[u8; 4]>, offset: usize) {
    let from = buffer.len();
    buffer.extend_from_slice(piece);
    if let Some(key) = mask {
        mask::apply(&mut buffer[from..], key, offset);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

    /// A frame as a client sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..126 => bytes.push(0x80 | len as u8),
            len @ 126..65536 => {
                bytes.push(0x80 | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(0x80 | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn binary(data: &[u8]) -> Incoming {
        Incoming::Message(Message { kind: Kind::Binary, data: Bytes::copy_from_slice(data) })
    }

    /// Everything that comes out of `pieces`, and how it ended.
    fn decode_pieces(limit: usize, pieces: &[&[u8]]) -> (Vec<Incoming>, Option<Violation>) {
        let mut decoder = Decoder::new(Role::Server, limit);
        let mut arena = BytesMut::new();
        let mut out = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match decoder.next(&mut input, &mut arena) {
                    Ok(Some(Incoming::Fragment)) => {}
                    Ok(Some(incoming)) => out.push(incoming),
                    Ok(None) => break,
                    Err(violation) => return (out, Some(violation)),
                }
            }
            assert!(input.is_empty());
        }
        (out, None)
    }

    fn decode(bytes: &[u8]) -> (Vec<Incoming>, Option<Violation>) {
        decode_pieces(65535, &[bytes])
    }

    fn code(bytes: &[u8]) -> Option<u16> {
        decode(bytes).1.map(|violation| violation.code)
    }

    #[test]
    fn messages_of_every_length_form_arrive() {
        for len in [0, 1, 125, 126, 127, 65535] {
            let payload: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
            assert_eq!(decode(&frame(0x82, &payload)), (vec![binary(&payload)], None), "{len}");
        }
    }

    #[test]
    fn fragments_become_one_message_and_a_ping_between_them_stays_apart() {
        let bytes =
            [frame(0x02, b"abc"), frame(0x89, b"PP"), frame(0x80, b"def"), frame(0x82, b"XYZ")]
                .concat();
        let expected = vec![Incoming::Ping, binary(b"abcdef"), binary(b"XYZ")];
        assert_eq!(decode(&bytes), (expected, None));
    }

    #[test]
    fn the_limit_holds_for_one_frame_and_for_all_fragments_together() {
        let whole = frame(0x82, &[7; 1001]);
        let (out, violation) = decode_pieces(1000, &[&whole[..8]]);
        assert!(out.is_empty());
        assert_eq!(violation.unwrap().code, close::TOO_BIG, "known from the header alone");
        let parts = [frame(0x02, &[7; 600]), frame(0x80, &[7; 401])].concat();
        assert_eq!(decode_pieces(1000, &[&parts]).1.unwrap().code, close::TOO_BIG);
        let parts = [frame(0x02, &[7; 600]), frame(0x80, &[7; 400])].concat();
        assert_eq!(decode_pieces(1000, &[&parts]), (vec![binary(&[7; 1000])], None));
    }

    #[test]
    fn fragments_are_counted_and_one_too_many_is_known_from_the_header_before_it() {
        let decode = |bytes: &[u8]| {
            let mut decoder = Decoder::new(Role::Server, 65535);
            decoder.set_limits(3, None);
            let mut input = bytes;
            let mut arena = BytesMut::new();
            loop {
                match decoder.next(&mut input, &mut arena) {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(violation) => return Some(violation),
                }
            }
        };
        let start = [frame(0x02, b"a"), frame(0x89, b"ping"), frame(0x00, b"")].concat();
        let message = [start.clone(), frame(0x80, b"c")].concat();
        assert_eq!(decode(&message.repeat(3)), None);
        let too_many = [start, frame(0x00, b"c")[..6].to_vec()].concat();
        assert_eq!(decode(&too_many[..too_many.len() - 1]), None);
        assert_eq!(decode(&too_many), Some(Limit::Fragments.into()));
    }

    #[test]
    fn broken_rules_are_protocol_errors() {
        let unmasked = [0x82, 1, 9];
        let non_minimal_16 = [0x82, 0xfe, 0, 1, 0, 0, 0, 0, 9];
        let non_minimal_64 = [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9];
        let msb_64 = [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9];
        for bytes in [
            unmasked.to_vec(),
            non_minimal_16.to_vec(),
            non_minimal_64.to_vec(),
            msb_64.to_vec(),
            frame(0xc2, b"a"),
            frame(0xa2, b"a"),
            frame(0x92, b"a"),
            frame(0x83, b"a"),
            frame(0x8b, b""),
            frame(0x80, b"a"),
            frame(0x89, &[0; 126]),
            frame(0x09, b"x"),
            [frame(0x02, b"a"), frame(0x82, b"b")].concat(),
        ] {
            assert_eq!(code(&bytes), Some(close::PROTOCOL_ERROR), "{bytes:x?}");
        }
        let mut client = Decoder::new(Role::Client, 100);
        let masked = frame(0x82, b"a");
        let violation = client.next(&mut masked.as_slice(), &mut BytesMut::new()).unwrap_err();
        assert_eq!(violation.code, close::PROTOCOL_ERROR);
    }

    #[test]
    fn wrong_text_is_refused_before_its_frame_is_complete() {
        assert_eq!(code(&frame(0x81, &[0xff, 0xfe])), Some(close::INVALID_DATA));
        let long = frame(0x81, &[b"ok".as_slice(), &[0xff; 100]].concat());
        assert_eq!(code(&long[..12]), Some(close::INVALID_DATA));
        let split = [frame(0x01, &[0xc3]), frame(0x80, &[0xa9])].concat();
        assert_eq!(decode(&split).0.len(), 1);
        let cut = [frame(0x01, b"a"), frame(0x80, &[0xc3])].concat();
        assert_eq!(code(&cut), Some(close::INVALID_DATA));
    }

    #[test]
    fn an_announced_length_alone_takes_no_memory() {
        let mut decoder = Decoder::new(Role::Server, usize::MAX >> 1);
        let mut head = vec![0x82, 0xff];
        head.extend((1_u64 << 40).to_be_bytes());
        head.extend(KEY);
        head.extend([0; 10]);
        assert_eq!(decoder.next(&mut head.as_slice(), &mut BytesMut::new()), Ok(None));
        assert!(decoder.partial.unwrap().data.capacity() < 2 * GROWTH);
    }

    #[test]
    fn small_messages_share_memory_that_comes_back() {
        let mut decoder = Decoder::new(Role::Server, 65535);
        let mut arena = BytesMut::with_capacity(super::super::ARENA_SIZE);
        let bytes = frame(0x82, &[5; 100]);
        let start = arena.as_ptr();
        let mut moved = 0;
        for _ in 0..10_000 {
            let Ok(Some(Incoming::Message(message))) =
                decoder.next(&mut bytes.as_slice(), &mut arena)
            else {
                panic!("no message");
            };
            if !(start..start.wrapping_add(super::super::ARENA_SIZE))
                .contains(&message.data.as_ptr())
            {
                moved += 1;
            }
        }
        assert_eq!(moved, 0, "the arena was given back and used again");
    }

    proptest! {
        #[test]
        fn any_bytes_give_messages_or_a_violation(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            decode_pieces(1000, &[&bytes]);
        }

        #[test]
        fn any_split_gives_what_the_whole_gives(
            payloads in proptest::collection::vec(
                (proptest::sample::select(vec![0x82_u8, 0x81, 0x89, 0x8a]), "[a-zé]{0,60}"), 1..5),
            noise in proptest::collection::vec(any::<u8>(), 0..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut bytes: Vec<u8> =
                payloads.iter().flat_map(|(first, text)| frame(*first, text.as_bytes())).collect();
            bytes.extend(noise);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(decode_pieces(65535, &pieces), decode(&bytes));
        }
    }
}
