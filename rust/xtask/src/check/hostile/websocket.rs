//! Attackers that are in, and break the rules of WebSocket or stretch them.

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::case::{BOUNDS, Bounds, Case, Deeds, USUAL};
use super::frame::{
    BINARY, CLOSE, CONTINUATION, FIN, Form, PING, PONG, TEXT, close, frame, head, unmasked,
};
use super::wire::{Client, Target, crowd, request, slowly};

pub(super) const CASES: &[Case] = &[
    Case { name: "frames that break the rules", attack: broken, ..USUAL },
    Case { name: "oversized messages", attack: oversized, ..USUAL },
    Case { name: "frames that never end", attack: never_ending, ..USUAL },
    Case { name: "announced and never sent", attack: announced, ..USUAL },
    Case { name: "messages of one-byte fragments", attack: fragments, ..USUAL },
    Case { name: "endless empty fragments", attack: empty_fragments, ..USUAL },
    Case {
        name: "ping flood, nothing read",
        attack: pings,
        // At most one pong is owed.
        bounds: Bounds { memory: 3, ..BOUNDS },
        ..USUAL
    },
    Case { name: "pong flood", attack: pongs, ..USUAL },
    Case { name: "close flood", attack: closes, ..USUAL },
    Case { name: "packet flood", attack: packets, ..USUAL },
    Case {
        name: "requests for answers that nobody reads",
        attack: unread_echoes,
        errors: &["does not fit into the outbound queue"],
        ..USUAL
    },
    Case {
        name: "broadcasts that nobody reads",
        server: &[BROADCASTING],
        attack: never_read,
        errors: &["does not fit into the outbound queue"],
        ..USUAL
    },
    Case { name: "upgrade, then reset", attack: upgrade_and_reset, ..USUAL },
    Case { name: "thousands of short sessions", attack: sessions, ..USUAL },
    Case { name: "everything at once", attack: everything, errors: &["upgrade refused"], ..USUAL },
];

/// More in a second than a kernel keeps for a socket that is not read.
pub(super) const BROADCASTING: &str = "--broadcast=8,16384";
/// Floods come from so many clients. Each of them gets its turn in each round, and a turn may take a
/// poll of its own: a player waits for all of them.
pub(super) const FLOODERS: usize = 8;

fn broken(target: &Target) -> Result<Deeds> {
    let some: &[u8] = b"abcdef";
    let binary = FIN | BINARY;
    let attacks: [(&str, Vec<u8>, u16); 27] = [
        ("RSV1", frame(binary | 0x40, some), 1002),
        ("RSV2", frame(binary | 0x20, some), 1002),
        ("RSV3", frame(binary | 0x10, some), 1002),
        ("opcode 3", frame(FIN | 3, some), 1002),
        ("opcode 7", frame(FIN | 7, some), 1002),
        ("opcode 11", frame(FIN | 11, some), 1002),
        ("opcode 15", frame(FIN | 15, some), 1002),
        ("no mask", unmasked(binary, some), 1002),
        ("a ping without a mask", unmasked(FIN | PING, some), 1002),
        ("a close without a mask", unmasked(FIN | CLOSE, &[3, 232]), 1002),
        ("a continuation of nothing", frame(FIN | CONTINUATION, some), 1002),
        ("a message in a message", [frame(BINARY, some), frame(binary, some)].concat(), 1002),
        ("a fragmented ping", frame(PING, some), 1002),
        ("a ping of 126 bytes", frame(FIN | PING, &[7; 126]), 1002),
        ("a close of 126 bytes", frame(FIN | CLOSE, &[3; 126]), 1002),
        ("a length that is not the shortest", head(binary, 1, Form::Bits16), 1002),
        ("a short length in 64 bits", head(binary, 1, Form::Bits64), 1002),
        ("a length with the top bit", head(binary, 1 << 63, Form::Shortest), 1002),
        ("text that is not UTF-8", frame(FIN | TEXT, b"a\xff"), 1007),
        ("text that is cut", frame(FIN | TEXT, b"a\xc3"), 1007),
        ("a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80"), 1007),
        ("close code 0", close(0, b""), 1002),
        ("close code 1005", close(1005, b""), 1002),
        ("close code 1006", close(1006, b""), 1002),
        ("close code 65535", close(65535, b""), 1002),
        ("half a close code", frame(FIN | CLOSE, &[3]), 1002),
        ("a reason that is not UTF-8", close(1000, b"\xff\xfe"), 1007),
    ];
    let done = crowd(20 * attacks.len() * target.factor, |index| {
        let (name, bytes, code) = &attacks[index % attacks.len()];
        let mut client = target.join()?;
        client.send(bytes)?;
        client.expect_close(*code).context(*name)
    })?;
    Ok(vec![(done.len(), "breaches of 27 kinds, all closed with their code")])
}

