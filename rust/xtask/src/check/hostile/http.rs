//! Attackers that speak HTTP, or something like it.

use std::io::Write;

use anyhow::{Context, Result, ensure};

use super::case::{Case, Deeds, USUAL};
use super::frame::{BINARY, FIN, frame};
use super::wire::{Client, Dice, HEADERS, Target, crowd, head, read_to_end, request};

/// What a server logs of a request that it refuses.
const REFUSED: &[&str] = &["upgrade refused"];

pub(super) const CASES: &[Case] = &[
    Case { name: "plain HTTP", attack: plain_http, errors: REFUSED, ..USUAL },
    Case { name: "broken requests", attack: broken, errors: REFUSED, ..USUAL },
    Case { name: "endless heads", attack: endless_heads, errors: REFUSED, ..USUAL },
    Case { name: "endless bodies", attack: endless_bodies, errors: REFUSED, ..USUAL },
    Case {
        name: "header injection",
        server: &["--injected-header=X: a\r\nX-Injected: game"],
        attack: injection,
        errors: &["upgrade refused", "contains CR, LF or NUL"],
        ..USUAL
    },
    Case { name: "requests and frames glued together", attack: glued, ..USUAL },
    Case { name: "compression offers", attack: compression, ..USUAL },
    Case { name: "TLS to a plain port", attack: tls_to_plain, errors: REFUSED, ..USUAL },
    Case { name: "garbage", attack: garbage, errors: REFUSED, ..USUAL },
    Case { name: "answers that nobody reads", attack: unread_answers, errors: REFUSED, ..USUAL },
    Case { name: "honest large heads", attack: large_heads, ..USUAL },
];

/// Sees that a request is answered with `status`, and with no header line that is not ours.
fn refused(target: &Target, bytes: &[u8], status: u16) -> Result<()> {
    let mut client = target.ask(bytes)?;
    let text = || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let answer = client.expect(status).with_context(text)?;
    check_names(&answer.names)?;
    client.read_to_end().with_context(text)
}

/// Names that an answer of ours may have.
fn check_names(names: &[String]) -> Result<()> {
    const OURS: [&str; 8] = [
        "upgrade",
        "connection",
        "sec-websocket-accept",
        "sec-websocket-version",
        "content-type",
        "content-length",
        "allow",
        "x-game",
    ];
    let foreign = names.iter().find(|name| !OURS.contains(&name.as_str()));
    ensure!(foreign.is_none(), "an answer has the header {foreign:?}");
    Ok(())
}

fn plain_http(target: &Target) -> Result<Deeds> {
    let starts = [
        ("GET / HTTP/1.1", 426),
        ("GET /favicon.ico HTTP/1.1", 426),
        ("GET http://localhost/ HTTP/1.1", 426),
        ("GET / HTTP/1.0", 400),
        ("POST / HTTP/1.1", 405),
        ("HEAD / HTTP/1.1", 405),
        ("OPTIONS * HTTP/1.1", 405),
        ("TRACE / HTTP/1.1", 405),
        ("CONNECT localhost:443 HTTP/1.1", 405),
        ("DELETE /game HTTP/1.1", 405),
        // The preface of HTTP/2.
        ("PRI * HTTP/2.0", 400),
    ];
    let done = crowd(50 * starts.len() * target.factor, |index| {
        let (start, status) = starts[index % starts.len()];
        refused(target, &head(start, &["Host: localhost", "User-Agent: x"]), status)
    })?;
    Ok(vec![(done.len(), "requests for pages, all refused")])
}

