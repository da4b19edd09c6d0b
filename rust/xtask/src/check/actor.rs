//! The processes of a job: those that serve until they are told to end, and those that end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Echo, Process, Stderr, describe};
use crate::report::{GREEN, RED, Tally, paint};
use crate::scan;

use super::scenes::lock;

/// An engine takes a second or two to start, more when two others do.
const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(10);
/// Jobs at a time. More would make the machine's load part of the result.
const AT_ONCE: usize = 2;
const TICK: Duration = Duration::from_millis(20);

/// How a process went: its cases, and all it said if one failed.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) passed: Vec<String>,
    pub(super) problems: Vec<String>,
    pub(super) log: Vec<String>,
    pub(super) took: Duration,
}

impl Run {
    fn new(name: &str, log: Vec<String>, problem: Option<String>, took: Duration) -> Self {
        let cases = log.iter().filter_map(|line| line.strip_prefix("PASS "));
        let passed = cases.map(str::to_owned).collect();
        let mut problems = scan::scan(&log).problems;
        problems.extend(problem);
        Self { name: name.to_owned(), passed, problems, log, took }
    }

    /// Something that kept the process from its cases.
    pub(super) fn failed(name: &str, problem: String) -> Self {
        Self::new(name, Vec::new(), Some(problem), Duration::ZERO)
    }

    /// Prints its cases, and all it said if one failed.
    pub(super) fn tell(&self) -> Tally {
        let Self { name, passed, problems, log, took } = self;
        let word = if problems.is_empty() { paint("ok    ", GREEN) } else { paint("FAILED", RED) };
        println!("{word} {name} ({} cases, {:.1} s)", passed.len(), took.as_secs_f32());
        passed.iter().for_each(|case| println!("    ok: {case}"));
        problems.iter().for_each(|problem| println!("    {problem}"));
        if !problems.is_empty() {
            println!("---- log of {name}");
            log.iter().for_each(|line| println!("{line}"));
            println!("---- end of {name}");
        }
        Tally { passed: passed.len(), failed: problems.len() }
    }
}

/// Runs `command` to its end.
pub(super) fn run(name: &str, command: Command, limit: Duration) -> Result<Run> {
    let started = Instant::now();
    let outcome = process::run(name, command, limit, Stderr::Merged, Echo::Silent)?;
    let mut run = Run::new(name, outcome.lines, outcome.end.problem(), started.elapsed());
    if run.passed.is_empty() && run.problems.is_empty() {
        run.problems.push("it printed no PASS line".to_owned());
    }
    Ok(run)
}

/// Plays jobs, a few at a time. What each came to is printed when it is done.
pub(super) fn play_all<Job: Sync>(
    jobs: &[Job],
    name: impl Fn(&Job) -> &str + Sync,
    play: impl Fn(&Job) -> Result<Vec<Run>> + Sync,
) -> Tally {
    let waiting = Mutex::new(jobs.iter());
    let tally = Mutex::new(Tally::default());
    let play_waiting = || {
        loop {
            // In a statement of its own, so that the lock is not held during the job.
            let job = lock(&waiting).next();
            let Some(job) = job else { break };
            let runs = play(job)
                .unwrap_or_else(|error| vec![Run::failed(name(job), format!("{error:#}"))]);
            // Held while printing: a log stays in one piece.
            let mut tally = lock(&tally);
            runs.iter().for_each(|run| tally.add(run.tell()));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(play_waiting);
        }
    });
    *lock(&tally)
}

/// A process that writes where it listens into a file, and ends when that file is taken away.
pub(super) struct Server {
    name: String,
    process: Process,
    port_file: PathBuf,
    log: Vec<String>,
    started: Instant,
    ended: Option<ExitStatus>,
}

impl Server {
    /// `command` gets the argument that names the file.
    pub(super) fn start(name: &str, mut command: Command, port_file: PathBuf) -> Result<Self> {
        // A leftover of an earlier run would name a wrong port.
        fs::remove_file(&port_file).ok();
        command.arg(format!("--port-file={}", port_file.display()));
        let process = Process::start(command, Stderr::Merged)
            .with_context(|| format!("failed to start {name}"))?;
        let started = Instant::now();
        let name = name.to_owned();
        Ok(Self { name, process, port_file, log: Vec::new(), started, ended: None })
    }

    /// What it has written into the file, once it has. It is there as a whole or not at all.
    pub(super) fn port(&mut self) -> Result<String> {
        while self.started.elapsed() < START_LIMIT {
            if let Ok(text) = fs::read_to_string(&self.port_file) {
                return Ok(text);
            }
            if !self.follow()? {
                break;
            }
        }
        let log = self.log.join("\n");
        bail!("{} does not listen\n{log}", self.name);
    }

    pub(super) fn port_file(&self) -> &Path {
        &self.port_file
    }

    /// Tells it to end, and waits until it has.
    pub(super) fn stop(self) -> Result<Run> {
        self.stop_within(END_LIMIT)
    }

    /// As [`Self::stop`], for one that has still something to do.
    pub(super) fn stop_within(mut self, limit: Duration) -> Result<Run> {
        fs::remove_file(&self.port_file).ok();
        self.wait(limit)
    }

    /// Waits until it has ended by itself, which is when its clients have gone.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<Run> {
        let since = Instant::now();
        while self.follow()? && since.elapsed() < limit {}
        let problem = match self.ended {
            Some(status) if status.success() => None,
            Some(status) => Some(describe(status)),
            None => {
                self.process.kill();
                Some("it did not end, killed".to_owned())
            }
        };
        while let Ok(Some(line)) = self.process.line(TICK) {
            self.log.push(line);
        }
        fs::remove_file(&self.port_file).ok();
        let log = std::mem::take(&mut self.log);
        Ok(Run::new(&self.name, log, problem, self.started.elapsed()))
    }

    /// Takes a line if there is one. Whether the process is still running.
    fn follow(&mut self) -> Result<bool> {
        match self.process.line(TICK) {
            Ok(Some(line)) => self.log.push(line),
            Ok(None) => (),
            // Its output is closed, but it lives on: do not spin.
            Err(_) => thread::sleep(TICK),
        }
        self.ended = self.process.ended()?;
        Ok(self.ended.is_none())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        fs::remove_file(&self.port_file).ok();
    }
}
