//! Frames of RFC 6455, section 5.2, right and wrong ones.

use std::io::{self, Read};

pub(super) const FIN: u8 = 0x80;
pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x5a, 0x13, 0xc7, 0x2e];

/// How a length is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Shortest,
    Bits16,
    Bits64,
}

/// A whole frame of a client. `first` is its first byte: FIN, reserved bits and opcode.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64, Form::Shortest);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The head of a client's frame, which announces `length` bytes.
pub(super) fn head(first: u8, length: u64, form: Form) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 if form == Form::Shortest => bytes.push(MASKED | length as u8),
        0..0x1_0000 if form != Form::Bits64 => {
            bytes.push(MASKED | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// A frame without a mask, as only servers may send it; up to 125 bytes.
pub(super) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, payload.len() as u8], payload].concat()
}

/// A close frame.
pub(super) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// Reads a frame of a server: its opcode and payload.
pub(super) fn read(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            usize::from(u16::from_be_bytes(length))
        }
        127.. => return Err(io::Error::other("a frame that is masked or too long")),
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    Ok((head[0] & 0x0f, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_masked_and_say_their_length() {
        assert_eq!(frame(0x82, &[0, 1]), [0x82, 0x82, 0x5a, 0x13, 0xc7, 0x2e, 0x5a, 0x12]);
        assert_eq!(head(0x82, 126, Form::Shortest)[..4], [0x82, 0xfe, 0, 126]);
        assert_eq!(head(0x82, 1, Form::Bits16)[..4], [0x82, 0xfe, 0, 1]);
        assert_eq!(head(0x82, 1, Form::Bits64)[..10], [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(head(0x82, 1 << 40, Form::Shortest)[..10], [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn frames_of_a_server_are_read() {
        let mut long = vec![0x82, 126, 0, 200];
        long.extend([7; 200]);
        assert_eq!(read(&mut long.as_slice()).expect("whole"), (BINARY, vec![7; 200]));
        assert_eq!(read(&mut [0x88, 2, 3, 232].as_slice()).expect("whole"), (CLOSE, vec![3, 232]));
        assert!(read(&mut [0x88, 2, 3].as_slice()).is_err());
    }
}
