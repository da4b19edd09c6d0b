//! What the suite says of its cases, and what it is expected to say.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::report::Tally;

const FILE: &str = "expected.json";
/// Sides, as the file calls them.
const SIDES: [&str; 2] = ["client", "server"];
/// What the suite says in words.
const REASONS: [&str; 3] = ["result", "resultClose", "wasNotCleanReason"];

/// The name of a case, such as 6.4.1, in the order of its numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case(Vec<u32>);

/// The suite's two verdicts on a case, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Behavior {
    behavior: String,
    close: String,
}

/// What one run of the suite said.
#[derive(Default)]
pub(super) struct Seen {
    /// The cases that it meant to play.
    planned: Vec<Case>,
    /// Verdict and reason of each that has ended.
    results: BTreeMap<Case, (Behavior, String)>,
}

/// The verdicts that are kept, for each side.
pub(super) struct Expected(BTreeMap<String, BTreeMap<Case, Behavior>>);

/// Reads the lines of JSON among those that the suite printed.
pub(super) fn read(lines: &[String]) -> Seen {
    let mut seen = Seen::default();
    for line in lines {
        let Ok(Value::Object(told)) = serde_json::from_str(line) else { continue };
        if let Some(Value::Array(cases)) = told.get("cases") {
            seen.planned = cases.iter().filter_map(Value::as_str).filter_map(Case::parse).collect();
        }
        let case = told.get("case").and_then(Value::as_str).and_then(Case::parse);
        if let (Some(case), Some(behavior)) = (case, Behavior::read(&told)) {
            let why: Vec<&str> = REASONS
                .iter()
                .filter_map(|name| told.get(*name))
                .filter_map(Value::as_str)
                .collect();
            seen.results.insert(case, (behavior, why.join("; ")));
        }
    }
    seen
}

impl Expected {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not as it should be", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let sides: BTreeMap<String, Map<String, Value>> = serde_json::from_str(text)?;
        let mut expected = Self(BTreeMap::new());
        for (side, cases) in sides {
            let kept = expected.0.entry(side).or_default();
            for (name, told) in cases {
                let case = Case::parse(&name).with_context(|| format!("{name} is no case"))?;
                let behavior = told.as_object().and_then(Behavior::read);
                kept.insert(case, behavior.with_context(|| format!("{name} has no verdicts"))?);
            }
        }
        Ok(expected)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        fs::write(&path, self.to_string())
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// Takes over what has been seen.
    pub(super) fn learn(&mut self, side: &str, seen: &Seen) {
        let kept = self.0.entry(side.to_owned()).or_default();
        for (case, (behavior, _)) in &seen.results {
            kept.insert(case.clone(), behavior.clone());
        }
    }

    /// Counts the cases of which the suite said what is expected, and names the others. In a
    /// `whole` run none that is expected may be missing.
    pub(super) fn compare(&self, side: &str, seen: &Seen, whole: bool) -> (Tally, Vec<String>) {
        let none = BTreeMap::new();
        let kept = self.0.get(side).unwrap_or(&none);
        let mut differences = Vec::new();
        let mut tally = Tally::default();
        for case in &seen.planned {
            let wanted = kept.get(case).map_or_else(|| "nothing".to_owned(), Behavior::to_string);
            match seen.results.get(case) {
                Some((behavior, _)) if kept.get(case) == Some(behavior) => {
                    tally.passed += 1;
                    continue;
                }
                Some((behavior, why)) => {
                    differences.push(format!("{case}: {behavior}, expected {wanted}: {why}"));
                }
                None => differences.push(format!("{case}: no result, expected {wanted}")),
            }
        }
        if whole {
            let missing = kept.keys().filter(|case| !seen.planned.contains(case));
            differences.extend(missing.map(|case| format!("{case}: was not played")));
        }
        if seen.planned.is_empty() {
            differences.push("no case was played".to_owned());
        }
        tally.failed = differences.len();
        (tally, differences)
    }
}

