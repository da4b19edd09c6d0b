//! Just enough of RFC 6455 for a client: binary messages, whole or in fragments, pings, closes.

use anyhow::{Result, bail};

/// Every frame is masked with the same key: the server has to unmask it anyway, and choosing keys
/// would cost time here.
const MASK: [u8; 4] = [0x5a, 0x13, 0xc7, 0x2e];
/// The same for a word at a time.
const WIDE_MASK: u64 = u64::from_ne_bytes([0x5a, 0x13, 0xc7, 0x2e, 0x5a, 0x13, 0xc7, 0x2e]);

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Continuation = 0,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: Opcode,
    pub(crate) payload: &'a [u8],
    /// Bytes of the whole frame.
    pub(crate) size: usize,
}

/// Appends a message in one frame, or a control frame.
pub(crate) fn append(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    append_part(out, FIN | opcode as u8, payload);
}

/// Appends a fragment of a message that is not the last one.
pub(crate) fn append_fragment(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    append_part(out, opcode as u8, payload);
}

fn append_part(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        size @ ..126 => out.push(MASKED | size as u8),
        size @ ..0x1_0000 => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    let (words, rest) = out[start..].as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ WIDE_MASK).to_ne_bytes();
    }
    rest.iter_mut().zip(MASK.into_iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

/// The frame at the start of `bytes`, if all of it is there.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Frame<'_>>> {
    let &[first, second, ..] = bytes else {
        return Ok(None);
    };
    let opcode = match first {
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        other => bail!("a frame starts with {other:#x}"),
    };
    let (head, length) = match second {
        126 => {
            let Some(&length) = bytes[2..].first_chunk() else {
                return Ok(None);
            };
            (4, usize::from(u16::from_be_bytes(length)))
        }
        127 => {
            let Some(&length) = bytes[2..].first_chunk() else {
                return Ok(None);
            };
            (10, usize::try_from(u64::from_be_bytes(length))?)
        }
        small @ ..126 => (2, usize::from(small)),
        masked => bail!("a server masks: {masked:#x}"),
    };
    let size = head + length;
    Ok(bytes.get(head..size).map(|payload| Frame { opcode, payload, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a server sends it.
    fn unmasked(payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        append(&mut masked, Opcode::Binary, payload);
        let head = masked.len() - payload.len() - MASK.len();
        let mut frame = masked[..head].to_vec();
        frame[1] &= !MASKED;
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn frames_of_all_lengths_are_read_when_they_are_whole() {
        for size in [0, 1, 125, 126, 65535, 65536, 100_000] {
            let payload = vec![7; size];
            let frame = unmasked(&payload);
            let whole = Frame { opcode: Opcode::Binary, payload: &payload, size: frame.len() };
            assert_eq!(parse(&frame).expect("valid"), Some(whole));
            assert_eq!(parse(&frame[..frame.len() - 1]).expect("valid"), None);
        }
    }

    #[test]
    fn payload_is_masked() {
        let mut out = Vec::new();
        append(&mut out, Opcode::Binary, &[0; 5]);
        assert_eq!(out[..2], [0x82, 0x85]);
        assert_eq!(out[6..], [0x5a, 0x13, 0xc7, 0x2e, 0x5a]);
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        assert!(parse(&[0x82, 0x80, 0, 0, 0, 0]).is_err());
        assert!(parse(&[0x02, 0]).is_err());
    }
}
