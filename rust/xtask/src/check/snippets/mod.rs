//! The GDScript of the documentation, each piece run in an engine: readers copy it.

mod find;
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::find::Snippet;
use super::free_port;
use crate::certificates;
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Echo, Stderr};
use crate::project;
use crate::report::{GREEN, RED, Tally, Verdict, paint};
use crate::scan;
use crate::workspace::Workspace;

/// What runs a snippet; copied into a project that is made for them.
const RUNNER: &str = "tests/snippets";
const LIMIT: Duration = Duration::from_secs(30);

/// What snippets call their certificates, and which of the tests' certificates these are.
const CERTIFICATES: [(&str, &str); 3] =
    [("server.crt", "good.crt"), ("server.key", "good.key"), ("ca.crt", "root.crt")];

/// Runs every snippet; each counts as one case.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    let snippets = find::all(workspace)?;
    ensure!(!snippets.is_empty(), "the documentation has no GDScript");
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let folder = project(workspace)?;
    project::prepare(workspace, &engine, &folder)?;
    let mut tally = Tally::default();
    for snippet in &snippets {
        if let Some(reason) = &snippet.not_run {
            println!("not run: {}: {reason}", snippet.place);
            continue;
        }
        let problems = play(workspace, &engine, &folder, snippet)
            .unwrap_or_else(|error| vec![format!("{error:#}")]);
        tally.add(Tally::one(problems.is_empty()));
        if problems.is_empty() {
            println!("{} {}", paint("ok    ", GREEN), snippet.place);
        } else {
            println!("{} {}", paint("FAILED", RED), snippet.place);
            problems.iter().for_each(|problem| println!("    {problem}"));
        }
    }
    Ok(Verdict::Counted(tally))
}

/// A project with the addon, the runner and the certificates that snippets name.
fn project(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("snippets");
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let runner = workspace.root.join(RUNNER);
    for entry in fs::read_dir(&runner).context("failed to read the runner")? {
        let file = entry.context("failed to read the runner")?.path();
        if let (true, Some(name)) = (file.is_file(), file.file_name()) {
            fs::copy(&file, folder.join(name)).context("failed to copy the runner")?;
        }
    }
    let certificates = certificates::folder(workspace)?;
    for (name, source) in CERTIFICATES {
        fs::copy(certificates.join(source), folder.join(name))
            .with_context(|| format!("failed to copy {source}"))?;
    }
    let addons = folder.join("addons");
    if !addons.exists() {
        project::link(&workspace.root.join("addons"), &addons)?;
    }
    Ok(folder)
}

/// What went wrong.
fn play(
    workspace: &Workspace,
    engine: &Path,
    folder: &Path,
    snippet: &Snippet,
) -> Result<Vec<String>> {
    let text = script::complete(snippet, free_port()?, free_port()?);
    fs::write(folder.join("snippet.gd"), text).context("failed to write the snippet")?;
    let mut command = engine::headless(engine, folder, workspace)?;
    command.args(["--script", "res://run.gd"]);
    let outcome = process::run(&snippet.place, command, LIMIT, Stderr::Merged, Echo::Silent)?;
    let mut lines = outcome.lines;
    lines.extend(snippet.errors.iter().map(|error| format!("EXPECT_ERROR {error}")));
    let findings = scan::scan(&lines);
    let mut problems = findings.problems;
    problems.extend(outcome.end.problem());
    if findings.passes == 0 {
        problems.push("it did not run to its end".to_owned());
    }
    Ok(problems)
}
