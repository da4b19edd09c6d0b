//! Attackers of a server that speaks TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use rustls::ClientConnection;
use rustls::version::{TLS12, TLS13};

use super::case::{BOUNDS, Bounds, Case, Deeds, USUAL};
use super::frame::{BINARY, FIN, PING, frame};
use super::websocket;
use super::wire::{Dice, Target, crowd, head, read_to_end, request, reset, slowly};

/// What a server logs of a handshake that fails.
const FAILED: &[&str] = &["tls handshake failed"];
/// A case to start from. A handshake takes a debug library longer than a poll's budget, so each of
/// the 32 attackers at a time may take a poll of its own.
const SECURE: Case =
    Case { secure: true, bounds: Bounds { round_trip: 60, join: 300, ..BOUNDS }, ..USUAL };

pub(super) const CASES: &[Case] = &[
    Case { name: "TLS: plain HTTP", attack: plain_http, errors: FAILED, ..SECURE },
    Case { name: "TLS: garbage handshakes", attack: garbage, errors: FAILED, ..SECURE },
    Case {
        name: "TLS: silent and slow handshakes",
        // Newcomers must not be late either.
        server: &["--set=handshake_timeout=5.0"],
        attack: slow,
        ..SECURE
    },
    Case { name: "TLS: handshake flood", attack: handshakes, ..SECURE },
    Case {
        name: "TLS: garbage in a session",
        attack: garbage_inside,
        errors: &["tls session failed"],
        ..SECURE
    },
    Case {
        name: "TLS: key updates and tiny records",
        attack: records,
        // One read brings 1400 records.
        bounds: Bounds { poll: 80, ..SECURE.bounds },
        ..SECURE
    },
    Case { name: "TLS: ping flood, nothing read", attack: pings, ..SECURE },
    Case {
        name: "TLS: broadcasts that nobody reads",
        server: &[websocket::BROADCASTING],
        attack: websocket::never_read,
        errors: &["does not fit into the outbound queue"],
        ..SECURE
    },
    Case { name: "TLS: short sessions", attack: sessions, ..SECURE },
];

/// The first bytes of a handshake.
fn hello(target: &Target) -> Result<Vec<u8>> {
    let mut hello = Vec::new();
    target.session(rustls::ALL_VERSIONS)?.write_tls(&mut hello)?;
    Ok(hello)
}

fn plain_http(target: &Target) -> Result<Deeds> {
    let requests = [request(&[]), head("GET / HTTP/1.1", &["Host: localhost"]), vec![b'a'; 40_000]];
    let done = crowd(300 * target.factor, |index| {
        let mut socket = target.connect()?;
        // The server may have gone before all is written.
        socket.write_all(&requests[index % requests.len()]).ok();
        read_to_end(&mut socket)
    })?;
    Ok(vec![(done.len(), "plain requests, all ended by the server")])
}

/// A record of TLS.
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[kind, 3, 3][..], &length, payload].concat()
}

fn garbage(target: &Target) -> Result<Deeds> {
    const CHANGE: u8 = 20;
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    let hello = hello(target)?;
    let cut = &hello[..hello.len() / 2];
    let attacks = [
        record(HANDSHAKE, &[]).repeat(2000),
        record(CHANGE, &[1]).repeat(2000),
        record(ALERT, &[1, 0]).repeat(2000),
        record(DATA, &[7; 100]).repeat(50),
        // A hello of 16 MiB.
        [record(HANDSHAKE, &[1, 0xff, 0xff, 0xff]), record(HANDSHAKE, &[7; 16_000]).repeat(20)]
            .concat(),
        [cut, &record(DATA, &[7; 100])].concat(),
        [HANDSHAKE, 3, 3, 0xff, 0xff].to_vec(),
        hello.repeat(50),
        cut.to_vec(),
    ];
    let done = crowd(60 * (attacks.len() + 1) * target.factor, |index| {
        let mut socket = target.connect()?;
        let kind = index % (attacks.len() + 1);
        let bytes = attacks.get(kind).cloned().unwrap_or_else(|| Dice::new(index).bytes(3000));
        socket.write_all(&bytes).ok();
        if (index / (attacks.len() + 1)).is_multiple_of(2) {
            socket.shutdown(std::net::Shutdown::Write).ok();
            read_to_end(&mut socket).map(drop)
        } else {
            reset(&socket)
        }
    })?;
    Ok(vec![(done.len(), "handshakes of 10 wrong kinds")])
}

