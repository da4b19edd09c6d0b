//! What a stream of frames says: RFC 6455, sections 5, 7 and 8.

/// Who wrote the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Its frames are masked.
    Client,
    /// Its frames are not.
    Server,
}

/// What stands in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message of text.
    Text(Vec<u8>),
    /// A message of bytes.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The end, with a code and a reason if it has them.
    Close(Option<(u16, String)>),
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All is well; a frame or a message may be unfinished.
    Open,
    /// With a close frame. What follows it does not count.
    Closed,
    /// With a broken rule; the close code for it.
    Broken(u16),
    /// Inside a header that breaks a rule already. It may be refused now or when it is complete.
    Doomed,
}

/// All that a stream says.
#[derive(Debug)]
pub struct Reading {
    /// What stands in it, in order.
    pub items: Vec<Item>,
    /// How it ends.
    pub end: End,
    /// Bytes up to there: behind a close frame, or a broken rule, nothing is read.
    pub len: usize,
}

impl Reading {
    /// The messages: whether it is text, and the bytes.
    #[must_use]
    pub fn messages(&self) -> Vec<(bool, &[u8])> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Text(data) => Some((true, data.as_slice())),
                Item::Binary(data) => Some((false, data.as_slice())),
                _ => None,
            })
            .collect()
    }

    /// The payloads of the pings.
    #[must_use]
    pub fn pings(&self) -> Vec<&[u8]> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Ping(data) => Some(data.as_slice()),
                _ => None,
            })
            .collect()
    }

    /// What the close frame carries, if there is one.
    #[must_use]
    pub fn close(&self) -> Option<&Option<(u16, String)>> {
        self.items.iter().find_map(|item| match item {
            Item::Close(close) => Some(close),
            _ => None,
        })
    }
}

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_DATA: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// Reads what `sender` wrote; a message may have `limit` bytes.
#[must_use]
pub fn read(bytes: &[u8], sender: Sender, limit: usize) -> Reading {
    let mut items = Vec::new();
    // Whether it is text, and what has come of it.
    let mut message: Option<(bool, Vec<u8>)> = None;
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let header = match Header::read(rest, sender, message.is_some()) {
            Ok(Some(header)) => header,
            Ok(None) => return Reading { items, end: End::Open, len: bytes.len() },
            Err(end) => return Reading { items, end, len: at },
        };
        let is_control = header.opcode >= 8;
        if !is_control {
            let before = message.as_ref().map_or(0, |(_, data)| data.len());
            if header.payload > (limit - before) as u64 {
                return Reading { items, end: End::Broken(TOO_BIG), len: at };
            }
        }
        let there = (rest.len() - header.len).min(header.payload as usize);
        let is_complete = there as u64 == header.payload;
        let mut payload = rest[header.len..header.len + there].to_vec();
        if let Some(mask) = header.mask {
            for (index, byte) in payload.iter_mut().enumerate() {
                *byte ^= mask[index % 4];
            }
        }
        at += header.len + there;

        if is_control {
            if !is_complete {
                return Reading { items, end: End::Open, len: at };
            }
            match header.opcode {
                8 => match close(&payload) {
                    Ok(close) => {
                        items.push(Item::Close(close));
                        return Reading { items, end: End::Closed, len: at };
                    }
                    Err(code) => return Reading { items, end: End::Broken(code), len: at },
                },
                9 => items.push(Item::Ping(payload)),
                _ => items.push(Item::Pong(payload)),
            }
            continue;
        }

        let (is_text, data) = message.get_or_insert_with(|| (header.opcode == 1, Vec::new()));
        data.extend(payload);
        let ends_here = is_complete && header.is_final;
        if *is_text && !is_utf8(data, ends_here) {
            return Reading { items, end: End::Broken(INVALID_DATA), len: at };
        }
        if !is_complete {
            return Reading { items, end: End::Open, len: at };
        }
        if ends_here {
            items.extend(message.take().map(|(is_text, data)| {
                if is_text { Item::Text(data) } else { Item::Binary(data) }
            }));
        }
    }
}

struct Header {
    is_final: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    payload: u64,
    /// Bytes of the header itself.
    len: usize,
}