/// Messages over `inbound_buffer_size`, 65535 bytes: closed as soon as that is known.
fn oversized(target: &Target) -> Result<Deeds> {
    let piece = frame(BINARY, &[7; 60_000]);
    let attacks: [Vec<u8>; 4] = [
        head(FIN | BINARY, 65_536, Form::Shortest),
        head(FIN | BINARY, 1 << 40, Form::Shortest),
        head(FIN | BINARY, i64::MAX as u64, Form::Shortest),
        [&piece[..], &head(CONTINUATION, 5536, Form::Shortest)].concat(),
    ];
    let done = crowd(50 * attacks.len() * target.factor, |index| {
        let mut client = target.join()?;
        client.send(&attacks[index % attacks.len()])?;
        client.expect_close(1009)
    })?;
    let floods = crowd(FLOODERS, |_| {
        let mut client = target.join()?;
        client.send(&head(FIN | BINARY, 1 << 40, Form::Shortest))?;
        let sent = client.flood(&piece, 512);
        client.end_writing().ok();
        client.read_to_end()?;
        Ok(sent)
    })?;
    let mib = (floods.iter().sum::<usize>() * 60_000) >> 20;
    Ok(vec![(done.len(), "closed with 1009"), (mib, "MiB of a message of 1 TiB")])
}

/// Frames and control frames a byte at a time; nothing in the protocol says how long one may take.
fn never_ending(target: &Target) -> Result<Deeds> {
    let starts = [
        head(FIN | BINARY, 60_000, Form::Shortest),
        head(FIN | TEXT, 60_000, Form::Shortest),
        head(FIN | PING, 125, Form::Shortest),
        Vec::new(),
    ];
    let clients = crowd(200 * target.factor, |index| {
        let mut client = target.join()?;
        client.send(&starts[index % starts.len()])?;
        Ok(client)
    })?;
    let mut sockets: Vec<_> =
        clients.iter().map(|client| client.socket().try_clone()).collect::<Result<_, _>>()?;
    // Without any start this is a ping of 9 bytes, again and again.
    slowly(&mut sockets, 75, |_| FIN | PING);
    let count = clients.len();
    clients.into_iter().try_for_each(Client::reset)?;
    Ok(vec![(count, "frames of a byte in 20 ms")])
}

/// The start of a message alone must not take the memory for all of it.
fn announced(target: &Target) -> Result<Deeds> {
    let start = [head(FIN | BINARY, 65_535, Form::Shortest), vec![7]].concat();
    let clients = crowd((1500 * target.factor).min(target.connections), |_| {
        let mut client = target.join()?;
        client.send(&start)?;
        Ok(client)
    })?;
    let count = clients.len();
    thread::sleep(Duration::from_millis(300));
    clients.into_iter().try_for_each(Client::reset)?;
    Ok(vec![(count, "messages of 64 KiB, one byte of each sent")])
}

/// Allowed, if as costly as can be: the message arrives.
fn fragments(target: &Target) -> Result<Deeds> {
    const SIZE: usize = 3000;
    let mut message = frame(BINARY, &[1]);
    (2..SIZE).for_each(|_| message.extend(frame(CONTINUATION, &[7])));
    message.extend(frame(FIN | CONTINUATION, &[7]));
    let done = crowd(FLOODERS, |_| {
        let mut client = target.join()?;
        for _ in 0..5 * target.factor {
            client.send(&message)?;
            let (opcode, payload) = client.read_frame()?;
            ensure!(opcode == BINARY && payload.len() == SIZE, "not the message");
        }
        client.reset()
    })?;
    Ok(vec![(5 * target.factor * done.len(), "messages of 3000 fragments, all answered")])
}

fn empty_fragments(target: &Target) -> Result<Deeds> {
    let fragments = frame(CONTINUATION, &[]).repeat(1000);
    let sent = crowd(FLOODERS, |_| {
        let mut client = target.join()?;
        client.send(&frame(BINARY, &[1]))?;
        let sent = client.flood(&fragments, 200 * target.factor);
        client.reset()?;
        Ok(sent)
    })?;
    Ok(vec![(sent.iter().sum::<usize>() * 1000, "empty fragments")])
}

/// Floods with one kind of frame from clients that read nothing, and go with a reset.
fn flood(target: &Target, frame: &[u8]) -> Result<usize> {
    let chunk = frame.repeat(100);
    let sent = crowd(FLOODERS, |_| {
        let mut client = target.join()?;
        let sent = client.flood(&chunk, 2000 * target.factor);
        client.reset()?;
        Ok(sent)
    })?;
    Ok(sent.iter().sum::<usize>() * 100)
}

