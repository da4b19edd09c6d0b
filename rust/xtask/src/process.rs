//! Child processes: their output line by line, a time limit, and an end for the whole group.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a process is asked whether it has ended.
const TICK: Duration = Duration::from_millis(20);
/// A process that prints nothing for so long gets a line that says it is still running.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// After the end of a process, its output may still be on its way; a grandchild that inherited
/// the pipe must not keep us waiting for more.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Leaders of the groups that are running, for [`end_all_on_interrupt`].
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Where a process's error output goes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stderr {
    /// Into the same lines as its standard output, in the order written.
    Merged,
    /// To our own error output: cargo shows its progress only on a terminal.
    Inherited,
}

/// Whether the lines of a process are also printed as they come.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Echo {
    Live,
    Silent,
}

/// How a process ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Exited(ExitStatus),
    /// It was late and has been killed; the limit it had.
    TimedOut(Duration),
}

impl End {
    pub(crate) fn success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }

    /// What went wrong, if anything did.
    pub(crate) fn problem(self) -> Option<String> {
        match self {
            Self::Exited(status) if status.success() => None,
            Self::Exited(status) => Some(describe(status)),
            Self::TimedOut(limit) => Some(format!("not done after {} s, killed", limit.as_secs())),
        }
    }
}

/// A finished process.
pub(crate) struct Outcome {
    pub(crate) lines: Vec<String>,
    pub(crate) end: End,
}

