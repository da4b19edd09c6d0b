//! What an export for the web leaves out. There is no template for the web here to run it with: the
//! same files without the library are played by [`super::play::WITHOUT_LIBRARY`].

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::engine;
use crate::process::{self, Echo, Stderr};
use crate::report::{GREEN, RED, paint};
use crate::scan;
use crate::workspace::Workspace;

use super::project::{Peer, Projects};

const LIMIT: Duration = Duration::from_secs(120);
/// Words of the warning about an extension that has no library for the web.
const WARNING: &str = "library found for GDExtension";
/// Part of a name of each library.
const LIBRARY: &str = "libmio_websocket";

/// Whether the preset `Web` of the game packs it without the addon's native files, and so without a
/// warning about them.
pub(super) fn export(workspace: &Workspace, engine: &Path, projects: &Projects) -> Result<bool> {
    let pack = workspace.target.join("demo").join(format!("web-{}.pck", std::process::id()));
    let mut command = engine::headless(engine, projects.folder(Peer::Ours), workspace)?;
    command.args(["--export-pack", "Web"]).arg(&pack);
    let outcome = process::run("export", command, LIMIT, Stderr::Merged, Echo::Silent)?;
    let mut problems = scan::scan(&outcome.lines).problems;
    problems.extend(outcome.end.problem());
    let warnings = outcome.lines.into_iter().filter(|line| line.contains(WARNING));
    problems.extend(warnings);
    let bytes = fs::read(&pack).context("there is no pack")?;
    fs::remove_file(&pack).ok();
    if bytes.windows(LIBRARY.len()).any(|window| window == LIBRARY.as_bytes()) {
        problems.push("the pack holds the addon's native files".to_owned());
    }
    let word = if problems.is_empty() { paint("ok", GREEN) } else { paint("FAILED", RED) };
    println!("demo, web export: {word} {}", problems.join("; "));
    Ok(problems.is_empty())
}
