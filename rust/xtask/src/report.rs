//! The account of a run: what passed, what failed, what was left out and why.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// What a check found.
pub(crate) enum Verdict {
    Counted(Tally),
    /// It could not run here; it counts neither way.
    Skipped(String),
}

/// Cases that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// A single case.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: passed.into(), failed: (!passed).into() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The verdicts of a run, in the order of the checks.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(String, Verdict, Duration)>,
}

impl Report {
    pub(crate) fn add(&mut self, name: &str, verdict: Verdict, took: Duration) {
        self.rows.push((name.to_owned(), verdict, took));
    }

    /// Prints the table and, alone on the last line, the sum. Whether nothing failed.
    pub(crate) fn finish(self) -> bool {
        let mut sum = Tally::default();
        println!();
        for (name, verdict, took) in &self.rows {
            match verdict {
                Verdict::Counted(tally) => {
                    sum.add(*tally);
                    let word = if tally.failed == 0 {
                        paint("ok    ", GREEN)
                    } else {
                        paint("FAILED", RED)
                    };
                    println!(
                        "{word} {name:<10} {:>5} passed, {:>3} failed {:>7.1} s",
                        tally.passed,
                        tally.failed,
                        took.as_secs_f32()
                    );
                }
                Verdict::Skipped(reason) => println!("SKIPPED {name}: {reason}"),
            }
        }
        println!("{} passed, {} failed", sum.passed, sum.failed);
        io::stdout().flush().ok();
        sum.failed == 0
    }
}

pub(crate) const RED: u8 = 31;
pub(crate) const GREEN: u8 = 32;
/// Colors that tell the processes of a demo apart.
pub(crate) const PALETTE: [u8; 6] = [37, 36, 33, 35, 34, 32];

/// `text` in a terminal color, where standard output is a terminal that wants it.
pub(crate) fn paint(text: &str, color: u8) -> String {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[{color}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
