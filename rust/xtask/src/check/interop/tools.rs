//! Other people's programs: where they are on this machine, and what they need installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Echo, Stderr};
use crate::workspace::Workspace;

/// For downloads of a megabyte or two.
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);
/// Holds what was asked for when an installation was done.
const STAMP: &str = "installed";
const QUESTION_LIMIT: Duration = Duration::from_secs(20);

/// What there is; an error says what is missing, and how to get it.
pub(in crate::check) struct Tools {
    /// Python itself, for scripts that need no more than its own library.
    pub(super) python: Result<PathBuf>,
    /// Python with the packages of the scripts.
    pub(in crate::check) python_packages: Result<PathBuf>,
    /// Node, and the folder with the scripts and their packages.
    pub(super) node: Result<(PathBuf, PathBuf)>,
    /// OpenSSL's command-line tool.
    pub(super) openssl: Result<PathBuf>,
    /// promtool and Prometheus itself.
    pub(super) prometheus: Result<(PathBuf, PathBuf)>,
    /// Chromium, beside the tool that tells it of certificates.
    pub(super) chromium: Result<PathBuf>,
}

impl Tools {
    /// Looks for them and installs what they need below `folder`, unless it is there.
    pub(in crate::check) fn find(workspace: &Workspace, folder: &Path) -> Self {
        let scripts = workspace.root.join(super::SCRIPTS);
        let python = || {
            let python = program("python3", "python3")?;
            let question = "import sys; sys.exit(sys.version_info < (3, 11))";
            succeeds(&python, &["-c", question]).context("Python 3.11 or newer is needed")?;
            Ok(python)
        };
        Self {
            python: python(),
            python_packages: python()
                .and_then(|python| packages(&python, &scripts.join("python"), folder)),
            node: modules(&scripts.join("node"), folder),
            openssl: program("openssl", "openssl"),
            prometheus: program("promtool", "prometheus")
                .and_then(|promtool| Ok((promtool, program("prometheus", "prometheus")?))),
            chromium: program("chromium", "chromium").and_then(|chromium| {
                program("certutil", "libnss3-tools")?;
                Ok(chromium)
            }),
        }
    }
}

/// A program on PATH, or the name of Debian's package that has it.
pub(in crate::check) fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path)
        .map(|folder| folder.join(&file))
        .find(|program| program.is_file())
        .with_context(|| format!("there is no {name} (Debian's package {package})"))
}

/// The Python of an environment in which the packages are installed that `scripts` ask for.
fn packages(python: &Path, scripts: &Path, folder: &Path) -> Result<PathBuf> {
    let requirements = scripts.join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    let environment = folder.join("python");
    let own = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if !own.exists() {
        // The Python that it was made with has gone.
        fs::remove_file(environment.join(STAMP)).ok();
    }
    install(&environment, &wanted, || {
        eprintln!("interop: installing Python packages");
        let mut command = Command::new(python);
        command.args(["-m", "venv"]).arg(&environment);
        finish(command).context("python3 -m venv failed (Debian's package python3-venv)")?;
        let mut command = Command::new(&own);
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        command.arg("--requirement").arg(&requirements);
        finish(command).context("pip install failed")
    })?;
    Ok(own)
}

/// Node and a copy of `scripts` beside which their packages are installed.
fn modules(scripts: &Path, folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let node = program("node", "nodejs")?;
    let npm = program("npm", "npm")?;
    let wanted = fs::read_to_string(scripts.join("package-lock.json"))?;
    let copy = folder.join("node");
    install(&copy, &wanted, || {
        eprintln!("interop: installing Node packages");
        copy_files(scripts, &copy)?;
        let mut command = Command::new(npm);
        command.args(["ci", "--silent", "--ignore-scripts"]).current_dir(&copy);
        finish(command).context("npm ci failed")
    })?;
    // The scripts may have changed since.
    copy_files(scripts, &copy)?;
    Ok((node, copy))
}

/// Makes `folder` anew, unless it was made for the same `wanted`.
fn install(folder: &Path, wanted: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    make()?;
    fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("failed to create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let path = entry?.path();
        // Somebody may have tried the scripts where they are.
        let Some(name) = path.file_name().filter(|name| *name != "node_modules") else {
            continue;
        };
        let copy = to.join(name);
        if path.is_dir() {
            copy_files(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).with_context(|| format!("failed to copy {}", path.display()))?;
        }
    }
    Ok(())
}

fn succeeds(program: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments);
    let outcome = process::run("", command, QUESTION_LIMIT, Stderr::Merged, Echo::Silent)?;
    ensure!(outcome.end.success(), "{}", outcome.lines.join("; "));
    Ok(())
}

fn finish(command: Command) -> Result<()> {
    let outcome = process::run("", command, INSTALL_LIMIT, Stderr::Merged, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        // The last lines say it best.
        let last = outcome.lines.len().saturating_sub(3);
        ensure!(false, "{problem}: {}", outcome.lines[last..].join("; "));
    }
    Ok(())
}
