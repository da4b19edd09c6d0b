//! Other servers beside the classes, for the echo over ws: what is possible at all, and what others
//! do. They are built or installed under the target folder where that is possible.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::stage::Stage;
use super::subject::Subject;
use crate::process::{self, Echo, Stderr};

const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Gets an anchor ready, from the folder with its sources into one for what is built.
type Prepare = fn(&Stage<'_>, &Path, &Path) -> Result<Subject>;

/// Those that can be measured here. Why others cannot is printed.
pub(crate) fn prepare(stage: &Stage<'_>) -> Vec<Subject> {
    let sources = stage.workspace.root.join("rust/bench/anchors");
    let folder = stage.workspace.target.join("bench-anchors");
    let floor =
        Subject::program("floor (bare mio)", &stage.clients, &["serve=floor", "port={port}"]);
    let mut anchors = vec![floor];
    let others: [(&str, Prepare); 3] = [
        ("uWebSockets (socketify)", socketify),
        ("Node ws", node),
        ("tokio-tungstenite", tokio_tungstenite),
    ];
    for (name, prepare) in others {
        match fs::create_dir_all(&folder)
            .context("failed to create a folder")
            .and_then(|()| prepare(stage, &sources, &folder))
        {
            Ok(anchor) => anchors.push(anchor),
            Err(error) => println!("{name}: not measured: {error:#}"),
        }
    }
    anchors
}

fn socketify(_stage: &Stage<'_>, sources: &Path, folder: &Path) -> Result<Subject> {
    let environment = folder.join("python");
    let python = environment.join("bin/python3");
    if !is_installed(&python, &["-c", "import socketify"]) {
        install(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let pip = ["-m", "pip", "install", "--quiet", "socketify==0.0.31"];
        install(Command::new(&python).args(pip))?;
    }
    if !is_installed(&python, &["-c", "import socketify"]) {
        bail!("it is installed and does not load; it needs libuv (Debian's package libuv1)");
    }
    let script = sources.join("socketify_echo.py");
    Ok(Subject::program("uWebSockets (socketify)", python, &[&text(&script), "{port}"]))
}

fn node(_stage: &Stage<'_>, sources: &Path, folder: &Path) -> Result<Subject> {
    // Node looks for packages beside the script.
    let script = folder.join("node/ws_echo.js");
    fs::create_dir_all(folder.join("node")).context("failed to create a folder")?;
    fs::copy(sources.join("ws_echo.js"), &script).context("failed to copy a script")?;
    if !folder.join("node/node_modules/ws").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "ws@8"]).arg("--prefix");
        install(npm.arg(folder.join("node")))?;
    }
    Ok(Subject::program("Node ws", "node", &[&text(&script), "{port}"]))
}

fn tokio_tungstenite(stage: &Stage<'_>, sources: &Path, folder: &Path) -> Result<Subject> {
    let target = folder.join("tokio_tungstenite");
    let mut cargo = stage.workspace.cargo();
    cargo.args(["build", "--quiet", "--release", "--manifest-path"]);
    cargo.arg(sources.join("tokio_tungstenite/Cargo.toml")).arg("--target-dir").arg(&target);
    install(&mut cargo)?;
    let program = target.join("release/tokio_tungstenite_echo");
    Ok(Subject::program("tokio-tungstenite", program, &["{port}"]))
}

fn is_installed(program: &PathBuf, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Runs a command that installs something.
fn install(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let command = std::mem::replace(command, Command::new(""));
    let outcome = process::run(&name, command, INSTALL_LIMIT, Stderr::Merged, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        bail!("{name}: {problem}: {}", outcome.lines.last().map_or("", String::as_str));
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
