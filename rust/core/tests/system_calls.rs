//! A session in which system calls fail or are interrupted: `strace` makes the kernel's answer.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use mio_websocket_core::multiplayer::{SERVER_ID, Status};
use support::{Node, PATIENCE, serve_on, settle};

/// The test that is run under `strace`, and what tells it that nothing may have to be tried again.
const SESSION: &str = "session";
const STRICT: &str = "SESSION_WITHOUT_RETRIES";

/// The sizes of the packets that go each way. The last is more than a socket takes at once.
const SIZES: [usize; 3] = [1, 300, 60_000];

/// What the kernel may answer: in a session each of these calls gets each of these answers once, in
/// place of its first, second, … one.
const FAULTS: &[(&str, &[&str])] = &[
    // No descriptors.
    ("epoll_create1", &["EMFILE"]),
    ("socket", &["EMFILE", "ENFILE"]),
    ("accept4", &["EMFILE", "ENOMEM", "ECONNABORTED", "EPROTO"]),
    // No ports, no way.
    ("bind", &["EADDRNOTAVAIL", "EADDRINUSE", "EACCES"]),
    ("listen", &["EADDRINUSE"]),
    ("connect", &["EADDRNOTAVAIL", "EAGAIN", "ENETUNREACH", "ECONNREFUSED", "EPERM"]),
    // No memory.
    ("epoll_ctl", &["ENOSPC", "ENOMEM"]),
    ("setsockopt", &["ENOBUFS"]),
    ("getsockopt", &["ENOBUFS"]),
    ("getpeername", &["ENOBUFS"]),
    // The other side has gone.
    ("recvfrom", &["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"]),
    ("sendto", &["ECONNRESET", "EPIPE", "ENOBUFS"]),
    ("shutdown", &["ENOTCONN"]),
];
/// A call is made fewer times than this.
const MOST_CALLS: usize = 40;

/// Runs the session with what `strace` is to `inject`; how many answers it has made.
#[track_caller]
fn play(inject: &str, is_strict: bool) -> usize {
    let calls = inject.split(':').next().unwrap();
    let log = log(inject);
    let mut strace = Command::new("strace");
    strace.args(["-f", "--seccomp-bpf", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={inject}"), "-o"]).arg(&log);
    strace.arg(std::env::current_exe().unwrap()).args(["--ignored", "--exact", SESSION]);
    if is_strict {
        strace.env(STRICT, "1");
    }
    let output = strace.output().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "with {inject}:\n{said}\n{text}");
    text.matches("(INJECTED)").count()
}

fn log(inject: &str) -> PathBuf {
    let name: String = inject.chars().filter(char::is_ascii_alphanumeric).collect();
    std::env::temp_dir().join(format!("mio_websocket_{}_{name}", std::process::id()))
}

/// Not every machine has it, and not everybody may use it.
fn has_strace() -> bool {
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=none",
        "-e",
        "inject=bind:error=EPERM",
        "true",
    ]);
    let works = strace.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        println!("not run: strace is missing or may not be used");
    }
    works
}

#[test]
fn calls_that_are_interrupted_are_made_again() {
    if has_strace() {
        for call in ["accept4", "recvfrom", "sendto", "epoll_wait"] {
            let count = play(&format!("{call}:error=EINTR:when=1+3"), true);
            assert!(count > 0, "{call} is not called");
        }
    }
}

#[test]
fn any_call_may_fail_once() {
    if !has_strace() {
        return;
    }
    for (call, errors) in FAULTS {
        for error in *errors {
            let fails = |nth: &usize| play(&format!("{call}:error={error}:when={nth}"), false) > 0;
            let count = (1..MOST_CALLS).take_while(fails).count();
            println!("{call}: {error}, {count} times");
            assert!((1..MOST_CALLS - 1).contains(&count), "{call} is called {count} times");
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A server and a client come together, send each other packets, and part. What fails is tried again.
#[test]
#[ignore = "the others run it under strace"]
fn session() {
    let before = descriptors();
    let mut game = Game::new();
    let start = Instant::now();
    while !game.is_over() {
        assert!(start.elapsed() < PATIENCE, "it does not come to an end");
        settle();
        game.step();
    }
    let most = usize::from(std::env::var_os(STRICT).is_none());
    let failed = game.retries + game.server.peer.stats.accept_errors as usize;
    assert!(failed <= most, "{failed} had to be tried again");
    drop(game);
    assert_eq!(descriptors(), before);
}

struct Game {
    server: Node,
    client: Node,
    /// How often something had to be tried again.
    retries: usize,
    has_dialed: bool,
    has_sent: bool,
    to_server: Vec<Vec<u8>>,
    to_client: Vec<Vec<u8>>,
}

impl Game {
    fn new() -> Self {
        let (mut server, client) = (Node::new(), Node::new());
        let mut retries = 0;
        while let Err(error) = serve_on(&mut server.peer, 0, "127.0.0.1", server.clock) {
            println!("create_server: {error}");
            assert_eq!(server.peer.status(), Status::Disconnected);
            retries += 1;
        }
        Self {
            server,
            client,
            retries,
            has_dialed: false,
            has_sent: false,
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    fn is_over(&self) -> bool {
        let all = SIZES.map(|size| vec![size as u8; size]);
        self.to_server == all && self.to_client == all
    }

    fn step(&mut self) {
        for node in [&mut self.server, &mut self.client] {
            node.clock = Instant::now();
            node.poll();
            node.notices().iter().for_each(|notice| println!("{notice:?}"));
        }
        match self.client.peer.status() {
            Status::Disconnected => self.dial(),
            Status::Connecting => {}
            Status::Connected => {
                self.send();
                self.to_client.extend(self.client.take().into_iter().map(|(_, data)| data));
            }
        }
        let id = self.client.peer.unique_id();
        // What came from a connection that has failed is not counted.
        let taken = self.server.take().into_iter().filter(|(peer, _)| *peer == id);
        self.to_server.extend(taken.map(|(_, data)| data));
    }

    fn dial(&mut self) {
        self.retries += usize::from(std::mem::replace(&mut self.has_dialed, true));
        self.has_sent = false;
        self.to_server.clear();
        self.to_client.clear();
        if let Err(error) = self.client.dial(self.server.port()) {
            println!("create_client: {error}");
        }
    }

    fn send(&mut self) {
        let id = self.client.peer.unique_id();
        if self.has_sent || self.server.peer.connection(id).is_none() {
            return;
        }
        self.has_sent = true;
        for size in SIZES {
            let packet = vec![size as u8; size];
            // They may have lost each other in this very moment, of which the next poll tells.
            let _ = self.server.put(id, &packet);
            let _ = self.client.put(SERVER_ID, &packet);
        }
    }
}
