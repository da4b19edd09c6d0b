//! The editor tests: plugins of `tests/editor` in a real editor, without a window.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::scenes::{self, Run};
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Echo, Stderr};
use crate::project;
use crate::report::{Tally, Verdict};
use crate::workspace::Workspace;

const PROJECT: &str = "tests/editor";
/// What its scripts use.
const SUPPORT: &str = "tests/engine/support";
const LIMIT: Duration = Duration::from_secs(120);

/// Plays them in a copy of the project: an editor writes into it, and the library is replaced.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Skipped("it reads Linux's lists of descriptors and memory".to_owned()));
    }
    let library = library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let folder = workspace.target.join("editor");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("failed to remove the last copy")?;
    }
    project::copy(&workspace.root.join(PROJECT), &folder)?;
    project::copy(&workspace.root.join(SUPPORT), &folder.join("support"))?;
    let addon = folder.join("addons/mio_websocket");
    let bin = addon.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("failed to create {}", bin.display()))?;
    for entry in fs::read_dir(workspace.addon()).context("failed to read the addon")? {
        let file = entry.context("failed to read the addon")?;
        if file.path().is_file() {
            fs::copy(file.path(), addon.join(file.file_name()))
                .context("failed to copy the addon")?;
        }
    }
    let name = library.file_name().context("the library has no name")?;
    fs::copy(&library, bin.join(name)).context("failed to copy the library")?;
    project::prepare(workspace, &engine, &folder)?;

    let started = Instant::now();
    let mut command = engine::headless(&engine, &folder, workspace)?;
    command.args(["--editor", "--", "reload"]);
    let outcome = process::run("editor", command, LIMIT, Stderr::Merged, Echo::Silent)?;
    let run = Run::new(outcome, started.elapsed());
    Ok(Verdict::Counted(Tally::one(scenes::tell("reload", Ok(run)))))
}
