//! `cargo xtask autobahn`: the Autobahn test suite against the addon's WebSockets, in an engine.
//!
//! The suite plays a client that fuzzes our server and a server that fuzzes our client; ours are
//! the echo programs of `tests/autobahn`. What it says of each case is compared with the results
//! that are kept beside them.

mod results;

use std::env::consts;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use self::results::{Expected, Seen};
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Process, Stderr, describe};
use crate::project;
use crate::python;
use crate::report::{GREEN, RED, Report, Tally, Verdict, paint};
use crate::scan;
use crate::workspace::Workspace;

/// The programs' Godot project, which holds all else that belongs to the suite too.
const FOLDER: &str = "tests/autobahn";
/// The cases that take no more than a second. Of section 9, limits and performance, there are the two
/// that send the most fragments; compression (12 and 13), which the addon does not offer, is never played.
const SHORT: [&str; 10] =
    ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.3.1", "9.4.1", "10.*"];
const ALL: [&str; 1] = ["*"];
/// For one side's cases. Each has a limit of its own in the suite.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// For a program to listen; starting an engine takes a second or two.
const LISTEN_LIMIT: Duration = Duration::from_secs(30);
/// For a program to end when it should.
const END_LIMIT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(20);

/// The side that the addon plays.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    /// The server, accepting with MioWebSocketServer.
    Server,
    /// The server, accepting with the engine's TCPServer and accept_stream.
    Streams,
    /// The client.
    Client,
    /// All of these; accept_stream with the short cases only.
    All,
}

/// What is played, and what for.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The side that the addon plays.
    #[arg(long, value_enum, default_value_t = Mode::All)]
    mode: Mode,
    /// Play the cases that take no time, and with the library that developers run.
    #[arg(long)]
    short: bool,
    /// Play these cases, such as 6.4.* or 1.*,2.*.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    cases: Vec<String>,
    /// Take what is seen as what is expected from now on.
    #[arg(long)]
    update: bool,
}

/// Where all that is made for the suite is kept.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("autobahn")
}

/// The Python of an environment in which the suite is installed, after making it if need be.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let requirements = workspace.root.join(FOLDER).join("requirements.txt");
    let name = "the Autobahn test suite (a few seconds)";
    python::environment(&folder(workspace).join("venv"), &requirements, name)
}

/// Plays what `arguments` say and prints the account. Whether nothing failed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let python = python(workspace)?;
    let profile = if arguments.short { Profile::Debug } else { Profile::Release };
    let stage = Stage::build(workspace, python, profile)?;
    let mut expected = Expected::read(&workspace.root.join(FOLDER))?;
    let mut report = Report::default();
    let (modes, is_all) = match arguments.mode {
        Mode::All => (&[Mode::Server, Mode::Client, Mode::Streams][..], true),
        ref one => (std::slice::from_ref(one), false),
    };
    for &mode in modes {
        let started = Instant::now();
        let patterns: Vec<&str> = if !arguments.cases.is_empty() {
            arguments.cases.iter().map(String::as_str).collect()
        } else if arguments.short || is_all && mode == Mode::Streams {
            SHORT.to_vec()
        } else {
            ALL.to_vec()
        };
        println!("== {} ({})", mode.name(), patterns.join(" "));
        let mut played = stage.play(mode, &patterns)?;
        if arguments.update {
            expected.learn(mode.side(), &played.seen);
        }
        played.judge(mode, &expected, patterns == ALL);
        report.add(mode.name(), Verdict::Counted(played.tell()), started.elapsed());
    }
    if arguments.update {
        expected.write(&workspace.root.join(FOLDER))?;
    }
    Ok(report.finish())
}

/// The check of `cargo xtask test`: the short cases on all sides. Left out where there is no Python
/// that the suite could be installed for.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    let python = match python(workspace) {
        Ok(python) => python,
        Err(error) => return Ok(Verdict::Skipped(format!("{error:#}"))),
    };
    let stage = Stage::build(workspace, python, Profile::Debug)?;
    let expected = Expected::read(&workspace.root.join(FOLDER))?;
    let mut tally = Tally::default();
    for mode in [Mode::Server, Mode::Client, Mode::Streams] {
        let mut played = stage.play(mode, &SHORT)?;
        played.judge(mode, &expected, false);
        let told = played.tell();
        let word = if told.failed == 0 { paint("ok    ", GREEN) } else { paint("FAILED", RED) };
        println!("{word} {} ({} cases)", mode.name(), told.passed + told.failed);
        tally.add(told);
    }
    Ok(Verdict::Counted(tally))
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Streams => "streams",
            Self::Client => "client",
            Self::All => "all",
        }
    }

    /// The side for which the results are kept: however it accepts, a server is a server.
    fn side(self) -> &'static str {
        match self {
            Self::Client => "client",
            _ => "server",
        }
    }
}

