//! Reading the log of an engine: what in it is a failure, whatever the exit code says.
//!
//! Godot goes on after a script error, ends with 0 after a leak, and turns a panic of the library
//! into a line of its log. So the log decides, together with what the script itself printed.

/// What a log says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// `PASS …` lines.
    pub(crate) passes: usize,
    /// Everything that must not be there, or should be and is not.
    pub(crate) problems: Vec<String>,
}

/// What a declaration begins with that allows the errors of a script, in full words: those are the
/// subject of few tests.
const SCRIPT_ERROR: &str = "SCRIPT ERROR: ";
/// Words that are a failure wherever the engine prints them, declared or not.
const NEVER: [&str; 4] = ["SCRIPT ERROR", "Parse Error", "panic", "leaked"];
/// Starts of the engine's error lines.
const ERRORS: [&str; 3] = ["ERROR:", "USER ERROR:", "SHADER ERROR:"];

/// Looks through the lines of one engine process.
///
/// A script reports with `PASS name` and `FAIL name: why`, and declares an error line that belongs
/// to what it does with `EXPECT_ERROR part of the line`; each declared part allows any number of
/// error lines and must match at least one. Where in the log the declaration stands does not
/// matter: the engine writes errors and prints through different buffers.
pub(crate) fn scan<S: AsRef<str>>(lines: &[S]) -> Findings {
    let lines: Vec<String> = lines.iter().map(|line| without_colors(line.as_ref())).collect();
    let mut expected: Vec<(&str, bool)> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("EXPECT_ERROR "))
        .map(|part| (part.trim(), false))
        .collect();

    let mut findings = Findings::default();
    for line in &lines {
        if line.starts_with("PASS ") {
            findings.passes += 1;
        } else if line.starts_with("FAIL ") || line == "FAIL" {
            findings.problems.push(line.clone());
        } else if line.starts_with("EXPECT_ERROR ") {
            // Names an error, and is none.
        } else if is_problem(line, &mut expected) {
            findings.problems.push(line.clone());
        }
    }
    for (part, seen) in expected {
        if part.is_empty() {
            findings
                .problems
                .push("EXPECT_ERROR without a text would allow every error".to_owned());
        } else if !seen {
            findings.problems.push(format!("expected error did not happen: {part}"));
        }
    }
    findings
}

/// Whether a line is an error that has not been declared; notes which declarations were needed.
fn is_problem(line: &str, expected: &mut [(&str, bool)]) -> bool {
    let starts_with = |start: &str| line.trim_start().starts_with(start);
    let is_script_error = starts_with(SCRIPT_ERROR);
    if !is_script_error && NEVER.iter().any(|word| line.contains(word)) {
        return true;
    }
    if !is_script_error && !ERRORS.iter().any(|start| starts_with(start)) {
        return false;
    }
    let mut is_declared = false;
    for (part, seen) in expected {
        if line.contains(*part) && (part.starts_with(SCRIPT_ERROR) || !is_script_error) {
            (is_declared, *seen) = (true, true);
        }
    }
    !is_declared
}

/// The line without terminal color sequences (`ESC [ … m`), which would hide how it starts.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(lines: &[&str]) -> Vec<String> {
        scan(lines).problems
    }

    #[test]
    fn clean_log_counts_its_passes() {
        let findings = scan(&["Godot Engine v4.6.3", "", "PASS a", "WARNING: slow", "PASS b"]);
        assert_eq!(findings, Findings { passes: 2, problems: vec![] });
    }

    #[test]
    fn fail_lines_are_problems() {
        assert_eq!(problems(&["PASS a", "FAIL b: 1 != 2"]), ["FAIL b: 1 != 2"]);
    }

    #[test]
    fn undeclared_error_is_a_problem() {
        let log = ["ERROR: cannot bind", "   at: create_server (x.cpp:3)"];
        assert_eq!(problems(&log), ["ERROR: cannot bind"]);
    }

    #[test]
    fn push_error_line_is_a_problem() {
        assert_eq!(problems(&["USER ERROR: no"]), ["USER ERROR: no"]);
    }

    #[test]
    fn declared_error_is_allowed_any_number_of_times() {
        let log = ["EXPECT_ERROR cannot bind", "ERROR: cannot bind", "ERROR: cannot bind again"];
        assert_eq!(problems(&log), Vec::<String>::new());
    }

    #[test]
    fn declaration_may_come_later_in_the_log() {
        assert!(problems(&["ERROR: cannot bind", "EXPECT_ERROR cannot bind"]).is_empty());
    }

    #[test]
    fn declared_error_must_happen() {
        let log = ["EXPECT_ERROR cannot bind", "EXPECT_ERROR refused", "ERROR: refused"];
        assert_eq!(problems(&log), ["expected error did not happen: cannot bind"]);
    }

    #[test]
    fn empty_declaration_is_a_problem() {
        assert_eq!(problems(&["EXPECT_ERROR ", "ERROR: a"]).len(), 1);
    }

    #[test]
    fn one_declaration_does_not_allow_other_errors() {
        let log = ["EXPECT_ERROR refused", "ERROR: refused", "ERROR: other"];
        assert_eq!(problems(&log), ["ERROR: other"]);
    }

    #[test]
    fn script_errors_panics_and_leaks_cannot_be_declared() {
        for line in [
            "SCRIPT ERROR: Invalid call.",
            "SCRIPT ERROR: Parse Error: Expected \":\"",
            "ERROR: [panic src/lib.rs:1]",
            "thread 'main' panicked at src/lib.rs:1:",
            "WARNING: ObjectDB instances leaked at exit",
        ] {
            let declared = format!("EXPECT_ERROR {}", &line[..6]);
            assert!(problems(&[&declared, line]).iter().any(|problem| problem == line), "{line}");
        }
    }

    #[test]
    fn script_errors_can_be_declared_in_full_words_only() {
        let log = "SCRIPT ERROR: Out of bounds get index '7'";
        let declared = |part: &str| problems(&[&format!("EXPECT_ERROR {part}"), log]);
        assert_eq!(declared("SCRIPT ERROR: Out of bounds"), Vec::<String>::new());
        assert_eq!(declared("Out of bounds").len(), 2);
        assert_eq!(declared("SCRIPT ERROR: Parse Error").len(), 2);
        assert_eq!(declared("SCRIPT ERROR:").len(), 2);
    }

    #[test]
    fn names_of_cases_may_hold_any_word() {
        let log = ["PASS no_panic_in_handler", "PASS nothing leaked", "PASS ERROR: is counted"];
        assert_eq!(scan(&log), Findings { passes: 3, problems: vec![] });
    }

    #[test]
    fn error_in_the_middle_of_a_line_is_text() {
        assert!(problems(&["server: got 'ERROR: x' from a client"]).is_empty());
    }

    #[test]
    fn colors_do_not_hide_errors() {
        assert_eq!(problems(&["\u{1b}[1;31mERROR:\u{1b}[0;91m no\u{1b}[0m"]), ["ERROR: no"]);
    }
}
