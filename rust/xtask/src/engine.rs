//! Finding a Godot to run things with.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::debian;
use crate::process::{self, Echo, Stderr};
use crate::workspace::Workspace;

/// The tests use what came with this version.
const NEEDED: Version = Version(4, 5);
/// The addon itself loads from this version on; whoever names an engine may try that.
const SUPPORTED: Version = Version(4, 3);

/// Major and minor version of an engine.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Version(u32, u32);

/// The path of a usable engine, after getting one if need be. What happens is told on standard
/// error only.
pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os("GODOT4_BIN").filter(|named| !named.is_empty()) {
        let path = std::path::absolute(&named).context("GODOT4_BIN is not a path")?;
        let version = version(&path).with_context(|| {
            format!("GODOT4_BIN names {}, which is not a working Godot", path.display())
        })?;
        ensure!(
            version >= SUPPORTED,
            "GODOT4_BIN names a Godot {}.{}; needed is {}.{} or newer",
            version.0,
            version.1,
            SUPPORTED.0,
            SUPPORTED.1,
        );
        if version < NEEDED {
            eprintln!(
                "godot: {}.{} is older than the tests were written for ({}.{})",
                version.0, version.1, NEEDED.0, NEEDED.1
            );
        }
        return Ok(path);
    }

    for path in on_path() {
        match version(&path) {
            Ok(version) if version >= NEEDED => return Ok(path),
            Ok(version) => {
                eprintln!("godot: {} is {}.{}, too old", path.display(), version.0, version.1);
            }
            Err(error) => eprintln!("godot: {} does not run: {error:#}", path.display()),
        }
    }

    let advice = format!(
        "install Godot {}.{} or newer (the standard build, not .NET) and put it on PATH as godot, \
         or set GODOT4_BIN to its path",
        NEEDED.0, NEEDED.1
    );
    if !debian::is_here() {
        bail!("no Godot found, and xtask can get one on Debian only: {advice}");
    }
    debian::engine(&debian::folder(workspace))
        .with_context(|| format!("no Godot found, and getting Debian's failed; {advice}"))
}

/// Runs the engine at `path` to see that it works, and which version it is.
pub(crate) fn check(path: &Path) -> Result<()> {
    let version = version(path)?;
    ensure!(version >= NEEDED, "it is version {}.{}", version.0, version.1);
    Ok(())
}

/// Everything on PATH that is called like an engine.
fn on_path() -> Vec<PathBuf> {
    let folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    ["godot4", "godot"]
        .iter()
        .flat_map(|name| {
            let file = format!("{name}{}", env::consts::EXE_SUFFIX);
            folders.iter().map(move |folder| folder.join(&file))
        })
        .filter(|path| path.is_file())
        .collect()
}

fn version(path: &Path) -> Result<Version> {
    let mut command = Command::new(path);
    command.arg("--version");
    let outcome =
        process::run("godot", command, Duration::from_secs(30), Stderr::Merged, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        bail!("--version: {problem}");
    }
    // Warnings may precede the version.
    outcome
        .lines
        .iter()
        .rev()
        .find_map(|line| parse(line))
        .with_context(|| format!("--version printed {:?}", outcome.lines))
}

/// `4.6.3.stable.debian` is (4, 6).
fn parse(line: &str) -> Option<Version> {
    let mut parts = line.trim().split('.');
    Some(Version(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A command that runs the engine on a project, without a window and without touching the user's
/// own Godot settings.
pub(crate) fn headless(engine: &Path, project: &Path, workspace: &Workspace) -> Result<Command> {
    let mut command = windowed(engine, project, workspace)?;
    command.arg("--headless");
    Ok(command)
}

/// As [`headless`], with a window.
pub(crate) fn windowed(engine: &Path, project: &Path, workspace: &Workspace) -> Result<Command> {
    let home = workspace.target.join("godot-home");
    fs::create_dir_all(&home).with_context(|| format!("failed to create {}", home.display()))?;
    let mut command = Command::new(engine);
    command.arg("--path").arg(project);
    for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(variable, &home);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_whole_line() {
        assert_eq!(parse("4.6.3.stable.debian.7d41c59c4"), Some(Version(4, 6)));
        assert_eq!(parse("4.5.stable.official.876b29033\n"), Some(Version(4, 5)));
        assert_eq!(parse("WARNING: x"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version(4, 10) > Version(4, 5));
        assert!(Version(3, 6) < NEEDED);
    }
}