/// All that it takes to play.
struct Stage<'a> {
    workspace: &'a Workspace,
    python: PathBuf,
    engine: PathBuf,
    project: PathBuf,
}

impl<'a> Stage<'a> {
    fn build(workspace: &'a Workspace, python: PathBuf, profile: Profile) -> Result<Self> {
        let library = library::build(workspace, profile)?;
        let engine = engine::find(workspace)?;
        let sources = workspace.root.join(FOLDER);
        let project = match profile {
            Profile::Debug => sources,
            Profile::Release => with_library(workspace, &sources, &library)?,
        };
        project::prepare(workspace, &engine, &project)?;
        Ok(Self { workspace, python, engine, project })
    }

    fn play(&self, mode: Mode, patterns: &[&str]) -> Result<Played> {
        match mode {
            Mode::Client => self.play_client(patterns),
            _ => self.play_server(mode, patterns),
        }
    }

    /// Our server, and the suite's client.
    fn play_server(&self, mode: Mode, patterns: &[&str]) -> Result<Played> {
        let mut command = self.engine("res://server.gd")?;
        if mode == Mode::Streams {
            command.arg("--streams");
        }
        let mut server = Actor::start(command)?;
        let Some(port) = server.port()? else {
            return Ok(server.failed_to_listen());
        };
        let mut command = self.suite("client");
        command.arg(format!("ws://127.0.0.1:{port}")).args(patterns);
        let suite = process::follow(Some(mode.name()), command, LIMIT, Stderr::Merged, |_| ())?;
        let mut played = Played::new(results::read(&suite.lines));
        played.problems.extend(suite.end.problem().map(|problem| format!("the suite: {problem}")));
        if !played.problems.is_empty() {
            played.log.extend(suite.lines);
        }
        if let Err(error) = ask_to_quit(port) {
            played.problems.push(format!("the server cannot be reached any more: {error}"));
        }
        server.finish()?;
        played.look_at(&server.log);
        played.problems.extend(server.problem());
        Ok(played)
    }

    /// The suite's server, and our client.
    fn play_client(&self, patterns: &[&str]) -> Result<Played> {
        let mut command = self.suite("server");
        command.args(patterns);
        let mut suite = Actor::start(command)?;
        let Some(port) = suite.port()? else {
            return Ok(suite.failed_to_listen());
        };
        let mut command = self.engine("res://client.gd")?;
        command.arg(format!("--url=ws://127.0.0.1:{port}"));
        let client = process::follow(Some("client"), command, LIMIT, Stderr::Merged, |_| ())?;
        // It serves until it is ended.
        suite.process.kill();
        suite.drain();
        let mut played = Played::new(results::read(&suite.log));
        played.look_at(&client.lines);
        played
            .problems
            .extend(client.end.problem().map(|problem| format!("the client: {problem}")));
        Ok(played)
    }

    fn engine(&self, script: &str) -> Result<Command> {
        let mut command = engine::headless(&self.engine, &self.project, self.workspace)?;
        command.args(["--script", script, "--"]);
        Ok(command)
    }

    fn suite(&self, role: &str) -> Command {
        let mut command = Command::new(&self.python);
        // -B: no compiled files beside the sources.
        command.arg("-B").arg(self.workspace.root.join(FOLDER).join("suite.py")).arg(role);
        command
    }
}

/// A copy of the project in which an engine of any kind loads `library`: by itself, one with an
/// editor takes the one for debugging.
fn with_library(workspace: &Workspace, sources: &Path, library: &Path) -> Result<PathBuf> {
    let copy = folder(workspace).join("release");
    let addon = copy.join("addons/mio_websocket");
    fs::create_dir_all(&addon).with_context(|| format!("failed to create {}", addon.display()))?;
    let entries =
        fs::read_dir(sources).with_context(|| format!("failed to read {}", sources.display()))?;
    for entry in entries {
        let from = entry.with_context(|| format!("failed to read {}", sources.display()))?.path();
        let extension = from.extension().and_then(|extension| extension.to_str());
        if let (Some("gd" | "godot"), Some(name)) = (extension, from.file_name()) {
            fs::copy(&from, copy.join(name))
                .with_context(|| format!("failed to copy {}", from.display()))?;
        }
    }
    let name = "mio_websocket.gdextension";
    let text = fs::read_to_string(workspace.addon().join(name))
        .with_context(|| format!("failed to read {name}"))?;
    let (head, _) = text.split_once("[libraries]").context("the addon names no libraries")?;
    let library = library.to_string_lossy().replace('\\', "/");
    let text = format!("{head}[libraries]\n\n{} = \"{library}\"\n", consts::OS);
    fs::write(addon.join(name), text).with_context(|| format!("failed to write {name}"))?;
    Ok(copy)
}

