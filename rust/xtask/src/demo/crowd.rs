//! A dedicated server and bots from the command line, as the README starts them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::engine;
use crate::process::{self, Echo, Stderr};
use crate::report::{GREEN, RED, paint};
use crate::scan;
use crate::workspace::Workspace;

use super::play::Actor;
use super::project::{Peer, Projects};

const BOTS: usize = 24;
/// How long the bots play; each of them is in after two.
const SECONDS: &str = "6";
const LIMIT: Duration = Duration::from_secs(60);

/// Whether every bot was in, and nothing went wrong on either side.
pub(super) fn play(workspace: &Workspace, engine: &Path, projects: &Projects) -> Result<bool> {
    let folder = projects.folder(Peer::Ours);
    let mut command = engine::headless(engine, folder, workspace)?;
    command.args(["--", "--server", "--port", "0", "--bind", "127.0.0.1"]);
    let mut server = Actor::serve("server", command, &workspace.target)?;
    let port = server.port()?;
    ensure!(port.is_some(), "the server does not listen");

    let mut command = engine::headless(engine, folder, workspace)?;
    let url = format!("ws://127.0.0.1:{}", port.unwrap_or_default());
    command.args(["--", "--bot", "--url", &url, "--seconds", SECONDS]);
    command.args(["--count", &BOTS.to_string(), "--name", "bot"]);
    let bots = process::run("bots", command, LIMIT, Stderr::Merged, Echo::Silent)?;

    let mut problems = scan::scan(&bots.lines).problems;
    problems.extend(bots.end.problem());
    let log = server.end()?;
    problems.extend(scan::scan(log).problems);
    let joined = log.iter().filter(|line| line.starts_with("+ bot ")).count();
    if joined != BOTS {
        problems.push(format!("{joined} of {BOTS} bots joined"));
    }
    let word = if problems.is_empty() { paint("ok", GREEN) } else { paint("FAILED", RED) };
    println!("demo, {BOTS} bots of one process: {word} {}", problems.join("; "));
    Ok(problems.is_empty())
}
