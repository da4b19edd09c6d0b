//! `cargo xtask hostile`: clients that mean harm, against a game's server in a real engine.
//!
//! Each case has a server of its own, `tests/hostile/server.gd`, with two well-behaved clients in
//! the same process. They play on during the attack; after it the server must be as before. The
//! attackers are threads of this program and come from other addresses of this machine.

mod case;
mod frame;
mod http;
mod limits;
mod seen;
mod status;
mod tcp;
mod tls;
mod websocket;
mod wire;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustls::RootCertStore;

use self::case::{Case, Deeds};
use self::seen::Seen;
use self::wire::Target;
use super::actor::{Run, Server};
use super::scenes::lock;
use crate::certificates;
use crate::engine;
use crate::library::{self, Profile};
use crate::project;
use crate::report::{GREEN, RED, Report, Tally, Verdict, paint};
use crate::workspace::Workspace;

/// The server's Godot project.
const PROJECT: &str = "tests/hostile";
/// What is counted does not depend on how busy the machine is, and most of a case is waiting.
const AT_ONCE: usize = 3;
/// For all to be as before, which the server counts in frames, and some more.
const END_LIMIT: Duration = Duration::from_secs(60);
/// Connections that say nothing, where there are descriptors for them.
const CONNECTIONS: usize = 5000;
/// Descriptors for everything else in a process.
const OTHER_DESCRIPTORS: usize = 200;
/// Problems and lines of a log that are printed for a case.
const MOST_PROBLEMS: usize = 10;
const MOST_LINES: usize = 60;
/// Times the usual amount with `--full`.
const FULL: usize = 10;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Parts of the names of the cases to play; all, if there are none.
    #[arg(value_name = "CASE")]
    filters: Vec<String>,
    /// Ten times as much of everything.
    #[arg(long)]
    full: bool,
    /// Print the names of the cases and stop.
    #[arg(long)]
    list: bool,
}

/// Plays the chosen cases. Whether none failed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let is_chosen = |case: &&Case| {
        arguments.filters.is_empty()
            || arguments.filters.iter().any(|filter| case.name.contains(filter))
    };
    let cases: Vec<&Case> = all().filter(is_chosen).collect();
    ensure!(!cases.is_empty(), "no case has such a name; --list shows them");
    if arguments.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(true);
    }
    let started = Instant::now();
    let factor = if arguments.full { FULL } else { 1 };
    let verdict = play(workspace, &cases, factor)?;
    let mut report = Report::default();
    report.add("hostile", verdict, started.elapsed());
    Ok(report.finish())
}

/// Plays all cases; each counts.
pub(super) fn check(workspace: &Workspace) -> Result<Verdict> {
    play(workspace, &all().collect::<Vec<_>>(), 1)
}

/// In the order from the socket up.
fn all() -> impl Iterator<Item = &'static Case> {
    [tcp::CASES, http::CASES, websocket::CASES, tls::CASES, limits::CASES, status::CASES]
        .into_iter()
        .flatten()
}

/// What one case came to.
struct Row {
    case: &'static Case,
    deeds: Deeds,
    seen: Seen,
    problems: Vec<String>,
    log: Vec<String>,
    took: Duration,
}

/// What the cases are played with.
struct Stage<'a> {
    workspace: &'a Workspace,
    engine: PathBuf,
    project: PathBuf,
    certificates: PathBuf,
    roots: RootCertStore,
    factor: usize,
    connections: usize,
}

fn play(workspace: &Workspace, cases: &[&'static Case], factor: usize) -> Result<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Skipped("it reads Linux's accounting of processes".to_owned()));
    }
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let project = workspace.root.join(PROJECT);
    project::prepare(workspace, &engine, &project)?;
    let certificates = certificates::folder(workspace)?;
    let roots = wire::roots(&certificates.join("root.crt"))?;
    // Several cases may want them at a time.
    let connections = descriptors()?.saturating_sub(OTHER_DESCRIPTORS) / AT_ONCE;
    let connections = connections.min(CONNECTIONS * factor);
    println!("at most {connections} connections in a case");
    let stage = Stage { workspace, engine, project, certificates, roots, factor, connections };

    let waiting = Mutex::new(cases.iter());
    let rows = Mutex::new(Vec::new());
    let play_all = || {
        loop {
            // In a statement of its own, so that the lock is not held while the case is played.
            let case = lock(&waiting).next();
            let Some(&case) = case else { break };
            let row = stage.play(case);
            // Held while printing: a log stays in one piece.
            let mut rows = lock(&rows);
            tell(&row);
            rows.push(row);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(play_all);
        }
    });
    let rows = rows.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    print_table(cases, &rows);
    let mut tally = Tally::default();
    rows.iter().for_each(|row| tally.add(Tally::one(row.problems.is_empty())));
    Ok(Verdict::Counted(tally))
}