impl Header {
    /// `None` when it is not complete. `in_message`: a message has begun and not ended.
    fn read(bytes: &[u8], sender: Sender, in_message: bool) -> Result<Option<Self>, End> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let mut is_wrong = first & 0x70 != 0;
        let is_final = first & 0x80 != 0;
        let opcode = first & 0x0f;
        is_wrong |= match opcode {
            0 => !in_message,
            1 | 2 => in_message,
            8..=10 => !is_final,
            _ => true,
        };
        let unfinished = |is_wrong| if is_wrong { Err(End::Doomed) } else { Ok(None) };
        let Some(&second) = bytes.get(1) else { return unfinished(is_wrong) };
        is_wrong |= (second & 0x80 != 0) != (sender == Sender::Client);
        is_wrong |= opcode >= 8 && second & 0x7f > 125;
        let long = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(digits) = bytes.get(2..2 + long) else { return unfinished(is_wrong) };
        let number = digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit));
        let (payload, least) = match long {
            0 => (u64::from(second & 0x7f), 0),
            2 => (number, 126),
            _ => (number, 65536),
        };
        is_wrong |= payload < least || payload >> 63 != 0;
        let mut len = 2 + long;
        let mut mask = None;
        if second & 0x80 != 0 {
            let Some(key) = bytes[len..].first_chunk::<4>() else { return unfinished(is_wrong) };
            mask = Some(*key);
            len += 4;
        }
        if is_wrong {
            return Err(End::Broken(PROTOCOL_ERROR));
        }
        Ok(Some(Self { is_final, opcode, mask, payload, len }))
    }
}

/// Whether `bytes` are UTF-8, or can become so if they are not all.
fn is_utf8(bytes: &[u8], are_all: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !are_all && error.error_len().is_none(),
    }
}

/// What the payload of a close frame says, or the code that it is answered with.
fn close(payload: &[u8]) -> Result<Option<(u16, String)>, u16> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(PROTOCOL_ERROR) };
    };
    let code = u16::from_be_bytes(*code);
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => {}
        _ => return Err(PROTOCOL_ERROR),
    }
    match String::from_utf8(reason.to_vec()) {
        Ok(reason) => Ok(Some((code, reason))),
        Err(_) => Err(INVALID_DATA),
    }
}

/// A frame. With a `mask` as a client writes it, without as a server does. `first` is its first byte.
#[must_use]
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => bytes.push(bit | len as u8),
        len @ 126..65536 => {
            bytes.push(bit | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(bit | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    let mask_or_zero = mask.unwrap_or_default();
    bytes.extend(mask.iter().flatten());
    bytes.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask_or_zero[index % 4]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6455, section 5.7.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let hello = [Item::Text(b"Hello".to_vec())];
        let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        assert_eq!(read(&unmasked, Sender::Server, 5).items, hello);
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(&masked, Sender::Client, 5).items, hello);
        let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        assert_eq!(read(&fragments, Sender::Server, 5).items, hello);
        let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        assert_eq!(read(&ping, Sender::Server, 0).items, [Item::Ping(b"Hello".to_vec())]);
        let long = [&[0x82, 0x7e, 0x01, 0x00], [7; 256].as_slice()].concat();
        assert_eq!(read(&long, Sender::Server, 256).items, [Item::Binary(vec![7; 256])]);
        assert_eq!(read(&long[..4], Sender::Server, 255).end, End::Broken(TOO_BIG));
    }

    #[test]
    fn broken_rules_have_their_code() {
        for (bytes, end) in [
            (&[0x81, 0x85][..], End::Doomed),
            (&[0xc1], End::Doomed),
            (&[0x83], End::Doomed),
            (&[0x80], End::Doomed),
            (&[0x09], End::Doomed),
            (&[0x89, 126], End::Doomed),
            (&[0x82, 126, 0, 125], End::Broken(1002)),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], End::Broken(1002)),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], End::Broken(1002)),
            (&[0x02, 0, 0x82, 0], End::Broken(1002)),
            (&[0x81, 2, 0xff], End::Broken(1007)),
            (&[0x81, 2, 0xc3], End::Open),
            (&[0x81, 1, 0xc3], End::Broken(1007)),
            (&[0x88, 1, 3], End::Broken(1002)),
            (&[0x88, 2, 3, 0xed], End::Broken(1002)),
            (&[0x88, 3, 3, 0xe8, 0xff], End::Broken(1007)),
            (&[0x88, 0, 0xff], End::Closed),
            (&[0x82, 5, 1], End::Open),
        ] {
            assert_eq!(read(bytes, Sender::Server, 100_000).end, end, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for len in [0, 1, 125, 126, 65535, 65536] {
            let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
            for (mask, sender) in [(None, Sender::Server), (Some([1, 2, 3, 4]), Sender::Client)] {
                let reading = read(&frame(0x82, &payload, mask), sender, len);
                assert_eq!(
                    (reading.messages(), reading.end),
                    (vec![(false, &payload[..])], End::Open)
                );
            }
        }
    }
}
