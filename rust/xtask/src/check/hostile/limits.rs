//! Attackers that run into the limits that a game has set.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::case::{BOUNDS, Bounds, Case, Deeds, USUAL};
use super::frame::{BINARY, CONTINUATION, FIN, frame, head};
use super::websocket::{BROADCASTING, FLOODERS};
use super::wire::{self, Client, HEADERS, Target, crowd, read_to_end, request};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "max_clients",
        // A newcomer would find no place either.
        server: &["--no-newcomers", "--set=max_clients=20"],
        attack: crowding,
        counters: &["refused_full"],
        ..USUAL
    },
    Case {
        name: "max_pending_handshakes",
        server: &["--set=handshake_timeout=60.0"],
        attack: displacing,
        counters: &["handshakes_displaced"],
        ..USUAL
    },
    Case {
        name: "admission_callback that does not decide",
        server: &["--undecided", "--set=handshake_timeout=3.0"],
        attack: undecided,
        errors: &["nobody has accepted or rejected the request"],
        counters: &["handshake_timeouts"],
        // A newcomer waits until 400 requests of 16 KiB have been read.
        bounds: Bounds { join: 240, ..BOUNDS },
        ..USUAL
    },
    Case {
        name: "connections_per_second_per_address",
        server: &["--set=connections_per_second_per_address=20"],
        attack: hurrying,
        counters: &["refused_rate"],
        ..USUAL
    },
    Case {
        name: "allowed_paths",
        server: &["--set=allowed_paths=PackedStringArray(\"/\")"],
        attack: |target| unwelcome(target, &wire::head("GET /admin HTTP/1.1", &HEADERS), 404),
        counters: &["refused_path"],
        ..USUAL
    },
    Case {
        name: "allowed_origins",
        server: &["--set=allowed_origins=PackedStringArray(\"https://game.example\")"],
        attack: |target| unwelcome(target, &request(&["Origin: https://evil.example"]), 403),
        counters: &["refused_origin"],
        ..USUAL
    },
    Case {
        name: "proxy_protocol",
        server: &[
            "--set=trusted_proxies=PackedStringArray(\"127.0.1.0/24\")",
            "--set=proxy_protocol=1",
        ],
        attack: lying_about_addresses,
        errors: &["the PROXY header"],
        counters: &["refused_proxy"],
        ..USUAL
    },
    Case { name: "max_fragments", attack: fragments, counters: &["closed_fragments"], ..USUAL },
    Case {
        name: "inbound_packets_per_second",
        server: &["--set=inbound_packets_per_second=200"],
        attack: |target| too_much(target, &frame(FIN | BINARY, &[0])),
        counters: &["closed_rate"],
        ..USUAL
    },
    Case {
        name: "inbound_bytes_per_second",
        server: &["--set=inbound_bytes_per_second=100000"],
        attack: |target| too_much(target, &frame(FIN | BINARY, &[0; 10_000])),
        counters: &["closed_rate"],
        ..USUAL
    },
    Case {
        name: "overflow_policy: disconnect",
        server: &[BROADCASTING, "--set=overflow_policy=1"],
        attack: overflowing,
        counters: &["closed_overflow"],
        ..USUAL
    },
    Case {
        name: "drop_stale_packets",
        server: &[BROADCASTING, "--unreliable", "--set=drop_stale_packets=true"],
        attack: super::websocket::never_read,
        counters: &["packets_dropped"],
        ..USUAL
    },
    Case {
        name: "set_memory_limit",
        server: &["--memory-limit=16777216"],
        attack: hoarding,
        counters: &["closed_memory"],
        // Everybody waits for a while, until those who fill the memory are ended.
        bounds: Bounds { round_trip: 120, memory: 40, ..BOUNDS },
        ..USUAL
    },
];

/// More clients than there are places: the player has one of the 20.
fn crowding(target: &Target) -> Result<Deeds> {
    let inside = crowd(19, |_| target.join())?;
    let refused = crowd(300 * target.factor, |_| {
        let mut client = target.ask(&request(&[]))?;
        let answer = client.expect(503)?;
        ensure!(answer.names.iter().any(|name| name == "retry-after"), "it says not when to retry");
        client.read_to_end()
    })?;
    let count = inside.len();
    inside.into_iter().try_for_each(Client::reset)?;
    Ok(vec![(count, "clients let in"), (refused.len(), "refused with 503")])
}

/// Silent connections give way to newcomers: all but 1024 of them, long before their time is up.
fn displacing(target: &Target) -> Result<Deeds> {
    const PENDING: usize = 1024;
    // One after the other: the oldest go first.
    let mut sockets =
        (0..target.connections).map(|_| target.connect()).collect::<Result<Vec<_>>>()?;
    ensure!(sockets.len() > PENDING, "only {} connections can be had", sockets.len());
    let gone = sockets.len() - PENDING;
    for socket in &mut sockets[..gone] {
        read_to_end(socket)?;
    }
    Ok(vec![(gone, "silent connections displaced"), (PENDING, "that stayed")])
}

