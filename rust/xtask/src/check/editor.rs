//! The editor tests: projects of `tests/editor`, each with a plugin that tests, in a real editor
//! without a window.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::free_port;
use super::scenes::{self, Run};
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Echo, Stderr};
use crate::project;
use crate::report::{Tally, Verdict};
use crate::workspace::Workspace;

const PROJECTS: &str = "tests/editor";
const NAMES: [&str; 2] = ["reload", "debugger"];
/// What their scripts use.
const SUPPORT: &str = "tests/engine/support";
const LIMIT: Duration = Duration::from_secs(120);

/// Where the editor listens for games, and what starts one: for tests that start games.
const DEBUG_SERVER: &str = "DEBUG_SERVER";
const ENGINE: &str = "ENGINE";

/// Plays them in copies of the projects: an editor writes into them, and the library is replaced.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Skipped("it reads Linux's lists of descriptors and memory".to_owned()));
    }
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let mut tally = Tally::default();
    for name in NAMES {
        tally.add(Tally::one(scenes::tell(name, play(workspace, &engine, name))));
    }
    Ok(Verdict::Counted(tally))
}

fn play(workspace: &Workspace, engine: &Path, name: &str) -> Result<Run> {
    let folder = workspace.target.join("editor").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).context("failed to remove the last copy")?;
    }
    project::copy(&workspace.root.join(PROJECTS).join(name), &folder)?;
    project::copy(&workspace.root.join(SUPPORT), &folder.join("support"))?;
    project::copy(&workspace.addon(), &folder.join("addons/mio_websocket"))?;
    project::prepare(workspace, engine, &folder)?;

    let started = Instant::now();
    let server = format!("tcp://127.0.0.1:{}", free_port()?);
    let mut command = engine::headless(engine, &folder, workspace)?;
    command.arg("--editor").arg("--debug-server").arg(&server).args(["--", "test"]);
    command.env(DEBUG_SERVER, &server).env(ENGINE, engine);
    let outcome = process::run(name, command, LIMIT, Stderr::Merged, Echo::Silent)?;
    Ok(Run::new(outcome, started.elapsed()))
}
