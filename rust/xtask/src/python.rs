//! Python environments in the target folder, with the packages that a file asks for.

use std::env::{self, consts};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Echo, Stderr};

/// Holds the requirements that an environment was made for; written last.
const STAMP: &str = "installed.txt";
/// The largest package has 100 MB.
const LIMIT: Duration = Duration::from_secs(10 * 60);
/// Names of a Python 3, the likelier first.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// The Python of an environment in which `requirements` (a file, which names all that is needed) are
/// installed, after making it if need be. `name` is what is told then.
pub(crate) fn environment(folder: &Path, requirements: &Path, name: &str) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("failed to read {}", requirements.display()))?;
    let python = programs(folder).join(format!("python{}", consts::EXE_SUFFIX));
    let stamp = folder.join(STAMP);
    // The system's Python, of which the environment is a shell, may have gone since.
    let works = || run(&python, ["--version"]).is_ok();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && works() {
        return Ok(python);
    }

    eprintln!("installing {name}");
    let venv = ["-m", "venv", "--clear"].map(OsStr::new).into_iter().chain([folder.as_ref()]);
    run(&base()?, venv)
        .context("no Python environment can be made (Debian has python3-venv for that)")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
    run(&python, pip.map(OsStr::new).into_iter().chain([requirements.as_ref()]))
        .with_context(|| format!("{name} cannot be installed"))?;
    fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))?;
    Ok(python)
}

/// Where an environment has its programs.
pub(crate) fn programs(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "Scripts" } else { "bin" })
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
