//! A server whose process has no file descriptors left. One test, since all tests of a file share a
//! process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mio_websocket_core::notice::Severity;
use support::{Node, PATIENCE, Raw, masked, request, settle};

const PAUSE: Duration = Duration::from_millis(100);

/// Leaves room for `count` descriptors more than there are.
fn leave_room_for(count: usize) {
    // The limit is one on their numbers, and a new one gets the lowest that is free.
    let is_free = |number: &usize| !Path::new(&format!("/proc/self/fd/{number}")).exists();
    let last = (0..).filter(is_free).nth(count - 1).unwrap();
    let pid = std::process::id().to_string();
    let limit = format!("--nofile={}:", last + 1);
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

/// The error lines that have come since the last call.
fn errors(server: &mut Node) -> Vec<String> {
    let lines = std::iter::from_fn(|| server.peer.next_notice());
    lines.filter(|line| line.severity == Severity::Error).map(|line| line.text).collect()
}

#[test]
fn accepting_pauses_and_goes_on_while_descriptors_are_short() {
    // What the machine does besides must not decide how much a poll does.
    let mut server = Node::server_with(|peer| {
        peer.budget.time = PATIENCE;
        peer.budget.handshakes = PATIENCE;
    });
    let (mut friend, id) = server.join_raw();
    let mut played = 0_u8;
    let mut play = |server: &mut Node| {
        played = played.wrapping_add(1);
        friend.send(&masked(0x82, &[played]));
        assert_eq!(server.receive(1), [(id, vec![played])]);
        server.put(id, &[played]).unwrap();
        server.peer.flush();
        assert_eq!(friend.frame(), Some((0x82, vec![played])));
    };

    // 1. Players take all that there are. They connect while the server does not look.
    let mut crowd: Vec<Raw> = (0..30).map(|_| Raw::connect(server.port())).collect();
    crowd.iter_mut().for_each(|client| client.send(&request()));
    let mut silent: Vec<Raw> = (0..40).map(|_| Raw::connect(server.port())).collect();
    let mut last = Raw::connect(server.port());
    last.send(&request());
    settle();
    leave_room_for(10);
    server.poll_for_nothing();
    assert_eq!(server.peer.stats.joined, 11);
    // No spinning, and nobody was given up who had had no turn.
    assert_eq!((server.peer.stats.accept_errors, server.peer.stats.handshakes_displaced), (1, 0));
    let lines = errors(&mut server);
    assert!(matches!(&lines[..], [line] if line.contains("cannot accept")), "{lines:?}");
    play(&mut server);

    // 2. It lasts. One line in ten seconds says so.
    for step in 1..=150 {
        server.wait(PAUSE);
        server.poll();
        assert_eq!(server.peer.stats.accept_errors, 1 + step);
        assert_eq!(errors(&mut server).len(), usize::from(step == 100), "after {step} pauses");
    }
    assert_eq!(server.peer.stats.joined, 11);
    play(&mut server);

    // 3. Some leave, and others come in.
    crowd.drain(..5);
    settle();
    server.wait(PAUSE);
    server.poll_for_nothing();
    server.wait(PAUSE);
    server.poll_for_nothing();
    // Two descriptors for each: its own end, too, is in this process.
    assert_eq!((server.peer.stats.joined, server.events.len()), (21, 10 + 5 + 10));
    play(&mut server);

    // 4. The rest of the crowd comes in, and behind it are the silent ones. They give way.
    crowd.drain(..15);
    let before = server.peer.stats;
    let start = server.clock;
    while server.peer.stats.joined < 32 {
        server.wait(PAUSE);
        server.poll_for_nothing();
        assert!(server.clock - start < Duration::from_secs(3), "{:?}", server.peer.stats);
    }
    assert!(last.head().starts_with("HTTP/1.1 101 "));
    let after = server.peer.stats;
    assert!(after.handshakes_displaced > before.handshakes_displaced, "{after:?}");
    assert_eq!(after.handshake_timeouts, 0, "before they are late");
    play(&mut server);

    // 5. It is over.
    silent.clear();
    settle();
    server.wait(PAUSE);
    server.poll_for_nothing();
    let errors = server.peer.stats.accept_errors;
    server.join_raw();
    play(&mut server);
    assert_eq!(server.peer.stats.accept_errors, errors);
}
