//! What the server does while it is measured, counted from outside: system calls by strace,
//! instructions by perf.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::options::Options;

/// Everything that is about sockets; not the clock, memory and the rest that an engine asks for.
const TRACED: &str = "trace=accept,accept4,close,epoll_ctl,epoll_wait,epoll_pwait,epoll_pwait2,\
    fcntl,getpeername,getsockname,getsockopt,ioctl,poll,ppoll,read,readv,recvfrom,recvmsg,sendmsg,\
    sendmmsg,sendto,setsockopt,shutdown,write,writev";
const ATTACH_LIMIT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

/// Who counts.
#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Strace,
    Perf,
}

/// A counter for the server's process, which counts when the server's script says so.
pub(crate) struct Counter {
    tool: Tool,
    server: u32,
    /// While this file is there, it counts; the script waits for it.
    sync: PathBuf,
    running: Option<Child>,
    found: Option<Value>,
}

impl Counter {
    /// The counter that the options ask for, if they do.
    pub(crate) fn choose(options: &Options) -> Result<Option<Self>> {
        let tool = match options.text("count") {
            None => return Ok(None),
            Some("calls") => Tool::Strace,
            Some("instructions") => Tool::Perf,
            Some(other) => bail!("count={other} cannot be used"),
        };
        let sync: PathBuf = options.get("sync")?;
        fs::remove_file(&sync).ok();
        let server = options.get("pid")?;
        Ok(Some(Self { tool, server, sync, running: None, found: None }))
    }

    /// Starts to count.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut child = self.command().spawn().context("failed to start strace or perf")?;
        let started = Instant::now();
        while !self.is_attached(&child) {
            if let Some(end) = child.try_wait()? {
                bail!("strace or perf ended: {end}");
            }
            ensure!(started.elapsed() < ATTACH_LIMIT, "strace or perf does not attach");
            thread::sleep(TICK);
        }
        // A moment more: it is there, and begins.
        thread::sleep(TICK);
        self.running = Some(child);
        fs::write(&self.sync, "").context("failed to tell that it counts")
    }

    /// Stops, and keeps what was counted.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let mut child = self.running.take().context("it does not count")?;
        // Both print when they are interrupted, and let the server run on.
        interrupt(&child)?;
        child.wait().context("failed to wait for strace or perf")?;
        let text = fs::read_to_string(self.output()).context("strace or perf wrote nothing")?;
        self.found = Some(match self.tool {
            Tool::Strace => Value::Object(calls(&text)),
            Tool::Perf => {
                instructions(&text).context("this machine counts no instructions")?.into()
            }
        });
        fs::remove_file(&self.sync).context("failed to tell that it no longer counts")
    }

    /// What was counted and what it is.
    pub(crate) fn found(&mut self) -> Result<(&'static str, Value)> {
        let name = if self.tool == Tool::Strace { "calls" } else { "instructions" };
        Ok((name, self.found.take().context("nothing was counted")?))
    }

    fn command(&self) -> Command {
        let process = self.server.to_string();
        let mut command = match self.tool {
            Tool::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-c", "-q", "-e", TRACED, "-p", &process, "-o"]);
                strace
            }
            Tool::Perf => {
                let mut perf = Command::new("perf");
                perf.args(["stat", "-x", ",", "-e", "instructions", "-p", &process, "-o"]);
                perf
            }
        };
        command.arg(self.output()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        command
    }

    fn output(&self) -> PathBuf {
        self.sync.with_extension("counts")
    }

    fn is_attached(&self, tool: &Child) -> bool {
        match self.tool {
            Tool::Strace => {
                let status = format!("/proc/{}/status", self.server);
                let text = fs::read_to_string(status).unwrap_or_default();
                let tracer = text.lines().find_map(|line| line.strip_prefix("TracerPid:"));
                tracer.is_some_and(|tracer| tracer.trim() != "0")
            }
            Tool::Perf => has_event(Path::new(&format!("/proc/{}/fd", tool.id()))),
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

#[cfg(unix)]
fn interrupt(child: &Child) -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?)
}

#[cfg(not(unix))]
fn interrupt(_child: &Child) -> Result<()> {
    bail!("only Linux has strace and perf")
}

/// Whether a process has one of the kernel's counters open.
fn has_event(descriptors: &Path) -> bool {
    let entries = fs::read_dir(descriptors).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_string_lossy().contains("perf_event"))
}

/// Reads lines like `99.9  0.012  3  4003  12 sendto`; the number of errors may be missing.
fn calls(text: &str) -> Map<String, Value> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let calls: u64 = fields.get(3)?.parse().ok()?;
            let name = *fields.last()?;
            (name != "total").then(|| (name.to_owned(), calls.into()))
        })
        .collect()
}

/// Reads a line like `3807239,,instructions,…`.
fn instructions(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(",instructions"))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_and_without_errors() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                     99.99    0.123456           3      4003        12 sendto\n\
                      0.01    0.000001           0         7           recvfrom\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.123457           3      4010        12 total\n";
        let calls = calls(text);
        assert_eq!(calls.len(), 2);
        assert_eq!((&calls["sendto"], &calls["recvfrom"]), (&4003.into(), &7.into()));
    }

    #[test]
    fn instructions_are_read_where_there_are_any() {
        let text = "# started on …\n\n3807239,,instructions,1000,100.00,0.45,insn per cycle\n";
        assert_eq!(instructions(text), Some(3_807_239));
        assert_eq!(instructions("<not supported>,,instructions,0,100.00,,\n"), None);
    }
}
