//! The demo: a headless server and five clients, each a process of its own, playing the project.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::engine;
use crate::library::{self, Profile};
use crate::process::{Process, Stderr, describe};
use crate::project;
use crate::report::{GREEN, PALETTE, RED, paint};
use crate::scan;
use crate::workspace::Workspace;

/// From the server's start to the last process's end.
const LIMIT: Duration = Duration::from_secs(50);
/// For the server to listen; starting an engine takes a second or two.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(10);
const LINES_AT_ONCE: usize = 100;
/// Starts of lines with which every engine greets.
const GREETINGS: [&str; 2] = ["Godot Engine v", "Initialize godot-rust"];

const OURS: &str = "MioWebSocketMultiplayerPeer";
const BUILT_IN: &str = "WebSocketMultiplayerPeer";
/// Name, class and role of each client.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("ada", OURS, "stay"),
    ("bob", OURS, "leave"),
    ("cyd", OURS, "kicked"),
    ("dan", BUILT_IN, "stay"),
    ("eve", BUILT_IN, "stay"),
];

/// Builds the library, gets an engine and plays. Whether all happened that should have.
pub(crate) fn play(workspace: &Workspace) -> Result<bool> {
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let folder = workspace.root.join("godot_project");
    project::prepare(workspace, &engine, &folder)?;
    let port_file = workspace.target.join(format!("demo-port-{}", std::process::id()));

    let started = Instant::now();
    let played = perform(workspace, &engine, &folder, &port_file, started);
    fs::remove_file(&port_file).ok();
    let problems = played?;
    let seconds = started.elapsed().as_secs_f32();
    if problems.is_empty() {
        let word = paint("demo: ok", GREEN);
        println!(
            "{word}: a server and {} clients did all they should in {seconds:.1} s",
            CLIENTS.len()
        );
        return Ok(true);
    }
    println!("{} after {seconds:.1} s: {}", paint("demo: FAILED", RED), problems.join("; "));
    Ok(false)
}

fn perform(
    workspace: &Workspace,
    engine: &Path,
    folder: &Path,
    port_file: &Path,
    started: Instant,
) -> Result<Vec<String>> {
    // A leftover of an earlier process with our id would name a wrong port.
    fs::remove_file(port_file).ok();
    let mut command = engine::headless(engine, folder, workspace)?;
    command.args(["--script", "res://demo/headless/server.gd", "--", "--port=0"]);
    command.arg(format!("--port-file={}", port_file.display()));
    command.arg(format!("--class={OURS}"));
    command.arg(format!("--clients={}", CLIENTS.len()));
    let mut actors = vec![Actor::start("server", PALETTE[0], command)?];

    let Some(port) = listening_port(port_file, &mut actors[0], started)? else {
        actors[0].finish();
        let mut problems = actors[0].problems();
        problems.push("the server does not listen".to_owned());
        return Ok(problems);
    };
    for (index, (name, class, role)) in CLIENTS.into_iter().enumerate() {
        let mut command = engine::headless(engine, folder, workspace)?;
        command.args(["--script", "res://demo/headless/client.gd", "--"]);
        command.arg(format!("--port={port}"));
        command.arg(format!("--name={name}"));
        command.arg(format!("--class={class}"));
        command.arg(format!("--role={role}"));
        actors.push(Actor::start(name, PALETTE[(index + 1) % PALETTE.len()], command)?);
    }

    while started.elapsed() < LIMIT {
        let mut running = false;
        for actor in &mut actors {
            running |= actor.follow()?;
        }
        if !running {
            break;
        }
    }
    for actor in &mut actors {
        actor.finish();
    }
    Ok(actors.iter().flat_map(Actor::problems).collect())
}

/// Waits for the server to say where it listens; `None` if it ends or takes too long.
fn listening_port(port_file: &Path, server: &mut Actor, started: Instant) -> Result<Option<u16>> {
    let mut before = None;
    while started.elapsed() < LISTEN_LIMIT {
        let running = server.follow()?;
        let now = fs::read_to_string(port_file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|port| *port != 0);
        // Twice the same: not half a number.
        if now.is_some() && now == before {
            return Ok(now);
        }
        before = now;
        if !running {
            break;
        }
    }
    Ok(None)
}

/// One process of the play.
struct Actor {
    name: &'static str,
    color: u8,
    process: Process,
    log: Vec<String>,
    end: Option<ExitStatus>,
    late: bool,
}

impl Actor {
    fn start(name: &'static str, color: u8, command: std::process::Command) -> Result<Self> {
        let process = Process::start(command, Stderr::Merged)
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name, color, process, log: Vec::new(), end: None, late: false })
    }

    /// Prints what it said meanwhile. Whether it is still running.
    fn follow(&mut self) -> Result<bool> {
        // Not all there is: one that never stops talking must not keep us from the others.
        for _ in 0..LINES_AT_ONCE {
            let Ok(Some(line)) = self.process.line(TICK) else {
                break;
            };
            self.say(line);
        }
        if self.end.is_none() {
            self.end = self.process.ended()?;
        }
        Ok(self.end.is_none())
    }

    /// Ends it if it is late, and prints the rest.
    fn finish(&mut self) {
        if self.end.is_none() {
            self.late = true;
            self.process.kill();
        }
        while let Ok(Some(line)) = self.process.line(TICK) {
            self.say(line);
        }
    }

    fn say(&mut self, line: String) {
        let greeting = GREETINGS.iter().any(|start| line.starts_with(start));
        if !greeting && !line.is_empty() {
            println!("{} {line}", paint(&format!("{:>6} |", self.name), self.color));
        }
        self.log.push(line);
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = scan::scan(&self.log).problems;
        if self.late {
            problems.push("was late and has been killed".to_owned());
        } else if let Some(status) = self.end.filter(|status| !status.success()) {
            problems.push(describe(status));
        }
        problems.iter().map(|problem| format!("{}: {problem}", self.name)).collect()
    }
}
