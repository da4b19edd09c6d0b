//! `cargo xtask soak`: a server in an engine, and many clients that come, play and leave it, well
//! and badly, for a long time.
//!
//! The server is `tests/bench/soak/server.gd`, polled sixty times a second; the clients are one
//! process of `rust/bench`, which decides what happens and checks everything.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use clap::Args;
use serde_json::{Map, Value};

use crate::bench::stage::Stage;
use crate::engine;
use crate::library::Profile;
use crate::process::{self, Process, Stderr, describe};
use crate::report::{GREEN, RED, Tally, Verdict, paint};
use crate::scan;
use crate::workspace::Workspace;

/// What the check of `cargo xtask test` plays.
const SHORT: Arguments = Arguments { minutes: 1.0, clients: 300, seed: None };
const LISTEN_LIMIT: Duration = Duration::from_secs(30);
/// For the server to end when it has been told to.
const END_LIMIT: Duration = Duration::from_secs(10);
/// For all that the clients do besides playing; they give up by themselves before that.
const GRACE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(20);
/// Lines of the server's log that are shown when something was wrong.
const LOG_LINES: usize = 100;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How long the clients play, the warming up included.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Clients that are there at a time, a quarter of them over TLS.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Repeat the random choices of an earlier run; what the network makes of them is never the same.
    #[arg(long)]
    seed: Option<u64>,
}

/// Plays with the library that games ship. Whether nothing was wrong.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    Ok(play(workspace, Profile::Release, arguments)?.failed == 0)
}

/// The check of `cargo xtask test`: a minute, with the library that developers run.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Skipped("it reads Linux's accounting of memory".to_owned()));
    }
    play(workspace, Profile::Debug, &SHORT).map(Verdict::Counted)
}

fn play(workspace: &Workspace, profile: Profile, arguments: &Arguments) -> Result<Tally> {
    ensure!(cfg!(target_os = "linux"), "a soak reads Linux's accounting of memory");
    let minutes = arguments.minutes;
    ensure!(minutes > 0.0 && arguments.clients >= 8, "there is nothing to play");
    let stage = Stage::prepare(workspace, "soak", profile, false)?;
    let seed = arguments.seed.unwrap_or_else(lot);
    println!("soak: {minutes} minutes, {} clients, seed {seed}", arguments.clients);

    let mut server = Server::start(&stage)?;
    let mut command = Command::new(&stage.clients);
    command.arg("scenario=soak").args(&server.addresses);
    for (key, value) in [("clients", arguments.clients.to_string()), ("seed", seed.to_string())] {
        command.arg(format!("{key}={value}"));
    }
    command.arg(format!("minutes={minutes}"));
    let limit = Duration::try_from_secs_f64(minutes * 60.0)? + GRACE;
    // The last line is for the end of all.
    let show = |line: &str| {
        if !line.starts_with('{') {
            println!("{line}");
        }
    };
    let clients = process::follow(None, command, limit, Stderr::Merged, show)?;
    let mut problems = scan::scan(&clients.lines).problems;
    problems.extend(clients.end.problem().map(|problem| format!("the clients: {problem}")));

    let in_server = server.end(clients.end.success())?;
    if !in_server.is_empty() {
        println!("---- the last of the server's log");
        let skipped = server.log.len().saturating_sub(LOG_LINES);
        server.log.iter().skip(skipped).for_each(|line| println!("{line}"));
        println!("---- end of the server's log");
    }
    problems.extend(in_server.into_iter().map(|problem| format!("the server: {problem}")));
    let passed = scan::scan(&clients.lines).passes;

    println!("{}", summary(&clients.lines, &problems));
    let word = if problems.is_empty() { paint("ok", GREEN) } else { paint("FAILED", RED) };
    println!("soak: {word}");
    problems.iter().for_each(|problem| println!("    {problem}"));
    Ok(Tally { passed, failed: problems.len() })
}

/// What the clients found, and everything that was wrong, as one line of JSON.
fn summary(lines: &[String], problems: &[String]) -> Value {
    let last = lines.iter().rev().find(|line| line.starts_with('{'));
    let mut found: Map<String, Value> =
        last.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    found.insert("problems".to_owned(), problems.into());
    Value::Object(found)
}

fn lot() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos())
}

/// The engine that plays the server. Dropping it ends it.
struct Server {
    process: Process,
    /// Options that tell the clients the ports.
    addresses: Vec<String>,
    log: Vec<String>,
}

impl Server {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let mut command = engine::headless(&stage.engine, &stage.project, stage.workspace)?;
        command.args(["--script", "res://soak/server.gd", "--"]);
        for (key, file) in [("certificate", "good.crt"), ("key", "good.key")] {
            command.arg(format!("{key}={}", stage.certificates.join(file).display()));
        }
        let process = Process::start(command, Stderr::Merged)?;
        let mut server = Self { process, addresses: Vec::new(), log: Vec::new() };
        let started = Instant::now();
        while started.elapsed() < LISTEN_LIMIT {
            let Ok(line) = server.process.line(TICK) else { break };
            let Some(line) = line else { continue };
            if let Some(ports) = line.strip_prefix("LISTENING ") {
                let names = ["desk", "ws", "wss"].into_iter();
                server.addresses = names
                    .zip(ports.split(' '))
                    .map(|(name, port)| format!("{name}={port}"))
                    .collect();
                return Ok(server);
            }
            server.log.push(line);
        }
        bail!("the server does not listen: {}", server.log.join("; "))
    }

    /// Waits for its end, if it has been told to end. What was wrong with it.
    fn end(&mut self, was_told: bool) -> Result<Vec<String>> {
        let since = Instant::now();
        let mut ended = self.process.ended()?;
        while was_told && ended.is_none() && since.elapsed() < END_LIMIT {
            self.log.extend(self.process.line(TICK).ok().flatten());
            ended = self.process.ended()?;
        }
        self.process.kill();
        while let Ok(Some(line)) = self.process.line(TICK) {
            self.log.push(line);
        }
        let mut problems = scan::scan(&self.log).problems;
        match ended {
            Some(status) if !status.success() => problems.push(describe(status)),
            None if was_told => problems.push("it did not end and has been killed".to_owned()),
            _ => {}
        }
        Ok(problems)
    }
}
