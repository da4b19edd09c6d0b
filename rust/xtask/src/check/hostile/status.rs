//! Attackers of the status endpoint.

use std::net::TcpStream;

use anyhow::{Result, ensure};

use super::case::{Case, Deeds, USUAL};
use super::wire::{Client, Dice, Target, crowd, head, read_to_end, slowly};

pub(super) const CASES: &[Case] = &[
    Case { name: "status endpoint: silent and slow", server: STATUS, attack: slow, ..USUAL },
    Case { name: "status endpoint: broken requests", server: STATUS, attack: broken, ..USUAL },
    Case { name: "status endpoint: a flood of requests", server: STATUS, attack: flood, ..USUAL },
];

const STATUS: &[&str] = &["--status"];
const LINES: [&str; 1] = ["Host: localhost"];

/// The status endpoint in place of the server.
fn endpoint(target: &Target) -> Target {
    Target { port: target.status_port, ..target.clone() }
}

/// Sees that somebody who means well is answered.
fn is_well(endpoint: &Target) -> Result<()> {
    let mut client = endpoint.ask(&head("GET /healthz HTTP/1.1", &LINES))?;
    client.expect(200)?;
    client.read_to_end()
}

/// Many who say nothing, a byte now and then, or do not read: all are ended, and keep nobody out.
fn slow(target: &Target) -> Result<Deeds> {
    let endpoint = endpoint(target);
    let mut silent = crowd(300 * target.factor, |_| endpoint.connect())?;
    is_well(&endpoint)?;
    let request = head("GET /metrics HTTP/1.1", &LINES);
    let mut deaf = crowd(100 * target.factor, |_| endpoint.ask(&request))?;
    is_well(&endpoint)?;
    let mut slow: Vec<TcpStream> = crowd(16, |_| endpoint.connect())?;
    let ended = slowly(&mut slow, 500, |_| b'G');
    ensure!(ended == slow.len(), "{ended} of {} slow ones were ended", slow.len());
    silent.iter_mut().try_for_each(|socket| read_to_end(socket).map(drop))?;
    deaf.iter_mut().try_for_each(Client::read_to_end)?;
    is_well(&endpoint)?;
    Ok(vec![
        (silent.len(), "silent"),
        (deaf.len(), "that did not read at once"),
        (ended, "a byte in 20 ms, all ended by the server"),
    ])
}

fn broken(target: &Target) -> Result<Deeds> {
    let endpoint = endpoint(target);
    let endless = head("GET /metrics HTTP/1.1", &["Host: a", &format!("X: {}", "x".repeat(9000))]);
    let body = [head("POST /metrics HTTP/1.1", &["Host: a"]), vec![b'x'; 200_000]].concat();
    let smuggled = [head("GET /healthz HTTP/1.1", &LINES), head("GET /metrics HTTP/1.1", &LINES)];
    let requests = [
        (b"\0\x16\x03".to_vec(), 400),
        (b"GET / HTTP/1.1\n\n".to_vec(), 400),
        (head("GET /metrics HTTP/1.1", &[]), 400),
        (head("GET /metrics HTTP/1.1", &["Host: a", "Host: b"]), 400),
        (head("GET /../healthz HTTP/1.1", &LINES), 404),
        (head("DELETE /healthz HTTP/1.1", &LINES), 405),
        (endless, 431),
        (body, 405),
        (smuggled.concat(), 200),
    ];
    let count = 30 * requests.len() * target.factor;
    crowd(count, |index| {
        let (request, status) = &requests[index % requests.len()];
        let mut client = endpoint.ask(&[])?;
        // It may be ended before all of it has been sent.
        client.send(request).ok();
        client.expect(*status)?;
        client.read_to_end()
    })?;
    let garbage = crowd(count, |index| {
        let mut dice = Dice::new(index);
        let size = dice.below(20_000);
        let mut client = endpoint.ask(&[])?;
        client.send(&dice.bytes(size)).ok();
        client.end_writing().ok();
        client.read_to_end()
    })?;
    is_well(&endpoint)?;
    Ok(vec![(count, "broken requests, all answered"), (garbage.len(), "pieces of garbage")])
}

/// Everything that can be asked for, as fast as it is answered, and not waited for.
fn flood(target: &Target) -> Result<Deeds> {
    let endpoint = endpoint(target);
    let request = head("GET /metrics HTTP/1.1", &LINES);
    let left = crowd(1000 * target.factor, |_| endpoint.ask(&request)?.reset())?;
    let read = crowd(500 * target.factor, |_| {
        let mut client = endpoint.ask(&request)?;
        client.expect(200)?;
        client.read_to_end()
    })?;
    Ok(vec![(left.len(), "questions and resets"), (read.len(), "answers read")])
}