impl Stage<'_> {
    /// Plays one case. What kept it from being played is a problem of the case, too.
    fn play(&self, case: &'static Case) -> Row {
        let started = Instant::now();
        let mut row = Row {
            case,
            deeds: Vec::new(),
            seen: Seen::default(),
            problems: Vec::new(),
            log: Vec::new(),
            took: Duration::ZERO,
        };
        if let Err(error) = self.attack(case, &mut row) {
            row.problems.push(format!("{error:#}"));
        }
        row.took = started.elapsed();
        row
    }

    fn attack(&self, case: &Case, row: &mut Row) -> Result<()> {
        let mut server = self.serve(case)?;
        let ports = server.port()?;
        let (port, status_port) = ports.split_once(' ').context("the server has not two ports")?;
        let target = Target {
            port: port.parse().context("the server's port is no number")?,
            status_port: status_port.parse().context("the status endpoint's port is no number")?,
            roots: case.secure.then(|| self.roots.clone()),
            factor: self.factor,
            connections: self.connections,
        };
        let attacked = (case.attack)(&target);
        let run = server.stop_within(END_LIMIT)?;
        self.judge(case, run, row);
        row.deeds = attacked.context("the attack")?;
        Ok(())
    }

    fn judge(&self, case: &Case, run: Run, row: &mut Row) {
        row.problems = run.problems;
        // How many there were depends on the time, so these lines cannot be expected.
        if !case.errors.is_empty() {
            row.problems.retain(|problem| !problem.contains("more errors were not shown"));
        }
        match Seen::find(&run.log) {
            Some(seen) => {
                row.problems.extend(seen.problems(case, self.factor));
                row.seen = seen;
            }
            None => row.problems.push("the server printed no result".to_owned()),
        }
        row.log = run.log;
    }

    fn serve(&self, case: &Case) -> Result<Server> {
        let mut command = engine::headless(&self.engine, &self.project, self.workspace)?;
        command.args(["--script", "res://server.gd", "--"]).args(case.server);
        if case.secure {
            command.arg(format!("--chain={}", self.certificates.join("good.crt").display()));
            command.arg(format!("--key={}", self.certificates.join("good.key").display()));
        }
        command.args(case.errors.iter().map(|part| format!("--expect={part}")));
        if let Some(count) = case.descriptors {
            command = limited(&command, count);
        }
        let file: String = case
            .name
            .chars()
            .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
            .collect();
        let folder = self.workspace.target.join("hostile");
        std::fs::create_dir_all(&folder)?;
        Server::start(
            case.name,
            command,
            folder.join(format!("{file}-{}.port", std::process::id())),
        )
    }
}

/// The command with fewer descriptors.
fn limited(command: &Command, count: u32) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -n {count} && exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// Raises the limit on descriptors, of this process and of those it starts, as far as it may.
#[cfg(unix)]
fn descriptors() -> Result<usize> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("failed to ask for a limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("failed to raise a limit")?;
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn descriptors() -> Result<usize> {
    Ok(CONNECTIONS)
}

/// Prints how a case went, with its log if it failed.
fn tell(row: &Row) {
    let name = row.case.name;
    let word = if row.problems.is_empty() { paint("ok    ", GREEN) } else { paint("FAILED", RED) };
    println!("{word} {name} ({:.1} s)", row.took.as_secs_f32());
    for problem in row.problems.iter().take(MOST_PROBLEMS) {
        println!("    {name}: {problem}");
    }
    if row.problems.len() > MOST_PROBLEMS {
        println!("    {name}: {} problems in all", row.problems.len());
    }
    if !row.problems.is_empty() {
        println!("---- log of {name}, its last {MOST_LINES} lines");
        let rest = row.log.len().saturating_sub(MOST_LINES);
        row.log[rest..].iter().for_each(|line| println!("{line}"));
        println!("---- end of {name}");
    }
}

/// Prints what was seen, in the order of the cases.
fn print_table(cases: &[&'static Case], rows: &[Row]) {
    println!();
    println!("round trip and join: the most frames that a player's packet and a newcomer took");
    println!(
        "poll: ms of the longest, CPU time of the longest and of the third; memory: growth in MiB"
    );
    println!(
        "{:<38} {:>5} {:>5} {:>18} {:>6} {:>11}  attackers",
        "case", "trip", "join", "poll", "memory", "descriptors"
    );
    for case in cases {
        let Some(row) = rows.iter().find(|row| std::ptr::eq(row.case, *case)) else { continue };
        let deeds: Vec<String> =
            row.deeds.iter().map(|(count, deed)| format!("{count} {deed}")).collect();
        println!("{:<38} {}  {}", case.name, row.seen.columns(), deeds.join(", "));
    }
}