impl fmt::Display for Expected {
    /// A line for each case, so that a difference is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{{")?;
        for (index, side) in SIDES.iter().enumerate() {
            writeln!(f, "  \"{side}\": {{")?;
            let mut cases = self.0.get(*side).into_iter().flatten().peekable();
            while let Some((case, Behavior { behavior, close })) = cases.next() {
                let comma = if cases.peek().is_some() { "," } else { "" };
                writeln!(
                    f,
                    "    \"{case}\": {{\"behavior\": \"{behavior}\", \"behaviorClose\": \"{close}\"}}{comma}"
                )?;
            }
            writeln!(f, "  }}{}", if index + 1 < SIDES.len() { "," } else { "" })?;
        }
        writeln!(f, "}}")
    }
}

impl Case {
    fn parse(name: &str) -> Option<Self> {
        name.split('.').map(|number| number.parse().ok()).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl Behavior {
    fn read(told: &Map<String, Value>) -> Option<Self> {
        let word = |name| told.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { behavior: word("behavior")?, close: word("behaviorClose")? })
    }
}

impl fmt::Display for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (close: {})", self.behavior, self.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "client": {
    "1.1.1": {"behavior": "OK", "behaviorClose": "OK"}
  },
  "server": {
    "2.9": {"behavior": "OK", "behaviorClose": "OK"},
    "2.10": {"behavior": "OK", "behaviorClose": "OK"}
  }
}
"#;

    fn seen(lines: &[&str]) -> Seen {
        read(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    fn result(case: &str, behavior: &str) -> String {
        format!(
            r#"{{"case": "{case}", "behavior": "{behavior}", "behaviorClose": "OK", "result": "x"}}"#
        )
    }

    fn failures(lines: &[&str], whole: bool) -> Vec<String> {
        let expected = Expected::parse(TEXT).expect("valid");
        expected.compare("server", &seen(lines), whole).1
    }

    const PLAN: &str = r#"{"cases": ["2.9", "2.10"]}"#;

    #[test]
    fn file_stays_as_it_is_when_written_again() {
        assert_eq!(Expected::parse(TEXT).expect("valid").to_string(), TEXT);
    }

    #[test]
    fn expected_results_pass() {
        let expected = Expected::parse(TEXT).expect("valid");
        let (one, two) = (result("2.9", "OK"), result("2.10", "OK"));
        let (tally, _) = expected.compare("server", &seen(&["listening", PLAN, &one, &two]), true);
        assert_eq!(tally, Tally { passed: 2, failed: 0 });
    }

    #[test]
    fn other_result_differs() {
        let (one, two) = (result("2.9", "OK"), result("2.10", "NON-STRICT"));
        let failures = failures(&[PLAN, &one, &two], true);
        assert_eq!(failures.len(), 1);
        assert!(failures[0].starts_with("2.10: NON-STRICT"), "{failures:?}");
    }

    #[test]
    fn case_without_a_result_differs() {
        assert_eq!(failures(&[PLAN, &result("2.9", "OK")], true).len(), 1);
    }

    #[test]
    fn case_that_nobody_expects_differs() {
        let (plan, one) = (r#"{"cases": ["3.1"]}"#, result("3.1", "OK"));
        assert_eq!(failures(&[plan, &one], false).len(), 1);
    }

    #[test]
    fn whole_run_plays_all_that_is_expected() {
        let (plan, one) = (r#"{"cases": ["2.9"]}"#, result("2.9", "OK"));
        assert_eq!(failures(&[plan, &one], false).len(), 0);
        assert_eq!(failures(&[plan, &one], true), ["2.10: was not played"]);
    }

    #[test]
    fn suite_that_plays_nothing_fails() {
        assert_eq!(failures(&["Traceback"], false).len(), 1);
    }

    #[test]
    fn nothing_less_than_strict_is_expected() {
        let kept = include_str!("../../../../tests/autobahn/expected.json");
        let expected = Expected::parse(kept).expect("valid");
        let names: Vec<&String> = expected.0.keys().collect();
        assert_eq!(names, SIDES);
        // For these the suite has no better word.
        let informational = ["7.1.6", "7.13.1", "7.13.2"];
        for (case, kept) in expected.0.values().flatten() {
            let is_ok = kept.behavior == "OK" && kept.close == "OK";
            assert!(is_ok || informational.contains(&case.to_string().as_str()), "{case}: {kept}");
        }
    }
}
