//! Lines for the engine's log, collected while work is done and printed when it is.
//!
//! Printing can run script code (the engine has script loggers), which may call back into the
//! peer; so nothing is printed while anything is borrowed. Hostile clients can cause lines, so
//! their number per second is bounded.

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Always shown.
    Error,
    /// Shown only when the engine runs verbosely.
    Verbose,
}

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loud.
    pub severity: Severity,
    /// The text.
    pub text: String,
}

/// Most error lines in one [`WINDOW`]. A person reads no more, and a log on disk stays small.
const ERRORS: u32 = 10;
/// Most verbose lines in one [`WINDOW`]: who looks for a fault wants more of them.
const VERBOSE: u32 = 100;
/// The time over which lines are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// The lines that wait to be printed.
#[derive(Debug, Default)]
pub struct Notices {
    lines: VecDeque<Notice>,
    errors: Window,
    verbose: Window,
}

/// The lines of one severity in the present second.
#[derive(Debug, Default)]
struct Window {
    start: Option<Instant>,
    count: u32,
    dropped: u32,
}

impl Notices {
    /// Adds an error line, or counts it when too many have been added within a second.
    pub fn error(&mut self, now: Instant, text: impl Display) {
        let left_out = |count| format!("{count} more errors were not shown");
        let (dropped, fits) = self.errors.count(now, ERRORS);
        self.lines.extend(dropped.map(|count| Notice::new(Severity::Error, left_out(count))));
        self.lines.extend(fits.then(|| Notice::new(Severity::Error, text)));
    }

    /// Adds a line for verbose logs, unless too many have been added within a second.
    pub fn verbose(&mut self, now: Instant, text: impl Display) {
        let (_, fits) = self.verbose.count(now, VERBOSE);
        self.lines.extend(fits.then(|| Notice::new(Severity::Verbose, text)));
    }

    /// Whether all lines have been printed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The oldest line that has not been printed.
    pub fn pop(&mut self) -> Option<Notice> {
        self.lines.pop_front()
    }
}

impl Notice {
    fn new(severity: Severity, text: impl Display) -> Self {
        Self { severity, text: text.to_string() }
    }
}

impl Window {
    /// Counts a line: how many were left out in a second that is over, and whether this one may be
    /// shown.
    fn count(&mut self, now: Instant, limit: u32) -> (Option<u32>, bool) {
        let mut dropped = 0;
        if self.start.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            dropped = self.dropped;
            *self = Self { start: Some(now), ..Self::default() };
        }
        let fits = self.count < limit;
        if fits {
            self.count += 1;
        } else {
            self.dropped += 1;
        }
        ((dropped > 0).then_some(dropped), fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut notices = Notices::default();
        let start = Instant::now();
        for _ in 0..500 {
            notices.error(start, "x");
        }
        assert_eq!(std::iter::from_fn(|| notices.pop()).count(), 10);
        notices.error(start + WINDOW, "y");
        let texts: Vec<String> =
            std::iter::from_fn(|| notices.pop()).map(|notice| notice.text).collect();
        assert_eq!(texts, ["490 more errors were not shown", "y"]);
    }

    #[test]
    fn verbose_lines_have_a_bound_of_their_own() {
        let mut notices = Notices::default();
        let start = Instant::now();
        for _ in 0..500 {
            notices.verbose(start, "x");
        }
        notices.error(start, "y");
        assert_eq!(std::iter::from_fn(|| notices.pop()).count(), 101);
        notices.verbose(start + WINDOW, "z");
        assert_eq!(notices.pop().map(|notice| notice.text).as_deref(), Some("z"));
    }
}
