//! What a server says of an attack, and whether it held what it has to hold.

use serde_json::Value;

use super::case::Case;

/// Error lines that a peer prints in a second at most, and one that says how many it did not print.
const ERRORS_A_SECOND: f64 = 11.0;

/// The numbers that the server's account must have.
const NUMBERS: [&str; 13] = [
    "round_trip",
    "join",
    "joins_after",
    "memory_grown",
    "poll_usec",
    "poll_cpu_usec",
    "third_poll_cpu_usec",
    "missing",
    "returned",
    "peers_left",
    "seconds",
    "descriptors_before",
    "descriptors_after",
];
/// A machine that is shared with others takes time away unseen, so two polls may be this many times
/// longer than the others.
const OUTLIER: f64 = 10.0;
const MIB: f64 = (1 << 20) as f64;

/// The server's account, and its log.
#[derive(Default)]
pub(super) struct Seen {
    result: Value,
    errors: usize,
}

impl Seen {
    /// The account in a log, if it is whole.
    pub(super) fn find(log: &[String]) -> Option<Self> {
        let result = log.iter().rev().find_map(|line| line.strip_prefix("RESULT "))?;
        let result: Value = serde_json::from_str(result).ok()?;
        let errors = log.iter().filter(|line| line.contains("ERROR:")).count();
        NUMBERS.iter().all(|name| result[name].is_number()).then_some(Self { result, errors })
    }

    fn float(&self, name: &str) -> f64 {
        self.result[name].as_f64().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.float(name) as u64
    }

    /// What was not as it has to be after `factor` times the usual amount; each names what was broken.
    pub(super) fn problems(&self, case: &Case, factor: usize) -> Vec<String> {
        let bounds = &case.bounds;
        // Most attacks last longer, but some are by more at a time.
        let frames = |bound: u64| (bound * factor.min(2) as u64) as f64;
        let mut problems = Vec::new();
        let mut check = |what: &str, got: f64, bound: f64| {
            if got > bound {
                problems.push(format!("{what}: {got:.0}, and not {bound:.0} at most"));
            }
        };
        check("frames of a round trip", self.float("round_trip"), frames(bounds.round_trip));
        check("frames to join", self.float("join"), frames(bounds.join));
        check(
            "MiB of memory",
            self.float("memory_grown") / MIB,
            (bounds.memory * factor as u64) as f64,
        );
        let poll = bounds.poll as f64 * 1000.0;
        check("us of CPU time in the longest poll", self.float("poll_cpu_usec"), poll * OUTLIER);
        check("us of CPU time in the third longest poll", self.float("third_poll_cpu_usec"), poll);
        check("packets of the player that did not come back", self.float("missing"), 0.0);
        check("peers left", self.float("peers_left").abs(), 0.0);
        let errors = (self.float("seconds") + 2.0) * ERRORS_A_SECOND;
        check("error lines", self.errors as f64, errors);

        let [before, after] =
            ["descriptors_before", "descriptors_after"].map(|name| self.float(name));
        if before != after {
            problems.push(format!("descriptors: {before} before and {after} after"));
        }
        match self.result.get("player").and_then(Value::as_str) {
            Some("") if self.number("returned") > 0 => {}
            Some("") => problems.push("the player got nothing back".to_owned()),
            other => problems.push(format!("the player: {}", other.unwrap_or("?"))),
        }
        let has_newcomers = !case.server.contains(&"--no-newcomers");
        if has_newcomers && self.float("joins_after") < 1.0 {
            problems.push("no newcomer got in after the attack".to_owned());
        }
        for counter in case.counters {
            let count = self.result.get("stats").and_then(|stats| stats.get(counter));
            if count.and_then(Value::as_f64).unwrap_or(0.0) < 1.0 {
                problems.push(format!("get_stats() has not counted {counter}"));
            }
        }
        problems
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> String {
        if self.result.is_null() {
            return format!("{:>49}", "-");
        }
        let milliseconds = |name| self.float(name) / 1000.0;
        format!(
            "{:>5} {:>5} {:>6.1} {:>5.1} {:>5.1} {:>6.1} {:>5} {:>5}",
            self.number("round_trip"),
            self.number("join"),
            milliseconds("poll_usec"),
            milliseconds("poll_cpu_usec"),
            milliseconds("third_poll_cpu_usec"),
            self.float("memory_grown") / MIB,
            self.number("descriptors_before"),
            self.number("descriptors_after"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::USUAL;
    use super::*;

    const GOOD: &str = r#"RESULT {"round_trip":30,"join":120,"memory_grown":1048576,
        "poll_usec":1,"poll_cpu_usec":200000,"third_poll_cpu_usec":20000,
        "missing":0,"peers_left":0,"seconds":1.0,"descriptors_before":20,
        "descriptors_after":20,"player":"","returned":5,"joins_after":1}"#;

    fn problems(from: &str, to: &str, errors: usize) -> Vec<String> {
        let mut log = vec!["ERROR: x".to_owned(); errors];
        log.push(GOOD.replace('\n', "").replace(from, to));
        Seen::find(&log).expect("a result").problems(&USUAL, 1)
    }

    #[test]
    fn what_holds_its_bounds_has_no_problems() {
        assert_eq!(problems("", "", 33), Vec::<String>::new());
    }

    #[test]
    fn each_bound_can_be_broken() {
        for (from, to) in [
            ("\"round_trip\":30", "\"round_trip\":31"),
            ("\"join\":120", "\"join\":121"),
            ("1048576", "104857600"),
            (":200000", ":200001"),
            (":20000,", ":20001,"),
            ("\"missing\":0", "\"missing\":1"),
            ("\"peers_left\":0", "\"peers_left\":1"),
            ("\"peers_left\":0", "\"peers_left\":-1"),
            ("\"descriptors_after\":20", "\"descriptors_after\":21"),
            ("\"player\":\"\"", "\"player\":\"why\""),
            ("\"returned\":5", "\"returned\":0"),
            ("\"joins_after\":1", "\"joins_after\":0"),
        ] {
            assert_eq!(problems(from, to, 0).len(), 1, "{to}");
        }
        assert_eq!(problems("", "", 34).len(), 1);
    }

    #[test]
    fn half_an_account_is_none() {
        let log = [GOOD.replace('\n', "").replace("\"round_trip\":30,", "")];
        assert!(Seen::find(&log).is_none());
    }

    #[test]
    fn counters_must_have_counted() {
        let case = Case { counters: &["closed_rate"], ..USUAL };
        let log =
            |stats: &str| [GOOD.replace('\n', "").replace("\"join\"", &format!("{stats}\"join\""))];
        let problems = |stats| Seen::find(&log(stats)).expect("a result").problems(&case, 1).len();
        assert_eq!(problems("\"stats\":{\"closed_rate\":1},"), 0);
        assert_eq!(problems("\"stats\":{\"closed_rate\":0},"), 1);
        assert_eq!(problems(""), 1);
    }
}
