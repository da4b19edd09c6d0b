//! `docs/benchmarks`: the numbers, the command that made them, and a plot for each group of cases.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::plot::{self, Bars};
use super::table::{cell, median, ratio};
use super::{Measured, machine};

/// What is drawn of a case: the first of these that it has.
const HEADLINES: [&str; 6] = [
    "KiB a connection, after traffic",
    "ms until all are in",
    "MiB at the peak",
    // In a frame, one server may let in many more than another.
    "CPU us a join",
    "CPU us a frame",
    "CPU us a",
];

pub(crate) fn write(folder: &Path, results: &[Measured]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let mut text = "# Benchmarks\n\nWritten by the benchmark itself; how it measures is in \
        `rust/xtask/src/bench`. CPU time is the server's, of all its threads; the median of the \
        rounds, with the least and the most in brackets, and the factor by which it is lower than the \
        first column (below 1: higher). Calls are those about sockets. Time by the clock says more \
        about the machine than about the server. [Where the time goes](profiles.md) says what is \
        left. `NullMultiplayerPeer` has no network: what it costs is what the \
        engine and the script cost, whichever class they use.\n\n"
        .to_owned();
    // Writing to a string cannot fail.
    for (name, value) in machine::describe() {
        let _ = writeln!(text, "- {name}: `{value}`");
    }
    let mut groups: Vec<&str> = results.iter().map(|measured| measured.case.group).collect();
    groups.dedup();
    for group in groups {
        let of_group: Vec<&Measured> =
            results.iter().filter(|measured| measured.case.group == group).collect();
        let _ = write!(text, "\n## {group}\n\n![{group}]({group}.svg)\n");
        of_group.iter().for_each(|measured| add_table(&mut text, measured));
        let bars: Vec<Bars> = of_group.iter().filter_map(|measured| bars(measured)).collect();
        save(
            &folder.join(format!("{group}.svg")),
            &plot::svg(&format!("{group}: shorter is better"), &bars),
        )?;
    }
    save(&folder.join("README.md"), &text)
}

fn bars(measured: &Measured) -> Option<Bars> {
    let first = measured.samples.first()?;
    let name = HEADLINES
        .iter()
        .find_map(|headline| first.numbers.keys().find(|name| name.starts_with(headline)))?;
    let values = measured.names.iter().zip(&measured.samples);
    let bars = values
        .filter_map(|(subject, samples)| {
            Some((subject.clone(), median(samples.numbers.get(name)?)))
        })
        .collect();
    Some(Bars { title: format!("{}: {name}", measured.case.name), bars })
}

fn add_table(text: &mut String, measured: &Measured) {
    let Some((first, others)) = measured.samples.split_first() else {
        return;
    };
    let _ = writeln!(text, "\n| {} | {} |", measured.case.name, measured.names.join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(measured.names.len()));
    for (name, values) in &first.numbers {
        let _ = write!(text, "| {name} | {}", cell(values));
        for samples in others {
            match samples.numbers.get(name) {
                Some(other) => {
                    let _ = write!(text, " | {} {}", cell(other), ratio(values, other));
                }
                None => text.push_str(" | "),
            }
        }
        text.push_str(" |\n");
    }
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cases;
    use crate::bench::samples::{Found, Samples};

    fn headline(names: &[&str]) -> Option<String> {
        let mut samples = Samples::default();
        let numbers = names.iter().map(|name| ((*name).to_owned(), 1.0)).collect();
        samples.add(Found { numbers, ..Found::default() });
        let case = cases::all().into_iter().next().expect("there are cases");
        let measured = Measured { case, names: vec!["A".to_owned()], samples: vec![samples] };
        let title = bars(&measured)?.title;
        title.split_once(": ").map(|(_, name)| name.to_owned())
    }

    #[test]
    fn a_join_says_more_than_a_frame_and_a_frame_more_than_the_rest() {
        let joins = ["CPU us a frame", "CPU us a join", "CPU us a join, less the engine"];
        assert_eq!(headline(&joins).as_deref(), Some("CPU us a join"));
        let sends = ["CPU us a frame", "CPU us a packet", "wall us a frame"];
        assert_eq!(headline(&sends).as_deref(), Some("CPU us a frame"));
        assert_eq!(headline(&["CPU us a poll"]).as_deref(), Some("CPU us a poll"));
        assert_eq!(headline(&["wall us a poll"]), None);
    }
}
