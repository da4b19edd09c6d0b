//! The package as its users meet it: unpacked into a new project, seen by the editor, played, exported,
//! and played again; in emulators too, where they are here.

mod emulated;
mod game;

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use zip::ZipArchive;

use crate::debian;
use crate::engine;
use crate::package::{self, target::Target};
use crate::process::{self, Echo, Stderr};
use crate::report::{GREEN, RED, Tally, Verdict, paint};
use crate::scan;
use crate::workspace::Workspace;

use self::game::Game;

/// Starting an engine and playing takes seconds, in an emulator a minute.
const LIMIT: Duration = Duration::from_secs(300);

/// The check of `cargo xtask test`: a package for this machine.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    if let Some(reason) = package::lacks(workspace) {
        return Ok(Verdict::Skipped(reason));
    }
    let archive = package::for_host(workspace)?;
    let target = Target::host().context("a package for no system")?;
    Ok(Verdict::Counted(run(workspace, &archive, &[target])?))
}

/// Runs all that can be run on this machine of an archive that holds libraries for `targets`.
pub(crate) fn run(workspace: &Workspace, archive: &Path, targets: &[Target]) -> Result<Tally> {
    let game = Game::unpack(workspace, archive)?;
    let mut tally = Tally::default();
    let mut case = |name: &str, outcome: Result<Played>| match outcome {
        Ok(Played::Well(passes)) => {
            tally.add(Tally::one(true));
            println!("{} {name} ({passes} passes)", paint("ok    ", GREEN));
        }
        Ok(Played::Not(reason)) => println!("SKIPPED {name}: {reason}"),
        Err(error) => {
            tally.add(Tally::one(false));
            println!("{} {name}: {error:#}", paint("FAILED", RED));
        }
    };
    case("git archive holds only what users need", archive_of_git(workspace));
    let host = Target::host();
    if host.is_some_and(|host| targets.contains(&host)) {
        let engine = engine::find(workspace)?;
        case("a new project finds the addon", game.import(&engine));
        case("it plays in the editor's engine", game.play(&engine));
        case("it plays in an exported game", game.export_and_play(&engine));
    }
    for target in targets.iter().filter(|target| Some(**target) != host) {
        let name = format!("{} in an emulator", target.name());
        case(&name, emulated::play(&game, *target));
    }
    Ok(tally)
}

/// How a case went, if nothing failed.
enum Played {
    /// With so many passes.
    Well(usize),
    /// It cannot be played here, and why.
    Not(String),
}

/// Runs `command`, which prints PASS and FAIL lines if it is a `game`; an error with its whole log
/// if anything in that is a failure.
fn judge(name: &str, command: Command, game: bool) -> Result<Played> {
    let outcome = process::run(name, command, LIMIT, Stderr::Merged, Echo::Silent)?;
    let findings = scan::scan(&outcome.lines);
    let mut problems = findings.problems;
    problems.extend(outcome.end.problem());
    if game && findings.passes == 0 {
        problems.push("it printed no PASS line".to_owned());
    }
    ensure!(
        problems.is_empty(),
        "{}\n---- log\n{}\n---- end",
        problems.join("; "),
        outcome.lines.join("\n")
    );
    Ok(Played::Well(findings.passes))
}

/// What an archive of the repository holds, without what `.gitattributes` leaves out.
fn archive_of_git(workspace: &Workspace) -> Result<Played> {
    const FOR_USERS: [&str; 4] = ["CHANGELOG.md", "LICENSE", "README.md", "addons"];
    let mut command = Command::new("git");
    command.args(["archive", "--worktree-attributes", "--format=zip", "HEAD"]);
    let output = match command.current_dir(&workspace.root).output() {
        Ok(output) if output.status.success() => output.stdout,
        _ => return Ok(Played::Not("this is no clone, or there is no git".to_owned())),
    };
    let archive = ZipArchive::new(Cursor::new(output)).context("git made no archive")?;
    let mut tops = BTreeSet::new();
    for name in archive.file_names() {
        tops.extend(name?.split('/').next().map(str::to_owned));
    }
    ensure!(tops.iter().eq(FOR_USERS.iter()), "there are {tops:?}");
    Ok(Played::Well(tops.len()))
}

/// Debian's engine with what belongs to it, if that is the engine in use.
fn debians(workspace: &Workspace, engine: &Path) -> Option<PathBuf> {
    let folder = debian::folder(workspace);
    (debian::is_here() && engine == folder.join("godot")).then_some(folder)
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    fs::write(path, content).with_context(|| format!("failed to write {}", path.display()))
}
