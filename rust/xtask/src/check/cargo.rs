//! The checks that cargo does.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::library::BUILD_LIMIT;
use crate::process::{self, Echo, Outcome, Stderr};
use crate::report::{Tally, Verdict};
use crate::workspace::Workspace;

/// Compiling included; a test that hangs ends here.
const TEST_LIMIT: Duration = Duration::from_secs(20 * 60);

pub(super) fn fmt(workspace: &Workspace) -> Result<Verdict> {
    let mut command = workspace.cargo();
    command.args(["fmt", "--all", "--check"]);
    single("fmt", command)
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Verdict> {
    let mut command = workspace.cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    single("clippy", command)
}

pub(super) fn docs(workspace: &Workspace) -> Result<Verdict> {
    let mut command = workspace.cargo();
    command.args(["doc", "--package", "mio_websocket_core", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-Dwarnings");
    single("docs", command)
}

/// Licences, doubled crates and where crates come from. Advisories need a database from the
/// network and are left to a scheduled run.
pub(super) fn deny(workspace: &Workspace) -> Result<Verdict> {
    let mut version = workspace.cargo();
    version.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        let how = "cargo-deny is not installed (cargo install --locked cargo-deny)";
        return Ok(Verdict::Skipped(how.to_owned()));
    }
    let mut command = workspace.cargo();
    command.args(["deny", "--locked", "check", "licenses", "bans", "sources"]);
    single("deny", command)
}

/// The tests that need no engine: each counts.
pub(super) fn core(workspace: &Workspace) -> Result<Verdict> {
    let mut command = workspace.cargo();
    // All of them, even after one crate's have failed.
    command.args(["test", "--locked", "--no-fail-fast"]);
    for package in [
        "mio_websocket_core",
        "mio_websocket_fuzz",
        "mio_websocket_bench",
        "mio_websocket_null_peer",
        "xtask",
    ] {
        command.args(["--package", package]);
    }
    let outcome = run("core", command, TEST_LIMIT)?;
    let mut tally = count(&outcome.lines);
    if let Some(problem) = outcome.end.problem()
        && tally.failed == 0
    {
        println!("core: cargo test: {problem}");
        tally.failed = 1;
    } else if tally == Tally::default() {
        println!("core: cargo test ran no test");
        tally.failed = 1;
    }
    Ok(Verdict::Counted(tally))
}

/// The sum of all lines like `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
fn count(lines: &[String]) -> Tally {
    let mut tally = Tally::default();
    for line in lines {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|result| result.split_once(". "))
        else {
            continue;
        };
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((number, "passed")) => tally.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => tally.failed += number.parse().unwrap_or(0),
                _ => (),
            }
        }
    }
    tally
}

/// A command that is one case: its exit code says whether it passed.
fn single(name: &str, command: Command) -> Result<Verdict> {
    let outcome = run(name, command, BUILD_LIMIT)?;
    if let Some(problem) = outcome.end.problem() {
        println!("{name}: {problem}");
    }
    Ok(Verdict::Counted(Tally::one(outcome.end.success())))
}

fn run(name: &str, command: Command, limit: Duration) -> Result<Outcome> {
    process::run(name, command, limit, Stderr::Inherited, Echo::Live)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added() {
        let lines = [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test x ... FAILED",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        let tally = count(&lines.map(str::to_owned));
        assert_eq!(tally, Tally { passed: 14, failed: 3 });
    }
}
