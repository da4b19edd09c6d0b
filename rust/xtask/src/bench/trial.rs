//! One measurement: a server, its clients, and what they found.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::cases::Case;
use super::samples::Found;
use super::stage::Stage;
use super::subject::Subject;
use crate::process::{Process, Stderr};
use crate::scan;

const LISTEN_LIMIT: Duration = Duration::from_secs(30);
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// For the clients, a little less than that.
const COUNT_LIMIT: Duration = Duration::from_secs(280);
const TICK: Duration = Duration::from_millis(20);
/// What is of interest where there is no network; the rest is about what comes from one.
const COSTS: [&str; 3] = ["CPU us", "instructions", "MiB"];

/// What is counted by a tool from outside, in a run of its own: other numbers suffer from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Count {
    /// By strace: those about sockets.
    Calls,
    /// By perf.
    Instructions,
}

impl Count {
    fn word(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Instructions => "instructions",
        }
    }
}

/// Measures a subject, or counts something of it.
pub(crate) fn run(
    stage: &Stage<'_>,
    case: &Case,
    subject: &Subject,
    count: Option<Count>,
) -> Result<Found> {
    let counting = count.map_or_else(String::new, |count| format!(", counting {}", count.word()));
    let context = || format!("{}{counting}", subject.name);
    let port = free_port()?;
    let mut options: Vec<String> =
        case.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    options.push(format!("port={port}"));
    if let Some(count) = count {
        options.push(format!("count={}", count.word()));
        // Under strace each call of a class that makes many takes ten times as long.
        options.push(format!("limit={}", COUNT_LIMIT.as_secs()));
        options.push(format!("sync={}", stage.project.join("counting").display()));
    }
    if subject.is_null() {
        options.push(format!("alone={}", stage.project.join("said").display()));
    }
    if !subject.gives_tickets() {
        options.push("tickets=none".to_owned());
    }
    let mut server =
        subject.command(stage, &options, port).and_then(Server::start).with_context(context)?;

    let mut command = Command::new(&stage.clients);
    command.args(&options).arg(format!("pid={}", server.id));
    if subject.is_anchor() {
        command.arg("anchor=yes");
    }
    let clients = pinned(1, || Process::start(command, Stderr::Merged))?;
    let report = report(&clients);
    // Before the clients: it must not be busy with those that leave.
    let log = server.end();
    if let Some(problem) = scan::scan(&log).problems.first() {
        // It says more than what the clients saw of it.
        bail!("{}: the server's log: {problem}", context());
    }
    let report = report.with_context(context)?;
    let mut found = count.map_or_else(|| numbers(&report), |count| counted(&report, count));
    if subject.is_null() {
        found.numbers.retain(|(name, _)| COSTS.iter().any(|cost| name.starts_with(cost)));
    }
    Ok(found)
}

/// What the clients print in the end.
fn report(clients: &Process) -> Result<Map<String, Value>> {
    let end = Instant::now() + RUN_LIMIT;
    let mut log = Vec::new();
    while Instant::now() < end {
        match clients.line(TICK) {
            Ok(Some(line)) if line.starts_with('{') => {
                return serde_json::from_str(&line).context("the report is not JSON");
            }
            Ok(Some(line)) => log.push(line),
            Ok(None) => (),
            Err(_) => bail!("clients: {}", log.join("; ")),
        }
    }
    bail!("the clients are not done after {} s", RUN_LIMIT.as_secs())
}

/// The numbers of a report that are of interest by themselves.
fn numbers(report: &Map<String, Value>) -> Found {
    let numbers = report
        .iter()
        .filter(|(name, _)| *name != "units")
        .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
        .collect();
    Found { numbers, ..Found::default() }
}

/// What was counted, for each unit of work; system calls all together, and by name.
fn counted(report: &Map<String, Value>, count: Count) -> Found {
    let unit = report.get("unit").and_then(Value::as_str).unwrap_or("unit");
    let units = report.get("units").and_then(Value::as_f64).unwrap_or(1.0);
    let name = format!("{} a {unit}", count.word());
    let mut found = Found::default();
    match report.get(count.word()) {
        Some(Value::Object(by_name)) => {
            found.calls = by_name
                .iter()
                .filter_map(|(name, calls)| Some((name.clone(), calls.as_f64()? / units)))
                .collect();
            let sum = found.calls.iter().map(|(_, calls)| calls).sum();
            found.numbers.push((name, sum));
        }
        Some(number) => found.numbers.extend(number.as_f64().map(|number| (name, number / units))),
        None => (),
    }
    found
}

/// A server that listens. Dropping it ends it.
struct Server {
    process: Process,
    id: u32,
    log: Vec<String>,
}

impl Server {
    fn start(command: Command) -> Result<Self> {
        let process = pinned(0, || Process::start(command, Stderr::Merged))?;
        let mut server = Self { process, id: 0, log: Vec::new() };
        let started = Instant::now();
        while started.elapsed() < LISTEN_LIMIT {
            let Ok(line) = server.process.line(TICK) else {
                break;
            };
            let Some(line) = line else {
                continue;
            };
            if let Some(id) = line.strip_prefix("LISTENING ") {
                server.id = id.parse().context("the server has no id")?;
                return Ok(server);
            }
            server.log.push(line);
        }
        bail!("the server does not listen: {}", server.log.join("; "));
    }

    /// Ends it. What it has printed.
    fn end(&mut self) -> Vec<String> {
        self.process.kill();
        while let Ok(Some(line)) = self.process.line(TICK) {
            self.log.push(line);
        }
        std::mem::take(&mut self.log)
    }
}

/// Runs something with this thread on one core only; a process that it starts stays there.
#[cfg(target_os = "linux")]
fn pinned<T>(core: usize, start: impl FnOnce() -> Result<T>) -> Result<T> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let own = Pid::from_raw(0);
    let before = sched_getaffinity(own).context("failed to ask for this thread's cores")?;
    let mut one = CpuSet::new();
    one.set(core)?;
    sched_setaffinity(own, &one).with_context(|| format!("there is no core {core}"))?;
    let outcome = start();
    sched_setaffinity(own, &before).context("failed to free this thread")?;
    outcome
}

#[cfg(not(target_os = "linux"))]
fn pinned<T>(_core: usize, start: impl FnOnce() -> Result<T>) -> Result<T> {
    start()
}

/// A port that is free now. The built-in class cannot say which one it was given.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr().context("a listener has no address")?.port())
}
