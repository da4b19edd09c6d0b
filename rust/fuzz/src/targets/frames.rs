//! The frames that either end gets, in pieces.
//!
//! Input: a byte for the role and the limit; after how many pieces we close (0: never); the sizes of
//! the pieces, by turns (three bytes; 0: all that is left); how many frames a call may take; then
//! what the other side sends.

use bytes::BytesMut;
use mio_websocket_core::outbox::Outbox;
use mio_websocket_core::websocket::{CloseFrame, Kind, Message, Role, State, WebSocket};

use crate::reference::frames::{self, End, Item, Reading, Sender};
use crate::script::Script;

/// Pongs are never held back for their size for less input than this.
const MOST: usize = 8192;
/// Most pongs that wait; here nothing is ever taken.
const MOST_PONGS: usize = 255;
const OUR_CODE: u16 = 4001;
const OUR_REASON: &str = "bye";

/// See the [module](self).
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let role = script.one_of(&[Role::Server, Role::Client]);
    let limit = script.one_of(&[125, 0, 10, 1000, 65535]);
    let close_after = script.byte();
    let sizes = [script.byte(), script.byte(), script.byte()];
    let budget = 1 + usize::from(script.byte());
    let bytes = script.rest();
    let bytes = &bytes[..bytes.len().min(MOST)];
    run_pieces(role, limit, close_after, &pieces(bytes, sizes), budget);
}

fn pieces(mut bytes: &[u8], sizes: [u8; 3]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        let size = if *size == 0 { bytes.len() } else { usize::from(*size).min(bytes.len()) };
        let (piece, rest) = bytes.split_at(size);
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            return pieces;
        }
    }
    pieces
}

/// Lets the end `role` of a WebSocket receive `pieces`, in calls that take `budget` frames each, and
/// close `close_after` so many of them (0: never).
///
/// # Panics
/// When it gives or writes anything else than it should.
pub fn run_pieces(role: Role, limit: usize, close_after: u8, pieces: &[&[u8]], budget: usize) {
    let (them, us) = match role {
        Role::Server => (Sender::Client, Sender::Server),
        Role::Client => (Sender::Server, Sender::Client),
    };
    let mut socket = WebSocket::new(role, limit);
    let mut outbox = Outbox::default();
    let mut received = Vec::new();
    let mut sent = Vec::new();
    let mut read_at_close = None;
    for (index, piece) in pieces.iter().enumerate() {
        receive(&mut socket, piece, &mut outbox, budget, &mut received);
        sent.extend_from_slice(piece);
        if index + 1 == usize::from(close_after) {
            socket.close(&CloseFrame::new(OUR_CODE, OUR_REASON), &mut outbox);
            read_at_close = Some(frames::read(&sent, them, limit));
        }
    }

    let whole = frames::read(&sent, them, limit);
    let written = frames::read(outbox.bytes(), us, usize::MAX);
    // What came before our close counts, and what ended the connection before it.
    let counts = read_at_close.as_ref().unwrap_or(&whole);
    let is_ours = read_at_close.is_some() && matches!(counts.end, End::Open | End::Doomed);
    let expected: Vec<(Kind, &[u8])> =
        counts.messages().into_iter().map(|(is_text, data)| (kind(is_text), data)).collect();
    let messages: Vec<(Kind, &[u8])> =
        received.iter().map(|message| (message.kind, &message.data[..])).collect();
    assert_eq!(messages, expected);
    check_written(counts, &written, is_ours);
    assert_eq!(written.len, outbox.bytes().len(), "something is written behind the close frame");

    match whole.end {
        End::Open if is_ours => assert_eq!(socket.state(), State::Closing),
        End::Open => assert_eq!(socket.state(), State::Open),
        End::Doomed => {}
        End::Closed => {
            assert_eq!((socket.state(), socket.violation()), (State::Closed, None));
            let close = socket.received_close().unwrap();
            let close = close.code.map(|code| (code, close.reason.clone()));
            assert_eq!(Some(&close), whole.close());
        }
        End::Broken(code) => {
            assert_eq!(socket.state(), State::Closed);
            assert_eq!(socket.violation().map(|violation| violation.code), Some(code));
        }
    }
}

/// Everything that can be received of one piece.
fn receive(
    socket: &mut WebSocket,
    mut piece: &[u8],
    outbox: &mut Outbox,
    budget: usize,
    received: &mut Vec<Message>,
) {
    let mut arena = BytesMut::new();
    loop {
        let mut frames = budget;
        let message = socket.receive(&mut piece, &mut arena, outbox, &mut frames);
        let is_done = message.is_none() && frames > 0;
        received.extend(message);
        if is_done {
            break;
        }
    }
    assert!(piece.is_empty(), "bytes were left over");
    socket.conclude(outbox);
}

/// A pong for each ping that has room for it, then the close frame if there is one, and nothing else.
fn check_written(read: &Reading, written: &Reading, is_ours: bool) {
    let mut expected: Vec<Item> =
        read.pings().into_iter().take(MOST_PONGS).map(|ping| Item::Pong(ping.to_vec())).collect();
    match (read.end, read.close()) {
        _ if is_ours => expected.push(Item::Close(Some((OUR_CODE, OUR_REASON.to_owned())))),
        (_, Some(close)) => expected.push(Item::Close(close.clone())),
        (End::Broken(code), None) => expected.push(Item::Close(Some((code, String::new())))),
        // It may have been noticed already.
        (End::Doomed, None) => return,
        _ => {}
    }
    assert_eq!(written.items, expected);
}

fn kind(is_text: bool) -> Kind {
    if is_text { Kind::Text } else { Kind::Binary }
}
