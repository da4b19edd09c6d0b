//! `cargo xtask contract`: an outside script compares the addon with the built-in class.
//!
//! The script prints every difference as `DIFF<TAB>case` or `MISSING<TAB>case`, under a heading
//! `== …` for each pairing of server and client, and last `contract: N passed, N failed`.

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
/// The cases of those groups that are known not to pass.
const KNOWN: &str = "tests/contract/known.txt";
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// Runs `script` on the addon and prints the account. Whether nothing failed that is not known.
pub(crate) fn run(workspace: &Workspace, script: &Path, groups: &[String]) -> Result<bool> {
    let script = absolute(script).context("failed to find the current folder")?;
    ensure!(script.is_file(), "there is no {}", script.display());
    let all = list(workspace, GROUPS)?;
    ensure!(!all.is_empty(), "{GROUPS} names no group");
    let known: Vec<Difference> = list(workspace, KNOWN)?.iter().map(|line| known(line)).collect();
    let chosen = if groups.is_empty() { &all } else { groups };

    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    println!("groups ({GROUPS}): {}", chosen.join(" "));
    if known.is_empty() {
        println!("known differences ({KNOWN}): none");
    } else {
        println!("known differences ({KNOWN}):");
        known.iter().for_each(|known| println!("  {}", known.case));
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

/// A case that differs from the built-in class.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    case: String,
    /// In a pairing with the built-in class on one side.
    mixed: bool,
}

/// A line of the list of known differences.
fn known(line: &str) -> Difference {
    match line.strip_prefix("mixed ") {
        Some(case) => Difference { case: case.trim().to_owned(), mixed: true },
        None => Difference { case: line.to_owned(), mixed: false },
    }
}

impl Difference {
    /// Whether `other`, which was seen, is this known one. One that is not for mixed pairings alone
    /// is known in all.
    fn covers(&self, other: &Self) -> bool {
        self.case == other.case && (other.mixed || !self.mixed)
    }
}

/// What the script printed.
struct Seen {
    /// In the order printed; a case that differs in several pairings is there several times.
    differing: Vec<Difference>,
    sum: Option<Tally>,
}

fn read(lines: &[String]) -> Seen {
    let mut differing = Vec::new();
    let mut mixed = false;
    for line in lines {
        if let Some(pairing) = line.strip_prefix("== ") {
            mixed = pairing.contains("built-in");
        }
        let rest = line.strip_prefix("DIFF\t").or_else(|| line.strip_prefix("MISSING\t"));
        if let Some(case) = rest.and_then(|rest| rest.split('\t').next()) {
            differing.push(Difference { case: case.trim_end().to_owned(), mixed });
        }
    }
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
fn judge(mut sum: Tally, differing: &[Difference], known: &[Difference], whole: bool) -> Tally {
    let is_known = |seen: &&Difference| known.iter().any(|known| known.covers(seen));
    let expected = differing.iter().filter(is_known).count();
    if expected > 0 {
        println!("contract: {expected} differences are known");
    }
    sum.failed = sum.failed.saturating_sub(expected);
    if whole {
        for known in known.iter().filter(|known| !differing.iter().any(|seen| known.covers(seen))) {
            println!("contract: {}: listed but passes; take it out of {KNOWN}", known.case);
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

    fn cases(mixed: bool, names: &[&str]) -> Vec<Difference> {
        names.iter().map(|name| Difference { case: (*name).to_owned(), mixed }).collect()
    }

    #[test]
    fn differences_and_the_sum_are_read() {
        let seen = read(&lines(
            "== both\nDIFF\tapi.a\n\tbase: 1\n\tgot:  2\nMISSING\tapi.b\tbase value\n\
             == built-in server\nDIFF\tapi.a\n\tbase: 1\n\tgot:  2\ncontract: 10 passed, 3 failed",
        ));
        let mut expected = cases(false, &["api.a", "api.b"]);
        expected.extend(cases(true, &["api.a"]));
        assert_eq!(seen.differing, expected);
        assert_eq!(seen.sum, Some(Tally { passed: 10, failed: 3 }));
    }

    #[test]
    fn sum_must_be_the_last_line() {
        assert_eq!(read(&lines("contract: 1 passed, 0 failed\nkilled")).sum, None);
    }

    #[test]
    fn known_cases_do_not_fail_in_any_pairing() {
        let sum = Tally { passed: 10, failed: 3 };
        let tally = judge(sum, &cases(false, &["a", "b", "a"]), &[known("a")], true);
        assert_eq!(tally, Tally { passed: 10, failed: 1 });
    }

    #[test]
    fn mixed_cases_are_known_in_mixed_pairings_only() {
        let sum = Tally { passed: 10, failed: 1 };
        assert_eq!(judge(sum, &cases(true, &["a"]), &[known("mixed a")], true).failed, 0);
        assert_eq!(judge(sum, &cases(false, &["a"]), &[known("mixed a")], false).failed, 1);
    }

    #[test]
    fn failure_without_a_named_case_stays() {
        let tally = judge(Tally { passed: 0, failed: 1 }, &[], &[], true);
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn listed_case_that_passes_is_a_failure() {
        let sum = Tally { passed: 10, failed: 0 };
        assert_eq!(judge(sum, &[], &[known("a")], true).failed, 1);
        assert_eq!(judge(sum, &[], &[known("a")], false).failed, 0);
    }
}