fn pings(target: &Target) -> Result<Deeds> {
    Ok(vec![
        (flood(target, &frame(FIN | PING, &[7; 125]))?, "pings of 125 bytes"),
        (flood(target, &frame(FIN | PING, &[]))?, "empty ones"),
    ])
}

fn pongs(target: &Target) -> Result<Deeds> {
    Ok(vec![(flood(target, &frame(FIN | PONG, &[7; 125]))?, "pongs of 125 bytes")])
}

/// Packets that the game takes as fast as they come, small ones and the largest.
fn packets(target: &Target) -> Result<Deeds> {
    Ok(vec![
        (flood(target, &frame(FIN | BINARY, &[0; 60]))?, "packets of 60 bytes"),
        (flood(target, &frame(FIN | BINARY, &[0; 65_535]))?, "of 64 KiB"),
    ])
}

/// Many close frames, each sent again and again, by clients that stay.
fn closes(target: &Target) -> Result<Deeds> {
    let frames = [close(1000, b"bye"), close(3000, b""), close(4999, &[b'r'; 123])];
    let count = 300 * target.factor;
    let done = crowd(count, |index| {
        let mut client = target.join()?;
        client.send(&frames[index % frames.len()].repeat(200)).ok();
        client.close_code()?;
        client.read_to_end()
    })?;
    Ok(vec![(done.len() * 200, "close frames"), (done.len(), "clients, all ended by the server")])
}

/// The game answers each packet; what has no room is refused, and it goes on.
fn unread_echoes(target: &Target) -> Result<Deeds> {
    let packet = [&[1][..], &[7; 16_000]].concat();
    let sent = flood(target, &frame(FIN | BINARY, &packet))?;
    Ok(vec![(sent, "packets of 16 KB to be answered, nothing read")])
}

pub(super) fn never_read(target: &Target) -> Result<Deeds> {
    let clients = crowd(24, |_| target.join())?;
    thread::sleep(Duration::from_millis(1500));
    let count = clients.len();
    // Some with an end, some with a reset.
    for (index, client) in clients.into_iter().enumerate() {
        if index % 2 == 0 {
            client.reset()?;
        }
    }
    Ok(vec![(count, "clients in a broadcast of 8 MB a second, nothing read")])
}

fn upgrade_and_reset(target: &Target) -> Result<Deeds> {
    let request = request(&[]);
    let done = crowd(3000 * target.factor, |index| {
        let mut client = target.ask(&request)?;
        if index % 2 == 0 {
            client.expect_upgrade()?;
        }
        client.reset()
    })?;
    Ok(vec![(done.len(), "upgrades, then reset")])
}

pub(super) fn sessions(target: &Target) -> Result<Deeds> {
    let done = crowd(2000 * target.factor, |index| session(target, index))?;
    Ok(vec![(done.len(), "sessions: a packet, its echo, a good or a bad end")])
}

/// A session of one packet; every third ends as it should.
pub(super) fn session(target: &Target, index: usize) -> Result<()> {
    let mut client = target.join()?;
    let packet = [&[1][..], &index.to_le_bytes()].concat();
    client.send(&frame(FIN | BINARY, &packet))?;
    let echo = client.read_frame()?;
    ensure!(echo == (BINARY, packet), "{echo:?} is no echo");
    match index % 3 {
        0 => {
            client.send(&close(1000, b""))?;
            client.expect_close(1000)
        }
        1 => client.reset(),
        _ => Ok(()),
    }
}

/// Some of all, by as many threads as there are kinds.
fn everything(target: &Target) -> Result<Deeds> {
    let less = 300.min(target.connections);
    let silent = crowd(less, |_| target.connect())?;
    let kinds: [fn(&Target, usize) -> Result<()>; 6] = [
        |target, _| super::wire::reset(&target.connect()?),
        |target, index| session(target, index),
        |target, _| {
            let mut client = target.ask(&super::wire::head("GET / HTTP/1.1", &["Host: a"]))?;
            client.expect(426).map(drop)
        },
        |target, _| {
            let mut client = target.join()?;
            client.flood(&frame(FIN | PING, &[7; 125]).repeat(100), 20);
            client.reset()
        },
        |target, _| {
            let mut client = target.join()?;
            client.send(&unmasked(FIN | BINARY, b"x"))?;
            client.expect_close(1002)
        },
        |target, _| {
            let mut client = target.join()?;
            client.socket().write_all(&head(FIN | BINARY, 65_535, Form::Shortest))?;
            client.flood(&[7; 1000], 30);
            Ok(())
        },
    ];
    let done = crowd(900 * target.factor, |index| kinds[index % kinds.len()](target, index))?;
    drop(silent);
    Ok(vec![(done.len(), "attacks of 6 kinds"), (less, "silent connections")])
}
