//! The configurations in `deploy` with the real programs: nginx, HAProxy and Caddy in front of a
//! game's server in the engine, players in front of them; the unit for systemd with systemd's own
//! judge.
//!
//! The players are `tests/proxies/clients.py`, each from an address of its own, and a scene. The
//! files are used as they are, but for ports, paths and names that are not those of this machine. A
//! job whose program is missing here is skipped and counts neither way.

mod front;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::certificates;
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Echo, Stderr};
use crate::project;
use crate::report::{Tally, Verdict};
use crate::workspace::Workspace;

use self::front::Front;
use super::actor::{self, Run, Server};
use super::interop::tools::{Tools, program};

/// The project and the scripts.
const PROJECT: &str = "tests/proxies";
/// For all that players do behind one proxy.
const LIMIT: Duration = Duration::from_secs(120);
/// Silence, in seconds, after which proxies end a connection here. More than anything takes that is
/// not about silence.
const IDLE: u32 = 6;

/// Runs all jobs that can be run here; each case counts.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Skipped("elsewhere only 127.0.0.1 is this machine".to_owned()));
    }
    let mut tally = Tally::default();
    let mut reasons = Vec::new();
    match program("systemd-analyze", "systemd") {
        Ok(program) => {
            judge_unit(workspace, &program)?.iter().for_each(|run| tally.add(run.tell()))
        }
        Err(reason) => reasons.push(format!("unit: {reason:#}")),
    }
    let mut jobs = Vec::new();
    for front in Front::ALL {
        match program(front.program, front.program) {
            Ok(_) => jobs.push(front),
            Err(reason) => reasons.push(format!("{}: {reason:#}", front.name)),
        }
    }
    let python = Tools::find(workspace, &workspace.target.join("interop")).python_packages;
    let python = python.map_err(|reason| reasons.push(format!("players: {reason:#}"))).ok();
    reasons.iter().for_each(|reason| println!("SKIPPED proxies, {reason}"));
    let Some(python) = python.filter(|_| !jobs.is_empty()) else {
        let is_empty = tally == Tally::default();
        return Ok(if is_empty {
            Verdict::Skipped(reasons.join("; "))
        } else {
            Verdict::Counted(tally)
        });
    };

    library::build(workspace, Profile::Debug)?;
    let project = workspace.root.join(PROJECT);
    let engine = engine::find(workspace)?;
    project::prepare(workspace, &engine, &project)?;
    let certificates = certificates::folder(workspace)?;
    let stage = Stage { workspace, engine, project, certificates, python };
    tally.add(actor::play_all(&jobs, |front| front.name, |front| stage.play_behind(front)));
    Ok(Verdict::Counted(tally))
}

/// What the jobs are run with.
struct Stage<'a> {
    workspace: &'a Workspace,
    engine: PathBuf,
    project: PathBuf,
    certificates: PathBuf,
    python: PathBuf,
}

