//! The examples of the project, run as a reader would run them: each scene an engine of its own.

mod admission;
mod proxy;
mod status;
mod tls;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::engine;
use crate::library::{self, Profile};
use crate::process::{Process, Stderr, describe};
use crate::project;
use crate::report::{GREEN, RED, Tally, Verdict, paint};
use crate::scan;
use crate::workspace::Workspace;

/// For the next thing to happen; starting an engine takes a second or two.
const LIMIT: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

type Play = fn(&Stage<'_>) -> Result<()>;

/// What is played, each a case.
const PLAYS: [(&str, Play); 6] = [
    ("drain, reconnect", restart),
    ("closing", closing),
    ("admission", admission::admission),
    ("proxy", proxy::proxy),
    ("status", status::status),
    ("tls", tls::tls),
];

/// Error lines of both classes about a server that drains when they come back.
const IN_VAIN: [&str; 3] =
    ["the server's answer cannot be used", "Invalid status code", "Invalid response headers"];

/// Plays all.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let project = workspace.root.join("godot_project");
    project::prepare(workspace, &engine, &project)?;
    let stage = Stage { workspace, engine, project };
    let mut tally = Tally::default();
    for (name, play) in PLAYS {
        let played = play(&stage);
        tally.add(Tally::one(played.is_ok()));
        match played {
            Ok(()) => println!("{} {name}", paint("ok    ", GREEN)),
            Err(error) => println!("{} {name}: {error:#}", paint("FAILED", RED)),
        }
    }
    Ok(Verdict::Counted(tally))
}

/// A server restarts below its players, who come back, and is then closed for good.
fn restart(stage: &Stage<'_>) -> Result<()> {
    let port = lasting_port()?;
    let file = stage.workspace.target.join(format!("stop-{}", std::process::id()));
    let arguments = [
        format!("--port={port}"),
        format!("--stop-file={}", file.display()),
        "--seconds=1".to_owned(),
    ];
    let mut server = stage.start("drain/server", &arguments)?;
    server.says("Listening")?;
    let url = format!("--url=ws://127.0.0.1:{port}");
    let mut clients = Vec::new();
    for class in ["MioWebSocketMultiplayerPeer", "WebSocketMultiplayerPeer"] {
        let class = format!("--class={class}");
        clients.push(stage.start("reconnect/client", &[url.clone(), class])?);
    }
    for client in &mut clients {
        client.says("Connected")?;
    }

    fs::write(&file, "").context("failed to write the stop file")?;
    for client in &mut clients {
        client.says("The server goes down in 1 seconds.")?;
        client.says("Lost: 1001 restart.")?;
        client.says("attempt 2")?;
    }
    server.says("Everybody has gone.")?;
    server.ends(&[])?;

    let last = ["--code=4000".to_owned(), "--reason=closed for good".to_owned()];
    let server = stage.start("drain/server", &[&arguments[..], &last].concat())?;
    for client in &mut clients {
        client.says("Connected")?;
    }
    fs::write(&file, "").context("failed to write the stop file")?;
    for mut client in clients {
        client.says("Not coming back: closed for good.")?;
        client.ends(&IN_VAIN)?;
    }
    server.ends(&[])
}

/// Players who leave, are thrown out, and are not let in.
fn closing(stage: &Stage<'_>) -> Result<()> {
    let mut scene = stage.start("closing/closing", &[])?;
    for line in [
        "The player is ",
        "The server has lost ",
        "The player has lost 1: Banned until Friday (4001).",
        "The player has lost 1: Bedtime (4100).",
        "No connection (upgrade): ",
        "The server says: 404 there is nothing at this path",
        "No connection (upgrade): ",
        ": connection lost (1006).",
    ] {
        scene.says(line)?;
    }
    scene.ends(&IN_VAIN[..1])
}

/// A port that is free, and below those that the system gives to clients, one of which could have
/// it when the server starts again.
fn lasting_port() -> Result<u16> {
    let seed = std::process::id() as u16;
    let ports = (0..1000).map(|step| 20_000 + seed.wrapping_add(step) % 10_000);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(is_free).context("no port is free")
}

struct Stage<'a> {
    workspace: &'a Workspace,
    engine: PathBuf,
    project: PathBuf,
}

impl Stage<'_> {
    /// Starts a scene of the examples.
    fn start(&self, scene: &str, arguments: &[String]) -> Result<Example> {
        let mut command = engine::headless(&self.engine, &self.project, self.workspace)?;
        command.arg(format!("res://examples/{scene}.tscn")).arg("--").args(arguments);
        let process = Process::start(command, Stderr::Merged)?;
        Ok(Example { scene: scene.to_owned(), process, log: Vec::new(), heard: 0 })
    }
}

/// An example that runs.
struct Example {
    scene: String,
    process: Process,
    log: Vec<String>,
    /// Lines up to the last one that was waited for.
    heard: usize,
}

impl Example {
    /// Waits for a line with `text`, behind the one that was waited for last; the line.
    fn says(&mut self, text: &str) -> Result<&str> {
        let since = Instant::now();
        while since.elapsed() < LIMIT {
            if let Some(line) = self.log.get(self.heard) {
                self.heard += 1;
                if line.contains(text) {
                    return Ok(&self.log[self.heard - 1]);
                }
            } else {
                match self.process.line(TICK) {
                    Ok(line) => self.log.extend(line),
                    Err(_) => break,
                }
            }
        }
        bail!("{} did not say {text:?}\n{}", self.scene, self.log.join("\n"));
    }

    /// Ends it. Nothing may have gone wrong until then, and none of `unwanted` may be in its log.
    fn stop(mut self, unwanted: &[&str]) -> Result<()> {
        while let Ok(Some(line)) = self.process.line(TICK) {
            self.log.push(line);
        }
        self.process.kill();
        let mut problems = scan::scan(&self.log).problems;
        let is_told = |line: &&String| unwanted.iter().any(|text| line.contains(text));
        problems.extend(self.log.iter().filter(is_told).map(|line| format!("unwanted: {line}")));
        if !problems.is_empty() {
            bail!("{}: {}\n{}", self.scene, problems.join("; "), self.log.join("\n"));
        }
        Ok(())
    }

    /// Waits for its end, which must be a good one, with no other errors than `allowed`.
    fn ends(mut self, allowed: &[&str]) -> Result<()> {
        let since = Instant::now();
        while let Ok(line) = self.process.line(TICK) {
            self.log.extend(line);
            if since.elapsed() > LIMIT {
                bail!("{} did not end\n{}", self.scene, self.log.join("\n"));
            }
        }
        let mut problems = scan::scan(&self.log).problems;
        problems.retain(|problem| !allowed.iter().any(|part| problem.contains(part)));
        // Its output ends just before it does.
        loop {
            match self.process.ended()? {
                Some(status) if status.success() => break,
                Some(status) => {
                    problems.push(describe(status));
                    break;
                }
                None if since.elapsed() > LIMIT => bail!("{} did not end", self.scene),
                None => std::thread::sleep(TICK),
            }
        }
        if !problems.is_empty() {
            bail!("{}: {}\n{}", self.scene, problems.join("; "), self.log.join("\n"));
        }
        Ok(())
    }
}
