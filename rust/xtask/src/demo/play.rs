//! The game played by a plan: a headless server and five bots, each a process of its own. Who plays
//! what part is here; what is to happen is in `godot_project/check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::engine;
use crate::process::{Process, Stderr, describe};
use crate::report::{GREEN, PALETTE, RED, paint};
use crate::scan;
use crate::workspace::Workspace;

use super::project::Peer::{self, BuiltIn, Ours};
use super::project::Projects;

/// From the server's start to the last process's end.
const LIMIT: Duration = Duration::from_secs(110);
/// For the server to listen; starting an engine takes a second or two.
const LISTEN_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(10);
const LINES_AT_ONCE: usize = 100;
/// Starts of lines with which every engine greets.
const GREETINGS: [&str; 2] = ["Godot Engine v", "Initialize godot-rust"];
/// The engine's class prints this error when it sends to a peer that has just gone, which nobody can
/// know who broadcasts. Ours does not.
const NOISE: &str = "Condition \"ready_state != STATE_OPEN\" is true";

/// The bots and what each of them is to do.
const BOTS: [(&str, &str); 5] =
    [("ada", "stay"), ("bob", "leave"), ("cyd", "kicked"), ("dan", "stay"), ("eve", "stay")];

/// Who plays with which class.
pub(super) struct Cast {
    title: &'static str,
    server: Peer,
    /// In the order of [`BOTS`].
    bots: [Peer; 5],
}

pub(super) const MIXED: Cast =
    Cast { title: "mixed", server: Ours, bots: [Ours, Ours, Ours, BuiltIn, BuiltIn] };
pub(super) const BUILT_IN_SERVER: Cast =
    Cast { title: "built-in server", server: BuiltIn, bots: [Ours, Ours, BuiltIn, Ours, BuiltIn] };
pub(super) const WITHOUT_LIBRARY: Cast =
    Cast { title: "without the library", server: BuiltIn, bots: [BuiltIn; 5] };

/// Whether all happened that should have.
pub(super) fn play(
    workspace: &Workspace,
    engine: &Path,
    projects: &Projects,
    cast: &Cast,
) -> Result<bool> {
    let started = Instant::now();
    let problems = perform(workspace, engine, projects, cast, started)?;
    let seconds = started.elapsed().as_secs_f32();
    let title = cast.title;
    if problems.is_empty() {
        println!(
            "demo, {title}: {}, a server and {} bots did all they should in {seconds:.1} s",
            paint("ok", GREEN),
            BOTS.len()
        );
        return Ok(true);
    }
    println!(
        "demo, {title}: {} after {seconds:.1} s: {}",
        paint("FAILED", RED),
        problems.join("; ")
    );
    Ok(false)
}

fn perform(
    workspace: &Workspace,
    engine: &Path,
    projects: &Projects,
    cast: &Cast,
    started: Instant,
) -> Result<Vec<String>> {
    let count = BOTS.len().to_string();
    let mut command = engine::headless(engine, projects.folder(cast.server), workspace)?;
    command.args(["--", "--server", "--check", "--port", "0", "--bind", "127.0.0.1"]);
    command.args(["--players", &count, "--kick", "cyd"]);
    let mut server = Actor::serve("server", command, &workspace.target)?;
    let Some(port) = server.port()? else {
        server.end()?;
        let mut problems = server.problems();
        problems.push("the server does not listen".to_owned());
        return Ok(problems);
    };

    let mut actors = vec![server];
    for (index, ((name, role), peer)) in BOTS.into_iter().zip(cast.bots).enumerate() {
        let mut command = engine::headless(engine, projects.folder(peer), workspace)?;
        command.args(["--", "--bot", "--check", "--name", name, "--role", role]);
        command.args(["--players", &count, "--class", peer.class()]);
        command.args(["--url", &format!("ws://127.0.0.1:{port}")]);
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
    let peers = [cast.server].into_iter().chain(cast.bots);
    let problems = actors.iter().zip(peers).flat_map(|(actor, peer)| {
        let mut problems = actor.problems();
        problems.retain(|problem| peer == Ours || !problem.contains(NOISE));
        problems
    });
    Ok(problems.collect())
}

/// One process of the play.
pub(super) struct Actor {
    name: &'static str,
    color: u8,
    process: Process,
    /// Into which a server writes where it listens.
    port_file: Option<PathBuf>,
    log: Vec<String>,
    end: Option<ExitStatus>,
    late: bool,
}

impl Actor {
    fn start(name: &'static str, color: u8, command: Command) -> Result<Self> {
        let process = Process::start(command, Stderr::Merged)
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name, color, process, port_file: None, log: Vec::new(), end: None, late: false })
    }

    /// Starts a server, which leaves its port in a file in `folder`.
    pub(super) fn serve(name: &'static str, mut command: Command, folder: &Path) -> Result<Self> {
        let file = folder.join(format!("demo-port-{}", std::process::id()));
        // A leftover of an earlier process with our id would name a wrong port.
        fs::remove_file(&file).ok();
        command.arg("--port-file").arg(&file);
        let mut actor = Self::start(name, PALETTE[0], command)?;
        actor.port_file = Some(file);
        Ok(actor)
    }

    /// Waits for a server to say where it listens; `None` if it ends or takes too long.
    pub(super) fn port(&mut self) -> Result<Option<u16>> {
        let since = Instant::now();
        while since.elapsed() < LISTEN_LIMIT {
            let running = self.follow()?;
            // It is there as a whole or not at all.
            let file = self.port_file.as_deref().and_then(|file| fs::read_to_string(file).ok());
            if let Some(text) = file {
                // Players' port, spectators' port.
                return Ok(text.split(' ').next().and_then(|port| port.parse().ok()));
            }
            if !running {
                break;
            }
        }
        Ok(None)
    }

    /// Tells a server that it is over, waits for its end, and returns all it said.
    pub(super) fn end(&mut self) -> Result<&[String]> {
        self.port_file.take().map(fs::remove_file);
        let since = Instant::now();
        while since.elapsed() < END_LIMIT && self.follow()? {}
        self.finish();
        Ok(&self.log)
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
        let findings = scan::scan(&self.log);
        let mut problems = findings.problems;
        if findings.passes == 0 {
            problems.push("did not play to the end".to_owned());
        }
        if self.late {
            problems.push("was late and has been killed".to_owned());
        } else if let Some(status) = self.end.filter(|status| !status.success()) {
            problems.push(describe(status));
        }
        problems.iter().map(|problem| format!("{}: {problem}", self.name)).collect()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let Some(file) = &self.port_file {
            fs::remove_file(file).ok();
        }
    }
}
