//! What all measurements share: the engine, a project with the library, the clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::trial::Count;
use crate::certificates;
use crate::engine;
use crate::library::{self, BUILD_LIMIT, Profile};
use crate::process::{self, Echo, Stderr};
use crate::project;
use crate::workspace::Workspace;

const LIBRARY: &str = "mio_websocket";
const CLIENTS: &str = "mio_websocket_bench";
const NULL_PEER: &str = "mio_websocket_null_peer";
const EXTENSION: &str = "mio_websocket.gdextension";
/// Part of the project.
const NULL_EXTENSION: &str = "null_peer.gdextension";

/// Everything that is ready to be measured.
pub(crate) struct Stage<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) engine: PathBuf,
    /// The project that the servers run.
    pub(crate) project: PathBuf,
    /// The program that plays the clients.
    pub(crate) clients: PathBuf,
    /// Where certificates for the servers are.
    pub(crate) certificates: PathBuf,
    /// What can be counted.
    pub(crate) counts: Vec<Count>,
}

impl<'a> Stage<'a> {
    /// Builds what is needed. `name` is that of the project's folder among what is built; `counts`
    /// says whether to look for tools that count.
    pub(crate) fn prepare(
        workspace: &'a Workspace,
        name: &str,
        profile: Profile,
        counts: bool,
    ) -> Result<Self> {
        let library = library::build(workspace, profile)?;
        let clients = built(&build(workspace, profile, &[CLIENTS])?, CLIENTS)?;
        // By itself it would get other features of what it shares with the library, and the engine's
        // binding would be compiled once more.
        let null_peer = built(&build(workspace, profile, &[LIBRARY, NULL_PEER])?, NULL_PEER)?;
        let engine = engine::find(workspace)?;
        let project = workspace.target.join(name);
        // A project of its own: the engines must not find the library that tests load.
        project::copy(&workspace.root.join("tests/bench"), &project)?;
        add_extension(&workspace.addon(), &library, &project)?;
        add_library(&null_peer, &project)?;
        list_extensions(&project)?;
        let counts = if counts { tools() } else { Vec::new() };
        let certificates = certificates::folder(workspace)?;
        Ok(Self { workspace, engine, project, clients, certificates, counts })
    }
}

/// Builds packages together. What cargo says of it.
fn build(workspace: &Workspace, profile: Profile, packages: &[&str]) -> Result<Vec<String>> {
    let mut command = workspace.cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    let outcome = process::run("build", command, BUILD_LIMIT, Stderr::Inherited, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        bail!("cargo build of {}: {problem}", packages.join(" and "));
    }
    Ok(outcome.lines)
}

/// What cargo says that it has built of a package.
fn built(lines: &[String], package: &str) -> Result<PathBuf> {
    let path = lines.iter().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_artifact =
            message["reason"] == "compiler-artifact" && message["target"]["name"] == package;
        let files = message["filenames"].as_array().filter(|_| is_artifact)?;
        files.first()?.as_str().map(PathBuf::from)
    });
    path.with_context(|| format!("cargo built no {package}"))
}

/// The engine is an editor, which loads what is named for debug builds: here that may be the library
/// which games ship.
fn add_extension(addon: &Path, library: &Path, project: &Path) -> Result<()> {
    let path = addon.join(EXTENSION);
    let text =
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let head = text.split("[libraries]").next().unwrap_or_default();
    // Loading it again while an engine runs is for editors.
    let head = head.replace("reloadable = true", "reloadable = false");
    let file = add_library(library, project)?;
    let os = std::env::consts::OS;
    fs::write(project.join(EXTENSION), format!("{head}[libraries]\n\n{os}.debug = \"{file}\"\n"))
        .context("failed to write the extension's file")
}

/// Copies a library into the project. Its name there.
fn add_library(library: &Path, project: &Path) -> Result<String> {
    let file = library.file_name().context("the library has no name")?.to_string_lossy();
    fs::copy(library, project.join(&*file)).context("failed to copy a library")?;
    Ok(file.into_owned())
}

/// The engine loads no extension that is not in its list.
fn list_extensions(project: &Path) -> Result<()> {
    fs::create_dir_all(project.join(".godot")).context("failed to create the engine's folder")?;
    let list = format!("res://{EXTENSION}\nres://{NULL_EXTENSION}\n");
    fs::write(project.join(".godot/extension_list.cfg"), list)
        .context("failed to write the engine's list of extensions")
}

/// What the machine has the tools for.
fn tools() -> Vec<Count> {
    let works = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let mut counts = Vec::new();
    if works("strace", &["-V"]).is_some() {
        counts.push(Count::Calls);
    } else {
        eprintln!("system calls are not counted: there is no strace");
    }
    // In a virtual machine the processor may not count.
    if works("perf", &["stat", "-x", ",", "-e", "instructions", "true"])
        .is_some_and(|text| !text.contains("<not"))
    {
        counts.push(Count::Instructions);
    } else {
        eprintln!("instructions are not counted: perf is missing or cannot do it here");
    }
    counts
}
