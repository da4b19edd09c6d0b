//! `cargo xtask contract`: an outside script compares the addon with the built-in class.
//!
//! The script prints every difference as `DIFF<TAB>case` or `MISSING<TAB>case`, under a heading
//! `== …` for each pairing of server and client, and last `contract: N passed, N failed`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, absolute};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Echo, Stderr};
use crate::report::{Report, Tally, Verdict};
use crate::workspace::Workspace;

const CLASS: &str = "MioWebSocketMultiplayerPeer";
/// The groups of cases that must pass; the list only grows.
const GROUPS: &str = "tests/contract/groups.txt";
/// The cases of those groups that are known not to pass yet.
const NOT_YET: &str = "tests/contract/not_yet.txt";
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// Runs `script` on the addon and prints the account. Whether nothing failed that is not known.
pub(crate) fn run(workspace: &Workspace, script: &Path, groups: &[String]) -> Result<bool> {
    let script = absolute(script).context("failed to find the current folder")?;
    ensure!(script.is_file(), "there is no {}", script.display());
    let all = list(workspace, GROUPS)?;
    ensure!(!all.is_empty(), "{GROUPS} names no group");
    let known = list(workspace, NOT_YET)?;
    let chosen = if groups.is_empty() { &all } else { groups };

    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    println!("groups ({GROUPS}): {}", chosen.join(" "));
    if known.is_empty() {
        println!("not yet ({NOT_YET}): none");
    } else {
        println!("not yet ({NOT_YET}):");
        known.iter().for_each(|case| println!("  {case}"));
    }

    let started = Instant::now();
    let mut command = Command::new("bash");
    command.arg(&script).arg(engine).arg(workspace.addon()).arg(CLASS).args(chosen);
    command.current_dir(&workspace.root);
    let outcome = process::run("contract", command, LIMIT, Stderr::Merged, Echo::Live)?;
    let seen = read(&outcome.lines);
    let mut tally = match seen.sum {
        Some(sum) => judge(sum, &seen.differing, &known, groups.is_empty()),
        None => {
            let problem = outcome.end.problem().unwrap_or_else(|| "no sum on its last line".into());
            println!("contract: {}: {problem}", script.display());
            Tally::one(false)
        }
    };
    // Late, or killed: what it counted is not all.
    if matches!(outcome.end, process::End::TimedOut(_)) {
        tally.failed += 1;
    }
    let mut report = Report::default();
    report.add("contract", Verdict::Counted(tally), started.elapsed());
    Ok(report.finish())
}

/// What the script printed.
struct Seen {
    /// Cases in the order printed; one that differs in several pairings is there several times.
    differing: Vec<String>,
    sum: Option<Tally>,
}

fn read(lines: &[String]) -> Seen {
    let differing = lines
        .iter()
        .filter_map(|line| line.strip_prefix("DIFF\t").or_else(|| line.strip_prefix("MISSING\t")))
        .filter_map(|rest| rest.split('\t').next())
        .map(|case| case.trim_end().to_owned())
        .collect();
    let sum = lines.last().and_then(|line| {
        let (passed, failed) = line.strip_prefix("contract: ")?.split_once(" passed, ")?;
        let failed = failed.strip_suffix(" failed")?;
        Some(Tally { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
    });
    Seen { differing, sum }
}

/// Takes the known failures out of the sum, and adds those that are known and no longer fail: a
/// list that is longer than the truth hides the next regression. With only a part of the groups
/// (`whole` is false) nothing can be said about the cases of the others.
fn judge(mut sum: Tally, differing: &[String], known: &[String], whole: bool) -> Tally {
    let expected = differing.iter().filter(|case| known.contains(case)).count();
    if expected > 0 {
        println!("contract: {expected} differences are listed as not yet");
    }
    sum.failed = sum.failed.saturating_sub(expected);
    if whole {
        let differing: BTreeSet<&String> = differing.iter().collect();
        for case in known.iter().filter(|case| !differing.contains(case)) {
            println!("contract: {case}: listed but passes; take it out of {NOT_YET}");
            sum.failed += 1;
        }
    }
    sum
}

/// The lines of a list, without comments.
fn list(workspace: &Workspace, path: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace.root.join(path))
        .with_context(|| format!("failed to read {path}"))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn cases(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn differences_and_the_sum_are_read() {
        let seen = read(&lines(
            "== both\nDIFF\tapi.a\n\tbase: 1\n\tgot:  2\nMISSING\tapi.b\tbase value\n\
             == mixed\nDIFF\tapi.a\n\tbase: 1\n\tgot:  2\ncontract: 10 passed, 3 failed",
        ));
        assert_eq!(seen.differing, ["api.a", "api.b", "api.a"]);
        assert_eq!(seen.sum, Some(Tally { passed: 10, failed: 3 }));
    }

    #[test]
    fn sum_must_be_the_last_line() {
        assert_eq!(read(&lines("contract: 1 passed, 0 failed\nkilled")).sum, None);
    }

    #[test]
    fn known_cases_do_not_fail_in_any_pairing() {
        let sum = Tally { passed: 10, failed: 3 };
        let tally = judge(sum, &cases(&["a", "b", "a"]), &cases(&["a"]), true);
        assert_eq!(tally, Tally { passed: 10, failed: 1 });
    }

    #[test]
    fn failure_without_a_named_case_stays() {
        let tally = judge(Tally { passed: 0, failed: 1 }, &[], &[], true);
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn listed_case_that_passes_is_a_failure() {
        let sum = Tally { passed: 10, failed: 0 };
        assert_eq!(judge(sum, &[], &cases(&["a"]), true).failed, 1);
        assert_eq!(judge(sum, &[], &cases(&["a"]), false).failed, 0);
    }
}