impl Stage<'_> {
    /// Two servers, a proxy in front of them, and players.
    fn play_behind(&self, front: &Front) -> Result<Vec<Run>> {
        let folder = self.workspace.target.join("proxies").join(front.name);
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("failed to remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to create {}", folder.display()))?;
        let mut game = self.serve(front, &folder, "game")?;
        let mut other =
            if front.has_matches { Some(self.serve(front, &folder, "match")?) } else { None };
        let game_port = game.port()?.parse()?;
        let match_port = other.as_mut().map(Server::port).transpose()?;
        let mut proxy = front.start(self, &folder, game_port)?;

        let root = self.certificates.join("root.crt");
        let mut players = Command::new(&self.python);
        players.arg("-B").arg(self.project.join("clients.py"));
        players.arg(format!("--ca={}", root.display()));
        players.args(proxy.urls.iter().map(|url| format!("--proxy={url}")));
        let scheme = if front.passes_tls { "wss" } else { "ws" };
        players.arg(format!("--direct={scheme}://localhost:{game_port}"));
        players.args((!front.passes_tls).then_some("--header"));
        players.args(match_port.map(|port| format!("--match={port}")));
        players.args(front.ends_silence.then(|| format!("--idle={IDLE}")));
        let mut runs = vec![actor::run(&format!("{}, players", front.name), players, LIMIT)?];
        for url in &proxy.urls {
            let mut player = self.scene("player")?;
            player.arg(format!("--url={url}")).arg(format!("--ca={}", root.display()));
            let scheme = url.split(':').next().unwrap_or_default();
            runs.push(actor::run(&format!("{}, engine, {scheme}", front.name), player, LIMIT)?);
        }
        let said = proxy.stop();
        runs.iter_mut().filter(|run| !run.problems.is_empty()).for_each(|run| {
            run.log.extend(said.iter().map(|line| format!("{}: {line}", front.name)));
        });
        runs.push(game.stop()?);
        runs.extend(other.map(Server::stop).transpose()?);
        Ok(runs)
    }

    fn serve(&self, front: &Front, folder: &Path, name: &str) -> Result<Server> {
        let mut command = self.scene("server")?;
        if front.passes_tls {
            command.arg("--proxy-protocol=2");
            for (option, file) in [("chain", "good.crt"), ("key", "good.key")] {
                command.arg(format!("--{option}={}", self.certificates.join(file).display()));
            }
        }
        Server::start(&format!("{}, {name} server", front.name), command, folder.join(name))
    }

    fn scene(&self, name: &str) -> Result<Command> {
        let mut command = engine::headless(&self.engine, &self.project, self.workspace)?;
        command.args(["--script", &format!("res://{name}.gd"), "--"]);
        Ok(command)
    }
}

/// A file of `deploy`, changed for this machine. What is to be replaced has to be in it.
fn fill(workspace: &Workspace, file: &str, changes: &[(&str, String)]) -> Result<String> {
    let path = workspace.root.join("deploy").join(file);
    let mut text =
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    for (from, to) in changes {
        ensure!(text.contains(from), "{} has no {from:?}", path.display());
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Ports that nobody has at present.
fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; COUNT];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener.context("no port is free")?.local_addr()?.port();
    }
    Ok(ports)
}

/// The unit is valid, and as safe as it says.
fn judge_unit(workspace: &Workspace, program: &Path) -> Result<Vec<Run>> {
    let folder = workspace.target.join("proxies");
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    // An instance, whose program exists.
    let unit = folder.join("game@9080.service");
    let changes = [("/opt/game/game.x86_64", "/bin/true".to_owned())];
    fs::write(&unit, fill(workspace, "systemd/game@.service", &changes)?)?;
    let cases: [(_, &[&str]); 2] = [
        ("the unit is valid", &["verify", "--man=no"]),
        // Of 100; an ordinary unit has 96.
        (
            "the unit leaves little open",
            &["security", "--no-pager", "--offline=true", "--threshold=20"],
        ),
    ];
    let judge = |(case, arguments): (&str, &[&str])| {
        let started = Instant::now();
        let mut command = Command::new(program);
        command.args(arguments).arg(&unit);
        let outcome = process::run("", command, LIMIT, Stderr::Merged, Echo::Silent)?;
        // It warns of what it does not know and calls that a success.
        let name = unit.display().to_string();
        let is_warning = |line: &&String| line.starts_with(&name) || line.starts_with("game@");
        let warning = outcome.lines.iter().find(is_warning);
        let problem = outcome.end.problem().or_else(|| warning.cloned());
        let passed = if problem.is_none() { vec![case.to_owned()] } else { Vec::new() };
        anyhow::Ok(Run {
            name: "systemd".to_owned(),
            passed,
            problems: problem.into_iter().collect(),
            log: outcome.lines,
            took: started.elapsed(),
        })
    };
    cases.into_iter().map(judge).collect()
}
