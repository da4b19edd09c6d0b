//! Attackers that do not get as far as HTTP.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::case::{Case, Deeds, USUAL};
use super::wire::{self, Target, crowd, read_to_end, request, reset, slowly};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "connections that say nothing",
        server: &["--set=handshake_timeout=3.0"],
        attack: silence,
        ..USUAL
    },
    Case { name: "connect/reset storm", attack: storm, ..USUAL },
    Case { name: "resets in the middle of a request", attack: reset_early, ..USUAL },
    Case {
        name: "slow handshakes",
        server: &["--set=handshake_timeout=3.0"],
        attack: slow_heads,
        ..USUAL
    },
    Case { name: "half-open sockets", attack: half_open, ..USUAL },
    Case {
        name: "no descriptors left",
        // A newcomer in the server's process would find none either.
        server: &["--no-newcomers", "--set=handshake_timeout=1.0"],
        attack: exhaust,
        errors: &["cannot accept connections"],
        descriptors: Some(160),
        ..USUAL
    },
];

fn silence(target: &Target) -> Result<Deeds> {
    let mut sockets = crowd(target.connections, |_| target.connect())?;
    sockets.iter_mut().try_for_each(|socket| read_to_end(socket).map(drop))?;
    Ok(vec![(sockets.len(), "silent, all ended by the server")])
}

fn storm(target: &Target) -> Result<Deeds> {
    let done = crowd(5000 * target.factor, |_| reset(&target.connect()?))?;
    Ok(vec![(done.len(), "connected and reset")])
}

fn reset_early(target: &Target) -> Result<Deeds> {
    let request = request(&[]);
    let done = crowd(2000 * target.factor, |index| {
        let client = target.ask(&request[..index % request.len()])?;
        client.reset()
    })?;
    Ok(vec![(done.len(), "parts of a request, then reset")])
}

fn slow_heads(target: &Target) -> Result<Deeds> {
    let request = request(&["X: a header that would take a second more"]);
    let mut sockets = crowd(200 * target.factor, |_| target.connect())?;
    let ended = slowly(&mut sockets, 2 * request.len(), |step| request[step % request.len()]);
    ensure!(
        ended == sockets.len(),
        "{} of {} were not ended",
        sockets.len() - ended,
        sockets.len()
    );
    Ok(vec![(ended, "a byte in 20 ms, all ended by the server")])
}

fn half_open(target: &Target) -> Result<Deeds> {
    let request = request(&[]);
    let count = 200 * target.factor;
    let mut clients = crowd(count, |_| target.join())?;
    clients.extend(crowd(count, |index| target.ask(&request[..index % request.len()]))?);
    clients.extend(crowd(count, |_| target.ask(&request))?);
    clients.iter().try_for_each(wire::Client::end_writing)?;
    clients.iter_mut().try_for_each(wire::Client::read_to_end)?;
    Ok(vec![(clients.len(), "ended their half only, all ended by the server")])
}

/// More connections than the server has descriptors for: those it cannot have wait, and those it has
/// are ended in time, so all get their turn.
fn exhaust(target: &Target) -> Result<Deeds> {
    let mut sockets: Vec<TcpStream> = crowd(300, |_| target.connect())?;
    sockets.iter_mut().try_for_each(|socket| read_to_end(socket).map(drop))?;
    let mut clients = crowd(100, |_| target.join())?;
    thread::sleep(Duration::from_millis(200));
    clients.drain(..).try_for_each(wire::Client::reset)?;
    Ok(vec![(sockets.len(), "silent with 160 descriptors"), (100, "served after")])
}