/// Clients that nobody decides about do what they can meanwhile: send on and on, or leave. They are
/// answered when their time is up, and let nobody wait.
fn undecided(target: &Target) -> Result<Deeds> {
    let large = format!("X: {}", "x".repeat(15_000));
    let request = wire::head("GET /wait HTTP/1.1", &[&HEADERS[..], &[&large]].concat());
    let frames = frame(FIN | BINARY, &[7; 1000]).repeat(100);
    let count = 200 * target.factor.min(2);
    let left = crowd(count, |_| target.ask(&request)?.reset())?;
    let waiting = crowd(2 * count, |index| {
        let mut client = target.ask(&request)?;
        if index % 2 == 0 {
            client.send(&frames)?;
        }
        Ok(client)
    })?;
    let count = waiting.len();
    for mut client in waiting {
        client.expect(503)?;
        client.read_to_end()?;
    }
    Ok(vec![(left.len(), "that left undecided"), (count, "that stayed, all answered with 503")])
}

/// All from one address. Some are let in.
fn hurrying(target: &Target) -> Result<Deeds> {
    let statuses = crowd(300 * target.factor, |_| {
        let mut client = target.ask_from(Ipv4Addr::new(127, 0, 2, 1), &request(&[]))?;
        Ok(client.read_answer()?.status)
    })?;
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    let (accepted, refused) = (count(101), count(429));
    ensure!(accepted > 0 && refused > 0, "{accepted} let in, {refused} refused");
    ensure!(accepted + refused == statuses.len(), "statuses {statuses:?}");
    Ok(vec![(accepted, "let in"), (refused, "refused with 429")])
}

fn unwelcome(target: &Target, request: &[u8], status: u16) -> Result<Deeds> {
    let done = crowd(300 * target.factor, |_| {
        let mut client = target.ask(request)?;
        client.expect(status)?;
        client.read_to_end()
    })?;
    Ok(vec![(done.len(), "requests, all refused")])
}

/// PROXY headers that are none, from where they are believed, and good ones from elsewhere.
fn lying_about_addresses(target: &Target) -> Result<Deeds> {
    const GOOD: &[u8] = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n";
    const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
    let endless = [b"PROXY ", &[b'x'; 4000][..]].concat();
    let large = [VERSION_2, b"\xff\xff"].concat();
    let short = [VERSION_2, b"\0\x03abc"].concat();
    let malformed: [&[u8]; 5] =
        [b"PROXY TCP4 a b c d\r\n", b"PROXY TCP5 \r\n", &endless, &large, &short];
    let count = 300 * target.factor;
    crowd(count, |index| target.ask(malformed[index % malformed.len()])?.read_to_end())?;
    let good = [GOOD, &request(&[])].concat();
    let stranger = Ipv4Addr::new(127, 0, 2, 1);
    crowd(count, |_| target.ask_from(stranger, &good)?.read_to_end())?;
    let honest = crowd(count, |_| {
        let mut client = target.ask(&good)?;
        client.expect_upgrade()?;
        Ok(client)
    })?;
    honest.into_iter().try_for_each(Client::reset)?;
    Ok(vec![
        (count, "malformed PROXY headers"),
        (count, "PROXY headers of strangers, all refused"),
        (count, "PROXY headers of a proxy, all let in"),
    ])
}

/// 131072 fragments are allowed, which no honest message has.
fn fragments(target: &Target) -> Result<Deeds> {
    let fragments = frame(CONTINUATION, &[]).repeat(1000);
    let done = crowd(FLOODERS, |_| {
        let mut client = target.join()?;
        client.send(&frame(BINARY, &[1]))?;
        client.flood(&fragments, 132);
        client.expect_close(1008)
    })?;
    Ok(vec![(done.len(), "messages of 132,000 fragments, all closed with 1008")])
}

fn too_much(target: &Target, packet: &[u8]) -> Result<Deeds> {
    let done = crowd(FLOODERS, |_| {
        let mut client = target.join()?;
        client.flood(packet, 2000);
        client.expect_close(1008)
    })?;
    Ok(vec![(done.len(), "clients over their rate, all closed with 1008")])
}

/// Who does not read is thrown out, and finds out why when he reads at last.
fn overflowing(target: &Target) -> Result<Deeds> {
    let mut clients = crowd(24, |_| target.join())?;
    thread::sleep(Duration::from_millis(1500));
    clients.iter_mut().try_for_each(|client| client.expect_close(1013))?;
    Ok(vec![(clients.len(), "clients that did not read, all closed with 1013")])
}

/// Many messages of which the end is not sent.
fn hoarding(target: &Target) -> Result<Deeds> {
    let start = head(FIN | BINARY, 65_535, super::frame::Form::Shortest);
    let clients = crowd((1000 * target.factor).min(target.connections), |_| {
        let mut client = target.join()?;
        client.send(&start)?;
        // It may be ended for it.
        client.send(&[7; 60_000]).ok();
        Ok(client)
    })?;
    let count = clients.len();
    thread::sleep(Duration::from_millis(500));
    clients.into_iter().try_for_each(Client::reset)?;
    Ok(vec![(count, "messages of 64 KiB without their end")])
}
