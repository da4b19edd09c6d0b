//! The Python that the suite runs in: an environment of its own in the target folder.

use std::env::{self, consts};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::FOLDER;
use crate::process::{self, Echo, Stderr};
use crate::workspace::Workspace;

/// The packages to install, with their versions.
const REQUIREMENTS: &str = "requirements.txt";
/// Holds the requirements that an environment was made for; written last.
const STAMP: &str = "installed.txt";
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// Names of a Python 3, the likelier first.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// Where all that is made for the suite is kept.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("autobahn")
}

/// The Python of an environment in which the suite is installed, after making it if need be.
pub(super) fn prepare(workspace: &Workspace) -> Result<PathBuf> {
    let requirements = workspace.root.join(FOLDER).join(REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("failed to read {}", requirements.display()))?;
    let environment = folder(workspace).join("venv");
    let python = if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    };
    let stamp = environment.join(STAMP);
    // The system's Python, of which the environment is a shell, may have gone since.
    let works = || run(&python, ["--version"]).is_ok();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && works() {
        return Ok(python);
    }

    eprintln!("installing the Autobahn test suite (a few seconds)");
    let venv = ["-m", "venv", "--clear"].map(OsStr::new).into_iter().chain([environment.as_ref()]);
    run(&base()?, venv)
        .context("no Python environment can be made (Debian has python3-venv for that)")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
    run(&python, pip.map(OsStr::new).into_iter().chain([requirements.as_ref()]))
        .context("the Autobahn test suite cannot be installed")?;
    fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))?;
    Ok(python)
}

/// A Python 3 on PATH.
fn base() -> Result<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    for name in PYTHONS {
        let file = format!("{name}{}", consts::EXE_SUFFIX);
        let found = env::split_paths(&folders).map(|folder| folder.join(&file));
        // Windows has a python.exe that only opens a shop.
        let is_three = |path: &Path| {
            let test = "import sys; sys.exit(sys.version_info < (3,))";
            run(path, ["-c", test]).is_ok()
        };
        if let Some(path) = found.filter(|path| path.is_file()).find(|path| is_three(path)) {
            return Ok(path);
        }
    }
    bail!("there is no Python 3 on PATH");
}

/// Runs `python` to its end; an error with the last it said unless that was a success.
fn run<S: AsRef<OsStr>>(python: &Path, arguments: impl IntoIterator<Item = S>) -> Result<()> {
    let mut command = Command::new(python);
    command.args(arguments);
    let outcome = process::run("python", command, LIMIT, Stderr::Merged, Echo::Silent)?;
    let Some(problem) = outcome.end.problem() else { return Ok(()) };
    let last = outcome.lines.iter().rev().find(|line| !line.trim().is_empty());
    bail!("{problem}: {}", last.map_or("no output", |line| line.trim()));
}
