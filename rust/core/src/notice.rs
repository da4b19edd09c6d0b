//! Lines for the engine's log, collected while work is done and printed when it is.
//!
//! Printing can run script code (the engine has script loggers), which may call back into the
//! peer; so nothing is printed while anything is borrowed. Hostile clients can cause lines, so
//! their number per second is bounded.

use std::collections::VecDeque;
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
const LIMIT: u32 = 10;
/// The time over which error lines are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// The lines that wait to be printed.
#[derive(Debug, Default)]
pub struct Notices {
    lines: VecDeque<Notice>,
    window: Option<Instant>,
    in_window: u32,
    dropped: u32,
}

impl Notices {
    /// Adds an error line, or counts it when too many have been added within a second.
    pub fn error(&mut self, now: Instant, text: impl Into<String>) {
        if self.window.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            if self.dropped > 0 {
                let dropped = std::mem::take(&mut self.dropped);
                self.push(Severity::Error, format!("{dropped} more errors were not shown"));
            }
            self.window = Some(now);
            self.in_window = 0;
        }
        if self.in_window == LIMIT {
            self.dropped += 1;
            return;
        }
        self.in_window += 1;
        self.push(Severity::Error, text.into());
    }

    /// Adds a line for verbose logs.
    pub fn verbose(&mut self, text: impl Into<String>) {
        if self.lines.len() < 100 {
            self.push(Severity::Verbose, text.into());
        }
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

    fn push(&mut self, severity: Severity, text: String) {
        self.lines.push_back(Notice { severity, text });
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
}