/// A running process in a group of its own. Dropping it kills the group.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with nothing on its standard input.
    pub(crate) fn start(mut command: Command, stderr: Stderr) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let (reader, writer) = io::pipe().context("failed to create a pipe")?;
        if stderr == Stderr::Merged {
            command.stderr(writer.try_clone().context("failed to share a pipe")?);
        }
        command.stdin(Stdio::null()).stdout(writer);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let child = command.spawn().with_context(|| format!("failed to start {program}"))?;
        // The command owns our ends of the pipe: without this the reader never sees an end.
        drop(command);
        groups(|running| running.push(child.id()));

        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line);
                if sender.send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self { child, lines, ended: None })
    }

    /// The next line, waiting for it no longer than `limit`. `Err` after the last one.
    pub(crate) fn line(&self, limit: Duration) -> Result<Option<String>, Finished> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Finished),
        }
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none()
            && let Some(status) = self.child.try_wait().context("failed to wait for a process")?
        {
            self.ended = Some(status);
            self.forget();
        }
        Ok(self.ended)
    }

    /// Ends the whole group, if the process has not ended by itself.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        kill_group(self.child.id());
        // Where there are no groups this reaches at least the process itself.
        self.child.kill().ok();
        self.ended = self.child.wait().ok();
        self.forget();
    }

    fn forget(&self) {
        groups(|running| running.retain(|id| *id != self.child.id()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// There are no more lines.
pub(crate) struct Finished;

/// Runs `command` to its end, or kills it when `limit` has passed. `name` is what it is called
/// while it is silent.
pub(crate) fn run(
    name: &str,
    command: Command,
    limit: Duration,
    stderr: Stderr,
    echo: Echo,
) -> Result<Outcome> {
    match echo {
        Echo::Live => follow(Some(name), command, limit, stderr, |line| println!("{line}")),
        Echo::Silent => follow(None, command, limit, stderr, |_| ()),
    }
}

/// Like [`run`], with the lines shown to `watch` as they come. With a `heartbeat`, a long silence
/// is told under that name.
pub(crate) fn follow(
    heartbeat: Option<&str>,
    command: Command,
    limit: Duration,
    stderr: Stderr,
    mut watch: impl FnMut(&str),
) -> Result<Outcome> {
    let started = Instant::now();
    let mut process = Process::start(command, stderr)?;
    let mut lines = Vec::new();
    let mut last_sign = Instant::now();
    let mut exited: Option<(ExitStatus, Instant)> = None;
    loop {
        let line = process.line(TICK);
        let finished = line.is_err();
        let silent = matches!(line, Ok(None));
        if let Ok(Some(line)) = line {
            watch(&line);
            lines.push(line);
            last_sign = Instant::now();
        } else if exited.is_none()
            && let Some(status) = process.ended()?
        {
            exited = Some((status, Instant::now()));
        }
        if let Some((status, since)) = exited
            && (finished || silent && since.elapsed() > LAST_LINES)
        {
            return Ok(Outcome { lines, end: End::Exited(status) });
        }
        if exited.is_none() && started.elapsed() > limit {
            process.kill();
            while let Ok(Some(line)) = process.line(TICK) {
                watch(&line);
                lines.push(line);
            }
            return Ok(Outcome { lines, end: End::TimedOut(limit) });
        }
        if finished {
            // Its output is closed, but it lives on: do not spin.
            thread::sleep(TICK);
        }
        if let Some(name) = heartbeat
            && last_sign.elapsed() > HEARTBEAT
        {
            eprintln!("… {name}: {} s", started.elapsed().as_secs());
            last_sign = Instant::now();
        }
    }
}

/// Kills every running group when this program is interrupted or told to end.
pub(crate) fn end_all_on_interrupt() -> Result<()> {
    ctrlc::set_handler(|| {
        groups(|running| running.drain(..).for_each(kill_group));
        std::process::exit(130);
    })
    .context("failed to listen for interrupts")
}

/// "exit code 3" or "killed by signal 6".
pub(crate) fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("killed by signal {signal}");
    }
    status
        .code()
        .map_or_else(|| "ended without a code".to_owned(), |code| format!("exit code {code}"))
}

fn groups(change: impl FnOnce(&mut Vec<u32>)) {
    // A list of numbers is whole even if a thread panicked while it held the lock.
    change(&mut RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
}

#[cfg(unix)]
fn kill_group(leader: u32) {
    use nix::sys::signal::{Signal, killpg};
    use nix::unistd::Pid;

    if let Ok(leader) = i32::try_from(leader) {
        // It may have ended meanwhile.
        killpg(Pid::from_raw(leader), Signal::SIGKILL).ok();
    }
}

#[cfg(not(unix))]
fn kill_group(_leader: u32) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run("shell", command, limit, Stderr::Merged, Echo::Silent).expect("sh starts")
    }

    #[test]
    fn lines_of_both_outputs_keep_their_order() {
        let outcome = shell("echo one; echo two >&2; printf three", Duration::from_secs(10));
        assert_eq!(outcome.lines, ["one", "two", "three"]);
        assert!(outcome.end.success());
    }

    #[test]
    fn exit_codes_are_problems() {
        let outcome = shell("exit 3", Duration::from_secs(10));
        assert_eq!(outcome.end.problem().as_deref(), Some("exit code 3"));
    }

    #[test]
    fn late_process_is_killed_with_its_children() {
        let folder = std::env::temp_dir();
        let trace = folder.join(format!("xtask-killed-child-{}", std::process::id()));
        let script = format!("(sleep 1; touch '{}') & sleep 30", trace.display());
        let started = Instant::now();
        let outcome = shell(&script, Duration::from_millis(300));
        assert!(matches!(outcome.end, End::TimedOut(_)));
        assert!(started.elapsed() < Duration::from_secs(5));
        thread::sleep(Duration::from_millis(1500));
        assert!(!trace.exists(), "the child outlived its group");
    }

    #[test]
    fn process_that_never_stops_talking_is_late_too() {
        let outcome = shell("while :; do echo again; done", Duration::from_millis(200));
        assert!(matches!(outcome.end, End::TimedOut(_)));
    }

    #[test]
    fn background_child_does_not_keep_us_waiting() {
        let started = Instant::now();
        let outcome = shell("sleep 20 & echo done", Duration::from_secs(15));
        assert_eq!(outcome.lines, ["done"]);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
