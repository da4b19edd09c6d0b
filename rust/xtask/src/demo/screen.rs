//! The game on a screen: the user's own, or one that nobody sees.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::debian;
use crate::engine;
use crate::process::{self, Echo, Process, Stderr};
use crate::project;
use crate::scan;
use crate::workspace::Workspace;

use super::play::Actor;

const BOTS: usize = 30;
const SIZE: &str = "1280x720";
/// Pictures are drawn by the processor.
const SHOTS_LIMIT: Duration = Duration::from_secs(10 * 60);
const SCREEN_LIMIT: Duration = Duration::from_secs(10);
/// A day: whoever plays ends the game.
const WINDOW_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Plays until the window is closed. Whether the game ended well.
pub(super) fn window(workspace: &Workspace, engine: &Path) -> Result<bool> {
    let mut command = on_screen(workspace, engine)?;
    command.args(["--resolution", SIZE]);
    // Without a sign of life now and then: whoever plays sees it.
    let print = |line: &str| println!("{line}");
    let outcome = process::follow(None, command, WINDOW_LIMIT, Stderr::Inherited, print)?;
    Ok(outcome.end.success())
}

/// Has the game play by itself and keep pictures. Whether it did without an error.
pub(super) fn shots(workspace: &Workspace, engine: &Path) -> Result<bool> {
    let folder = workspace.target.join("shots");
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let screen = Screen::start()?;
    let game = workspace.root.join("godot_project");
    let mut command = on_screen(workspace, engine)?;

    // In other processes, which the slow drawing of this one does not keep waiting.
    let mut server = engine::headless(engine, &game, workspace)?;
    server.args(["--", "--server", "--port", "0", "--bind", "127.0.0.1"]);
    let mut server = Actor::serve("server", server, &workspace.target)?;
    let port = server.port()?.context("the server does not listen")?;
    let url = format!("ws://127.0.0.1:{port}");
    let mut bots = engine::headless(engine, &game, workspace)?;
    bots.args(["--", "--bot", "--url", &url, "--seconds", "600", "--count", &BOTS.to_string()]);
    let _bots = Process::start(bots, Stderr::Merged).context("failed to start bots")?;

    command.env("DISPLAY", &screen.display).env("LIBGL_ALWAYS_SOFTWARE", "1");
    command.args(["--resolution", SIZE, "--rendering-driver", "opengl3"]);
    command.args(["--audio-driver", "Dummy", "--script", "res://tools/shots.gd", "--"]);
    command.arg("--folder").arg(&folder);
    command.args(["--url", &url, "--players", &(BOTS + 1).to_string()]);
    let outcome = process::run("shots", command, SHOTS_LIMIT, Stderr::Merged, Echo::Live)?;
    let mut problems = scan::scan(&outcome.lines).problems;
    problems.extend(outcome.end.problem());
    for problem in &problems {
        println!("shots: {problem}");
    }
    Ok(problems.is_empty())
}

/// A command that runs the game with a window.
fn on_screen(workspace: &Workspace, engine: &Path) -> Result<Command> {
    let folder = workspace.root.join("godot_project");
    project::prepare(workspace, engine, &folder)?;
    let mut command = engine::windowed(engine, &folder, workspace)?;
    if engine.starts_with(debian::folder(workspace)) {
        debian::add_graphics(workspace, &mut command)?;
    }
    Ok(command)
}

/// An X server without a screen, on a display that is free.
struct Screen {
    display: String,
    _process: Process,
}

impl Screen {
    fn start() -> Result<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", &format!("{SIZE}x24")]);
        let mut process = Process::start(command, Stderr::Merged)
            .context("pictures need Xvfb (Debian's package xvfb)")?;
        let since = Instant::now();
        let mut said = Vec::new();
        while since.elapsed() < SCREEN_LIMIT && process.ended()?.is_none() {
            let Ok(Some(line)) = process.line(SCREEN_LIMIT) else { break };
            // The number alone; warnings may come before it.
            if line.parse::<u16>().is_ok() {
                return Ok(Self { display: format!(":{line}"), _process: process });
            }
            said.push(line);
        }
        bail!("Xvfb did not start\n{}", said.join("\n"));
    }
}