fn broken(target: &Target) -> Result<Deeds> {
    const GET: &str = "GET / HTTP/1.1";
    let line = |line: &str| head(GET, &[&HEADERS[..], &[line]].concat());
    let instead = |index: usize, line: &str| {
        let mut lines = HEADERS;
        lines[index] = line;
        head(GET, &lines)
    };
    let requests = [
        (head("GET", &HEADERS), 400),
        (head("GET  /  HTTP/1.1", &HEADERS), 400),
        (head("GET / HTTP/9.9", &HEADERS), 400),
        (head("GET /\t HTTP/1.1", &HEADERS), 400),
        (b"\r\n\r\n\r\n".to_vec(), 400),
        (b"\0\0\0\0\r\n\r\n".to_vec(), 400),
        (line("garbage"), 400),
        (line(" folded: x"), 400),
        (line("Space : x"), 400),
        (line("X: a\0b"), 400),
        (line("X: a\x1bb"), 400),
        (line("Host: other"), 400),
        (line("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (line("Sec-WebSocket-Version: 8"), 400),
        (instead(0, "Host:"), 400),
        (instead(1, "Upgrade: h2c"), 426),
        (instead(2, "Connection: close"), 400),
        (instead(3, "Sec-WebSocket-Key: short"), 400),
        (instead(3, "Sec-WebSocket-Key: "), 400),
        (instead(4, "Sec-WebSocket-Version: 99999999999999999999"), 426),
    ];
    let done = crowd(20 * requests.len() * target.factor, |index| {
        let (bytes, status) = &requests[index % requests.len()];
        refused(target, bytes, *status)
    })?;
    Ok(vec![(done.len(), "malformed requests, all refused")])
}

/// Lines, header lines and targets that do not end: refused when they are over 16 KiB, or over 128
/// lines.
fn endless_heads(target: &Target) -> Result<Deeds> {
    let starts = ["GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n", "GET /", "GET / HTTP/1.1\r\nX"];
    let pieces = ["a".repeat(8192), "X: y\r\n".repeat(1000), "/a".repeat(4096), "b".repeat(8192)];
    let done = crowd(80 * target.factor, |index| {
        let kind = index % starts.len();
        let mut client = target.ask(starts[kind].as_bytes())?;
        // More than the server reads; it may have gone before the end.
        client.flood(pieces[kind].as_bytes(), 256);
        client.expect(431)?;
        client.end_writing().ok();
        client.read_to_end()
    })?;
    Ok(vec![(done.len(), "heads of up to 2 MiB, all refused with 431")])
}

fn endless_bodies(target: &Target) -> Result<Deeds> {
    let lines = ["Host: localhost", "Content-Length: 99999999999"];
    let piece = vec![b'a'; 64 * 1024];
    let sent = crowd(8, |_| {
        let mut client = target.ask(&head("POST / HTTP/1.1", &lines))?;
        let sent = client.flood(&piece, 4096);
        client.expect(405)?;
        client.end_writing().ok();
        client.read_to_end()?;
        Ok(sent)
    })?;
    let mib = sent.iter().sum::<usize>() / 16;
    Ok(vec![(sent.len(), "bodies without an end, all refused"), (mib, "MiB sent")])
}

/// Line ends and the like in all places that an answer might repeat.
fn injection(target: &Target) -> Result<Deeds> {
    let accepted = [
        head("GET /%0d%0aX-Injected:%20a HTTP/1.1", &HEADERS),
        head("GET /?a=%0aX-Injected:%20a HTTP/1.1", &HEADERS),
        request(&["Origin: http://a/%0d%0aX-Injected: a"]),
        request(&["X-Injected: a"]),
        request(&["Sec-WebSocket-Extensions: a; X-Injected=b"]),
    ];
    let broken = [
        head("GET / HTTP/1.1", &[&HEADERS[1..], &["Host: a\rX-Injected: a"]].concat()),
        request(&["Origin: a\nX-Injected: a"]),
        request(&["Origin: a\r X-Injected: a"]),
        request(&["Origin: a\0X-Injected: a"]),
        request(&["Origin: a\r\r\nX-Injected: a"]),
        head("GET /\nX-Injected: a HTTP/1.1", &HEADERS),
        request(&["Sec-WebSocket-Protocol: a\u{b}X-Injected: a"]),
    ];
    let count = 20 * target.factor;
    let answered = crowd(count * accepted.len(), |index| {
        let mut client = target.ask(&accepted[index % accepted.len()])?;
        let answer = client.expect(101)?;
        ensure!(answer.names.iter().any(|name| name == "x-game"), "the game's header is missing");
        check_names(&answer.names)?;
        client.read_id()
    })?;
    let refused =
        crowd(count * broken.len(), |index| refused(target, &broken[index % broken.len()], 400))?;
    Ok(vec![
        (answered.len(), "escaped line ends, none in an answer"),
        (refused.len(), "raw ones, all refused"),
    ])
}

/// What follows a request is frames, whatever it is: good ones are taken, a second request is a
/// breach of the protocol.
fn glued(target: &Target) -> Result<Deeds> {
    let count = 100 * target.factor;
    let packets = crowd(count, |_| {
        let mut bytes = request(&[]);
        (0..50_u8).for_each(|number| bytes.extend(frame(FIN | BINARY, &[1, number])));
        let mut client = target.ask(&bytes)?;
        client.expect_upgrade()?;
        client.read_id()?;
        for number in 0..50 {
            let echo = client.read_frame()?;
            ensure!(echo == (BINARY, vec![1, number]), "{echo:?} and not packet {number}");
        }
        client.reset()
    })?;
    let requests = crowd(count, |_| {
        let mut client = target.ask(&request(&[]).repeat(100))?;
        client.expect_upgrade()?;
        client.expect_close(1002)
    })?;
    Ok(vec![
        (packets.len(), "requests with 50 packets, all answered"),
        (requests.len(), "with 99 requests, all closed with 1002"),
    ])
}

/// Offers are not taken up, so a compressed message breaks the protocol.
fn compression(target: &Target) -> Result<Deeds> {
    let many = format!("Sec-WebSocket-Extensions: {}", "permessage-deflate, ".repeat(500));
    let offers = [
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99; x=\"\\\"",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, x-webkit-deflate",
        "Sec-WebSocket-Extensions: ;;;,,,===",
        &many,
    ];
    const RSV1: u8 = 0x40;
    let done = crowd(40 * offers.len() * target.factor, |index| {
        let mut client = target.ask(&request(&[offers[index % offers.len()]]))?;
        check_names(&client.expect(101)?.names)?;
        client.read_id()?;
        // "Hello", compressed: RFC 7692, section 7.2.3.1.
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        client.send(&frame(FIN | RSV1 | BINARY, &hello))?;
        client.expect_close(1002)
    })?;
    Ok(vec![(done.len(), "offers and compressed messages, all closed with 1002")])
}

fn tls_to_plain(target: &Target) -> Result<Deeds> {
    let mut hello = Vec::new();
    target.session(rustls::ALL_VERSIONS)?.write_tls(&mut hello)?;
    let others: [&[u8]; 3] = [
        // SSL 2, an alert, an empty record.
        &[0x80, 0x2e, 0x01, 0x00, 0x02, 0x00, 0x15, 0x00, 0x00, 0x00, 0x10],
        &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28],
        &[0x17, 0x03, 0x03, 0x00, 0x00],
    ];
    let done = crowd(200 * target.factor, |index| {
        let bytes = if index % 2 == 0 { &hello } else { others[index / 2 % others.len()] };
        refused(target, bytes, 400)
    })?;
    Ok(vec![(done.len(), "records of TLS, all refused")])
}

/// Bytes without any sense, before and after the upgrade.
fn garbage(target: &Target) -> Result<Deeds> {
    let done = crowd(1000 * target.factor, |index| {
        let mut dice = Dice::new(index);
        let size = 1 + dice.below(2000);
        let mut client: Client = if index % 2 == 0 { target.join()? } else { target.ask(b"")? };
        // The server may have gone before all is written.
        client.send(&dice.bytes(size)).ok();
        if index % 3 == 0 { client.reset() } else { Ok(()) }
    })?;
    Ok(vec![(done.len(), "with random bytes")])
}

/// Refusals whose answers are not read, on sockets that are kept until the server ends them.
fn unread_answers(target: &Target) -> Result<Deeds> {
    let mut sockets = crowd(500 * target.factor, |_| target.connect())?;
    for socket in &mut sockets {
        socket.write_all(&head("POST / HTTP/1.1", &["Host: a", "Content-Length: 9"]))?;
    }
    sockets.iter_mut().try_for_each(|socket| read_to_end(socket).map(drop))?;
    Ok(vec![(sockets.len(), "refused and staying, all ended by the server")])
}

/// Not hostile at all: a browser with as many cookies as fit gets in.
fn large_heads(target: &Target) -> Result<Deeds> {
    let cookie = format!("Cookie: session={}", "c".repeat(16 * 1024 - 200));
    let bytes = request(&[&cookie]);
    let done = crowd(300 * target.factor, |_| {
        let mut client = target.ask(&bytes)?;
        client.expect_upgrade()?;
        client.read_id()
    })?;
    Ok(vec![(done.len(), "heads of 16 KiB, all accepted")])
}