fn slow(target: &Target) -> Result<Deeds> {
    let hello = hello(target)?;
    let count = 200 * target.factor;
    let mut silent = crowd(count, |_| target.connect())?;
    let mut slow = crowd(count, |_| target.connect())?;
    let mut halfway = crowd(count, |_| {
        let mut socket = target.connect()?;
        socket.write_all(&hello)?;
        Ok(socket)
    })?;
    let ended = slowly(&mut slow, 400, |step| hello[step % hello.len()]);
    ensure!(ended == count, "{} of {count} were not ended", count - ended);
    let rest = silent.iter_mut().chain(&mut halfway);
    rest.map(read_to_end).collect::<Result<Vec<_>>>()?;
    Ok(vec![(3 * count, "silent, slow, or stopped halfway, all ended by the server")])
}

fn handshakes(target: &Target) -> Result<Deeds> {
    let hello = hello(target)?;
    let half = crowd(200 * target.factor, |_| {
        let mut socket = target.connect()?;
        socket.write_all(&hello)?;
        reset(&socket)
    })?;
    let whole = crowd(200 * target.factor, |index| {
        let (mut session, mut socket) = (target.session(&[version(index)])?, target.connect()?);
        session.complete_io(&mut socket).context("the handshake failed")?;
        reset(&socket)
    })?;
    Ok(vec![(half.len(), "hellos, then reset"), (whole.len(), "handshakes, then reset")])
}

fn version(index: usize) -> &'static rustls::SupportedProtocolVersion {
    if index.is_multiple_of(2) { &TLS13 } else { &TLS12 }
}

/// A session that has its id.
struct Secure {
    session: ClientConnection,
    socket: TcpStream,
}

impl Secure {
    fn join(target: &Target, index: usize) -> Result<Self> {
        let (mut session, mut socket) = (target.session(&[version(index)])?, target.connect()?);
        session.complete_io(&mut socket).context("the handshake failed")?;
        let mut secure = Self { session, socket };
        secure.send(&request(&[]))?;
        let mut answer = Vec::new();
        let mut stream = rustls::Stream::new(&mut secure.session, &mut secure.socket);
        while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).context("failed to read an answer")?;
            answer.extend(byte);
            ensure!(answer.len() < 4096, "the answer has no end");
        }
        ensure!(answer.starts_with(b"HTTP/1.1 101"), "no upgrade");
        Ok(secure)
    }

    /// Sends plaintext as one record.
    fn send(&mut self, plain: &[u8]) -> std::io::Result<()> {
        self.session.writer().write_all(plain)?;
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

/// Records that are not of the session: broken ones, plain ones, a new handshake.
fn garbage_inside(target: &Target) -> Result<Deeds> {
    let hello = hello(target)?;
    let attacks = [
        record(23, &[7; 200]),
        record(22, &hello[5..]),
        hello,
        record(22, &[0, 0, 0, 0]),
        record(20, &[1]).repeat(100),
        record(21, &[2, 40]),
        record(99, &[1]),
        record(23, &[7; 100])[..50].to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let done = crowd(16 * attacks.len() * target.factor, |index| {
        // Each of them with both versions.
        let mut client = Secure::join(target, index / attacks.len())?;
        client.socket.write_all(&attacks[index % attacks.len()]).ok();
        client.socket.shutdown(std::net::Shutdown::Write).ok();
        read_to_end(&mut client.socket)
    })?;
    Ok(vec![(done.len(), "sessions with 9 kinds of garbage, all ended by the server")])
}

/// Valid, and as costly as can be: new keys again and again, a record for each byte.
fn records(target: &Target) -> Result<Deeds> {
    let updates = crowd(4, |_| {
        let mut client = Secure::join(target, 0)?;
        let mut sent = 0;
        while sent < 1000 * target.factor {
            client.session.refresh_traffic_keys()?;
            if client.send(&frame(FIN | PING, &[])).is_err() {
                break;
            }
            sent += 1;
        }
        reset(&client.socket)?;
        Ok(sent)
    })?;
    let bytes = crowd(4, |index| {
        let mut client = Secure::join(target, index)?;
        let message = frame(FIN | BINARY, &[0; 2000]);
        message.iter().try_for_each(|byte| client.send(&[*byte]))?;
        reset(&client.socket)?;
        Ok(message.len())
    })?;
    Ok(vec![
        (updates.iter().sum(), "key updates, nothing read"),
        (bytes.iter().sum(), "records of a byte"),
    ])
}

fn pings(target: &Target) -> Result<Deeds> {
    let chunk = frame(FIN | PING, &[7; 125]).repeat(100);
    let sent = crowd(4, |_| {
        let mut client = target.join()?;
        let sent = client.flood(&chunk, 300 * target.factor);
        client.reset()?;
        Ok(sent)
    })?;
    Ok(vec![(sent.iter().sum::<usize>() * 100, "pings of 125 bytes")])
}

fn sessions(target: &Target) -> Result<Deeds> {
    let done = crowd(150 * target.factor, |index| websocket::session(target, index))?;
    Ok(vec![(done.len(), "sessions: a packet, its echo, a good or a bad end")])
}
