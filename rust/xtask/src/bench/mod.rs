//! `cargo xtask bench`: the built-in class and ours under the same load, in turn.
//!
//! Each measurement is an engine of its own that runs `tests/bench/server.gd`, and clients that are
//! one process of `rust/bench`. Both are pinned to a core. What is measured is the server's CPU
//! time; time by the clock is shown too, but other processes change it. Beside the classes are
//! measured: a class without a network, which shows what the engine and the script cost, and for
//! echoes the servers of others.

mod anchors;
mod cases;
mod json;
mod limit;
mod machine;
mod page;
mod plot;
mod samples;
pub(crate) mod stage;
mod subject;
mod table;
mod trial;

use std::env;
use std::fs::{File, TryLockError};
use std::iter;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::library::Profile;
use crate::report::{RED, paint};
use crate::workspace::Workspace;

use self::cases::Case;
use self::samples::Samples;
use self::stage::Stage;
use self::subject::Subject;
use self::trial::Count;

const CLASSES: [&str; 2] = ["WebSocketMultiplayerPeer", "MioWebSocketMultiplayerPeer"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// Parts of the names of the cases to run; all, if there are none. `--list` shows the names.
    #[arg(value_name = "SCENARIO")]
    filters: Vec<String>,
    /// The classes that are compared, the first with each other one; behind the scenarios. One
    /// class twice shows how much is noise.
    #[arg(
        long,
        value_name = "CLASS",
        num_args = 1..,
        value_delimiter = ',',
        default_values = CLASSES
    )]
    against: Vec<String>,
    /// How often each class is measured in each case.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also the cases that take long.
    #[arg(long)]
    full: bool,
    /// Without counting system calls and instructions, which takes runs of their own.
    #[arg(long)]
    no_counts: bool,
    /// Without the servers of others.
    #[arg(long)]
    no_anchors: bool,
    /// Without the class that has no network.
    #[arg(long)]
    no_null: bool,
    /// Write all samples to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write tables and plots to docs/benchmarks, in place of those there: of all cases or of none.
    #[arg(long, conflicts_with = "filters")]
    save: bool,
    /// Print the names of the cases and stop.
    #[arg(long)]
    list: bool,
}

/// Runs the cases and prints what they found. Whether none failed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let cases = choose(&arguments.filters, arguments.full)?;
    if arguments.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(true);
    }
    ensure!(cfg!(target_os = "linux"), "the benchmark reads Linux's accounting of CPU time");
    ensure!(!arguments.against.is_empty() && arguments.rounds > 0, "there is nothing to measure");

    let _alone = be_alone()?;
    let stage = Stage::prepare(workspace, "bench", Profile::Release, !arguments.no_counts)?;
    limit::raise(&cases);
    let classes = Subject::classes(&arguments.against);
    let null = Subject::null();
    let wants_anchors = !arguments.no_anchors && cases.iter().any(|case| case.has_anchors);
    let anchors = if wants_anchors { anchors::prepare(&stage) } else { Vec::new() };

    let mut results = Vec::new();
    let mut failed = Vec::new();
    for case in cases {
        let name = case.name.clone();
        let alone = (case.has_null && !arguments.no_null).then_some(&null);
        let beside = if case.has_anchors { &anchors[..] } else { &[] };
        let subjects: Vec<&Subject> = classes.iter().chain(alone).chain(beside).collect();
        match measure(&stage, case, &subjects, arguments.rounds) {
            Ok(measured) => {
                print!("{}", table::text(&measured));
                results.push(measured);
            }
            Err(error) => {
                println!("{} {name}: {error:#}", paint("FAILED", RED));
                failed.push(name);
            }
        }
    }
    println!("{} cases measured, {} failed", results.len(), failed.len());
    if let Some(path) = &arguments.json {
        json::write(path, &results, &failed)?;
    }
    if arguments.save {
        page::write(&workspace.root.join("docs/benchmarks"), &results)?;
    }
    Ok(failed.is_empty())
}

/// Two runs at a time would share the cores that each has pinned its processes to. For as long as
/// the file lives there is one.
fn be_alone() -> Result<File> {
    let path = env::temp_dir().join("mio-websocket-bench.lock");
    let file =
        File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another benchmark is running on this machine"),
        Err(TryLockError::Error(error)) => {
            Err(error).context("failed to lock out other benchmarks")
        }
    }
}

/// What a case has shown.
struct Measured {
    case: Case,
    /// The subjects.
    names: Vec<String>,
    /// Of each subject.
    samples: Vec<Samples>,
}

/// Measures all subjects. They take turns, so that all have their share of a bad moment.
fn measure(
    stage: &Stage<'_>,
    case: Case,
    subjects: &[&Subject],
    rounds: usize,
) -> Result<Measured> {
    limit::check(&case)?;
    let mut all: Vec<(&Subject, Samples)> =
        subjects.iter().map(|subject| (*subject, Samples::default())).collect();
    let counts = stage.counts.iter().map(|count| Some(*count));
    for count in iter::repeat_n(None, rounds).chain(counts) {
        let mut left = Vec::new();
        for (subject, mut samples) in all {
            // Without a network there are none.
            if subject.is_null() && count == Some(Count::Calls) {
                left.push((subject, samples));
                continue;
            }
            match trial::run(stage, &case, subject, count) {
                Ok(found) => {
                    samples.add(found);
                    left.push((subject, samples));
                }
                // What others do is not for us to judge.
                Err(error) if subject.is_anchor() => println!("not measured: {error:#}"),
                Err(error) => return Err(error),
            }
        }
        all = left;
    }
    let (names, samples) =
        all.into_iter().map(|(subject, samples)| (subject.name.clone(), samples)).unzip();
    Ok(Measured { case, names, samples })
}

fn choose(filters: &[String], full: bool) -> Result<Vec<Case>> {
    let all = cases::all();
    for filter in filters {
        if !all.iter().any(|case| case.name.contains(filter)) {
            bail!("no case has {filter:?} in its name; --full --list shows all");
        }
    }
    let chosen =
        |case: &Case| filters.is_empty() || filters.iter().any(|filter| case.name.contains(filter));
    Ok(all.into_iter().filter(|case| (full || !case.takes_long) && chosen(case)).collect())
}