/// Connects to our server and asks for the path with which it ends.
fn ask_to_quit(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(END_LIMIT))?;
    stream.write_all(
        b"GET /quit HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )?;
    // Its answer, or else it would find the connection gone before it was looked at.
    ensure!(stream.read(&mut [0; 1024])? > 0, "no answer");
    Ok(())
}

/// A process that listens.
struct Actor {
    process: Process,
    log: Vec<String>,
    is_late: bool,
}

impl Actor {
    fn start(command: Command) -> Result<Self> {
        let process = Process::start(command, Stderr::Merged)?;
        Ok(Self { process, log: Vec::new(), is_late: false })
    }

    /// The port that it says it listens on; `None` if it ends or takes too long.
    fn port(&mut self) -> Result<Option<u16>> {
        let started = Instant::now();
        while started.elapsed() < LISTEN_LIMIT {
            match self.process.line(TICK) {
                Ok(Some(line)) => {
                    let port =
                        line.strip_prefix("listening on ").and_then(|port| port.parse().ok());
                    self.log.push(line);
                    if let Some(port @ 1..) = port {
                        return Ok(Some(port));
                    }
                }
                Ok(None) if self.process.ended()?.is_none() => {}
                _ => break,
            }
        }
        Ok(None)
    }

    /// Waits for its end, and ends it if that takes too long.
    fn finish(&mut self) -> Result<()> {
        let started = Instant::now();
        while self.process.ended()?.is_none() {
            if started.elapsed() > END_LIMIT {
                self.is_late = true;
                self.process.kill();
            }
            self.drain();
        }
        self.drain();
        Ok(())
    }

    /// Takes the lines that are there.
    fn drain(&mut self) {
        while let Ok(Some(line)) = self.process.line(TICK) {
            self.log.push(line);
        }
    }

    /// What was wrong with its end.
    fn problem(&mut self) -> Option<String> {
        if self.is_late {
            return Some("the server did not end and has been killed".to_owned());
        }
        let status = self.process.ended().ok()??;
        (!status.success()).then(|| format!("the server: {}", describe(status)))
    }

    fn failed_to_listen(mut self) -> Played {
        self.process.kill();
        self.drain();
        let mut played = Played::new(Seen::default());
        played.problems.push("nothing listens".to_owned());
        played.log = self.log;
        played
    }
}

/// What a play came to.
struct Played {
    seen: Seen,
    /// Everything that is wrong besides the cases.
    problems: Vec<String>,
    /// What belongs to the problems.
    log: Vec<String>,
    tally: Tally,
}

impl Played {
    fn new(seen: Seen) -> Self {
        Self { seen, problems: Vec::new(), log: Vec::new(), tally: Tally::default() }
    }

    /// Adds what is wrong in the log of an engine.
    fn look_at(&mut self, log: &[String]) {
        let problems = scan::scan(log).problems;
        if !problems.is_empty() {
            self.log.extend(log.iter().cloned());
        }
        self.problems.extend(problems);
    }

    /// Compares the results with those expected, of which none may be missing from a `whole` run.
    fn judge(&mut self, mode: Mode, expected: &Expected, whole: bool) {
        let (tally, differences) = expected.compare(mode.side(), &self.seen, whole);
        self.tally = tally;
        for difference in differences {
            println!("{} {}: {difference}", paint("DIFFERS", RED), mode.name());
        }
    }

    /// Prints what else is wrong, and returns the count; all of that is one more failure.
    fn tell(&self) -> Tally {
        let mut tally = self.tally;
        if !self.problems.is_empty() {
            tally.add(Tally::one(false));
            println!("---- log");
            self.log.iter().for_each(|line| println!("{line}"));
            println!("---- end of log");
            self.problems.iter().for_each(|problem| println!("    {problem}"));
        }
        tally
    }
}
