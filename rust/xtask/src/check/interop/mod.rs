//! The classes against other people's implementations, ws and wss, as servers and as clients:
//! Python's `websockets`, Node's `ws`, a page in Chromium, OpenSSL's command-line tool, Prometheus.
//!
//! The other side is a script in `tests/interop/{python,node}`, ours a scene in
//! `tests/interop/godot`; each prints its cases. A job whose program is missing on this machine is
//! skipped and counts neither way.

mod admission;
pub(super) mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::certificates;
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{Process, Stderr};
use crate::project;
use crate::report::Verdict;
use crate::workspace::Workspace;

use self::tools::Tools;
use super::actor::{self, Run, Server};

/// The scripts of both sides.
const SCRIPTS: &str = "tests/interop";
/// What an operator copies to have a server watched.
const SCRAPE_CONFIG: &str = "godot_project/examples/status/prometheus.yml";
/// For the cases of one script, which take seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Cases that need the same programs.
struct Job {
    name: &'static str,
    run: fn(&Stage<'_>) -> Result<Vec<Run>>,
    /// What this machine lacks for it.
    lacks: fn(&Tools) -> Option<String>,
}

const JOBS: [Job; 11] = [
    Job {
        name: "browser",
        run: browser,
        lacks: |tools| lacks(&tools.chromium).or_else(|| lacks(&tools.node)),
    },
    Job {
        name: "spectator",
        run: spectator,
        lacks: |tools| lacks(&tools.chromium).or_else(|| lacks(&tools.node)),
    },
    Job {
        name: "browser admission",
        run: admission::browser,
        lacks: |tools| lacks(&tools.chromium).or_else(|| lacks(&tools.node)),
    },
    Job {
        name: "python admission",
        run: admission::python,
        lacks: |tools| lacks(&tools.python_packages),
    },
    Job {
        name: "openssl client",
        run: openssl_client,
        lacks: |tools| lacks(&tools.openssl).or_else(|| lacks(&tools.python)),
    },
    Job {
        name: "openssl server",
        run: openssl_server,
        lacks: |tools| lacks(&tools.openssl).or_else(|| lacks(&tools.python)),
    },
    Job {
        name: "python clients",
        run: |stage| stage.clients("python clients", stage.python("clients.py")?),
        lacks: |tools| lacks(&tools.python_packages),
    },
    Job {
        name: "python servers",
        run: |stage| stage.servers("python servers", stage.python("servers.py")?),
        lacks: |tools| lacks(&tools.python_packages),
    },
    Job {
        name: "node clients",
        run: |stage| stage.clients("node clients", stage.node("clients.mjs")?),
        lacks: |tools| lacks(&tools.node),
    },
    Job {
        name: "node servers",
        run: |stage| stage.servers("node servers", stage.node("servers.mjs")?),
        lacks: |tools| lacks(&tools.node),
    },
    Job {
        name: "prometheus",
        run: prometheus,
        lacks: |tools| lacks(&tools.prometheus).or_else(|| lacks(&tools.python_packages)),
    },
];

fn lacks<T>(tool: &Result<T>) -> Option<String> {
    tool.as_ref().err().map(|error| format!("{error:#}"))
}

/// Runs all jobs that can be run here; each case counts.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    let folder = workspace.target.join("interop");
    let tools = Tools::find(workspace, &folder);
    let mut jobs = Vec::new();
    let mut reasons = Vec::new();
    for job in &JOBS {
        match (job.lacks)(&tools) {
            None => jobs.push(job),
            Some(reason) => {
                println!("SKIPPED interop, {}: {reason}", job.name);
                reasons.push(reason);
            }
        }
    }
    if jobs.is_empty() {
        reasons.dedup();
        return Ok(Verdict::Skipped(reasons.join("; ")));
    }

    // Nothing to do if an earlier check did it.
    library::build(workspace, Profile::Debug)?;
    let project = workspace.root.join(SCRIPTS).join("godot");
    let engine = engine::find(workspace)?;
    project::prepare(workspace, &engine, &project)?;
    let certificates = certificates::folder(workspace)?;
    let screenshots =
        ["browser-ws.png", "browser-wss.png", "watch.png"].map(|name| folder.join(name));
    for screenshot in &screenshots {
        // One of an earlier run would say nothing of this one.
        fs::remove_file(screenshot).ok();
    }
    let stage = Stage { workspace, engine, project, certificates, folder, tools };

    let tally = actor::play_all(&jobs, |job| job.name, |job| (job.run)(&stage));
    for screenshot in screenshots.iter().filter(|screenshot| screenshot.exists()) {
        println!("screenshot: {}", screenshot.display());
    }
    Ok(Verdict::Counted(tally))
}

/// What the jobs are run with.
struct Stage<'a> {
    workspace: &'a Workspace,
    engine: PathBuf,
    project: PathBuf,
    certificates: PathBuf,
    folder: PathBuf,
    tools: Tools,
}

impl Stage<'_> {
    /// The cases of a script that is a client of servers of ours: the multiplayer server and the
    /// plain one, each with and without TLS.
    fn clients(&self, name: &str, mut command: Command) -> Result<Vec<Run>> {
        command.arg(format!("--ca={}", self.certificates.join("root.crt").display()));
        let mut servers = Vec::new();
        for kind in ["game", "echo"] {
            for scheme in ["ws", "wss"] {
                let title = format!("{name}, {kind} server, {scheme}");
                let server = self.serve_scene(&title, &format!("{kind}_server"), scheme, &[])?;
                servers.push((kind, scheme, server));
            }
        }
        for (kind, scheme, server) in &mut servers {
            command.arg(format!("--{kind}={}", url(scheme, server)?));
        }
        let mut runs = vec![actor::run(name, command, LIMIT)?];
        for (_, _, server) in servers {
            runs.push(server.stop()?);
        }
        Ok(runs)
    }

    /// The cases of our clients with the servers that a script runs.
    fn servers(&self, name: &str, mut command: Command) -> Result<Vec<Run>> {
        self.certify(&mut command);
        let mut server = self.serve(name, command)?;
        server.port()?;
        let ports = server.port_file();
        let runs = [
            self.client(&format!("{name}, socket"), "socket_client", ports)?,
            self.client(&format!("{name}, game"), "game_client", ports)?,
            server.stop()?,
        ];
        Ok(runs.into())
    }

    /// The cases of a scene that is a client of the servers in `ports`.
    fn client(&self, name: &str, scene: &str, ports: &Path) -> Result<Run> {
        let mut command = self.scene(scene)?;
        command.arg(format!("--ports={}", ports.display()));
        self.certify(&mut command);
        actor::run(name, command, LIMIT)
    }

    /// A server of ours. With TLS its certificate is one that the root has not signed itself.
    fn serve_scene(
        &self,
        name: &str,
        scene: &str,
        scheme: &str,
        arguments: &[&str],
    ) -> Result<Server> {
        let mut command = self.scene(scene)?;
        command.args(arguments);
        if scheme == "wss" {
            self.identify(&mut command);
        }
        self.serve(name, command)
    }

    /// Gives a server of ours its certificate.
    fn identify(&self, command: &mut Command) {
        for (option, file) in [("chain", "via_inter.chain.crt"), ("key", "via_inter.key")] {
            command.arg(format!("--{option}={}", self.certificates.join(file).display()));
        }
    }

    fn serve(&self, name: &str, command: Command) -> Result<Server> {
        let file = format!("{}-{}.port", name.replace([',', ' '], "-"), std::process::id());
        Server::start(name, command, self.folder.join(file))
    }

    fn scene(&self, name: &str) -> Result<Command> {
        self.scene_with(name, &[])
    }

    /// A scene in an engine that prints what it does.
    fn verbose_scene(&self, name: &str) -> Result<Command> {
        self.scene_with(name, &["--verbose"])
    }

    fn scene_with(&self, name: &str, options: &[&str]) -> Result<Command> {
        let mut command = engine::headless(&self.engine, &self.project, self.workspace)?;
        command.args(options).args(["--script", &format!("res://{name}.gd"), "--"]);
        Ok(command)
    }

    fn python(&self, script: &str) -> Result<Command> {
        Ok(self.script(available(&self.tools.python_packages)?, script))
    }

    fn script(&self, python: &Path, script: &str) -> Command {
        let mut command = Command::new(python);
        // Nothing is left in the sources.
        command.arg("-B").arg(self.workspace.root.join(SCRIPTS).join("python").join(script));
        command
    }

    fn node(&self, script: &str) -> Result<Command> {
        let (node, folder) = available(&self.tools.node)?;
        let mut command = Command::new(node);
        command.arg(folder.join(script));
        Ok(command)
    }

    fn certify(&self, command: &mut Command) {
        command.arg(format!("--certificates={}", self.certificates.display()));
    }
}

/// Where a server of ours listens. For TLS by name: not every certificate has the address.
fn url(scheme: &str, server: &mut Server) -> Result<String> {
    let host = if scheme == "wss" { "localhost" } else { "127.0.0.1" };
    Ok(format!("{scheme}://{host}:{}", server.port()?))
}

/// A page joins two games, each of which has a player of the built-in class already.
fn browser(stage: &Stage<'_>) -> Result<Vec<Run>> {
    let mut command = stage.node("browser.mjs")?;
    let chromium = available(&stage.tools.chromium)?;
    command.arg(format!("--chromium={}", chromium.display()));
    command.arg(format!("--output={}", stage.folder.display()));
    stage.certify(&mut command);

    // That the browser also opens the server as a page is an error to the server.
    let expected: [(_, &[&str]); 2] =
        [("ws", &[]), ("wss", &["--expect=upgrade refused with 426"])];
    let mut servers = Vec::new();
    for (scheme, arguments) in expected {
        let name = format!("browser, game server, {scheme}");
        servers.push((scheme, stage.serve_scene(&name, "game_server", scheme, arguments)?));
    }
    let mut bots = Vec::new();
    for (scheme, server) in &mut servers {
        let url = url(scheme, server)?;
        command.arg(format!("--game={url}"));
        let mut bot = stage.scene("bot")?;
        bot.arg(format!("--url={url}"));
        if *scheme == "wss" {
            bot.arg(format!("--ca={}", stage.certificates.join("root.crt").display()));
        }
        bots.push((format!("browser, opponent, {scheme}"), bot));
    }

    let mut runs = Vec::new();
    thread::scope(|scope| {
        let bots: Vec<_> = bots
            .into_iter()
            .map(|(name, bot)| scope.spawn(move || actor::run(&name, bot, LIMIT)))
            .collect();
        runs.push(actor::run("browser", command, LIMIT)?);
        for bot in bots {
            runs.push(bot.join().ok().context("a thread panicked")??);
        }
        anyhow::Ok(())
    })?;
    for (_, server) in servers {
        runs.push(server.stop()?);
    }
    Ok(runs)
}

/// A page watches a match of the game that is played by bots.
fn spectator(stage: &Stage<'_>) -> Result<Vec<Run>> {
    const BOTS: &str = "16";
    let game = stage.workspace.root.join("godot_project");
    project::prepare(stage.workspace, &stage.engine, &game)?;
    let headless = || engine::headless(&stage.engine, &game, stage.workspace);
    let mut command = headless()?;
    command.args(["--", "--server", "--port", "0", "--bind", "127.0.0.1"]);
    let mut server = stage.serve("spectator, game", command)?;
    let ports = server.port()?;
    let (port, spectators) = ports.split_once(' ').context("the game is not to be watched")?;

    let mut command = headless()?;
    command.args(["--", "--bot", "--url", &format!("ws://127.0.0.1:{port}"), "--count", BOTS]);
    let _bots = Process::start(command, Stderr::Merged).context("failed to start bots")?;

    let mut command = stage.node("watch.mjs")?;
    let chromium = available(&stage.tools.chromium)?;
    command.arg(format!("--chromium={}", chromium.display()));
    command.arg(format!("--output={}", stage.folder.display()));
    command.arg(format!("--page={}", game.join("watch").display()));
    command.arg(format!("--match=ws://127.0.0.1:{spectators}"));
    command.arg(format!("--players={BOTS}"));
    stage.certify(&mut command);
    Ok(vec![actor::run("spectator", command, LIMIT)?, server.stop()?])
}

/// Some of these handshakes are meant to fail.
fn openssl_client(stage: &Stage<'_>) -> Result<Vec<Run>> {
    let name = "openssl client, game server";
    let expected = "--expect=tls handshake failed";
    let mut server = stage.serve_scene(name, "game_server", "wss", &[expected])?;
    let mut command = stage.script(available(&stage.tools.python)?, "openssl.py");
    command.arg("client").arg(format!("--game={}", url("wss", &mut server)?));
    stage.certify(&mut command);
    Ok(vec![actor::run("openssl client", command, LIMIT)?, server.stop()?])
}

fn openssl_server(stage: &Stage<'_>) -> Result<Vec<Run>> {
    let mut command = stage.script(available(&stage.tools.python)?, "openssl.py");
    command.arg("server");
    stage.certify(&mut command);
    let mut server = stage.serve("openssl server", command)?;
    server.port()?;
    let client = stage.client("openssl server, socket", "key_update_client", server.port_file())?;
    Ok(vec![client, server.wait(LIMIT)?])
}

/// The status endpoint, which is not a WebSocket: its watchers read it.
fn prometheus(stage: &Stage<'_>) -> Result<Vec<Run>> {
    let (promtool, prometheus) = available(&stage.tools.prometheus)?;
    let mut server = stage.serve_scene("prometheus, server", "status_server", "ws", &[])?;
    let mut command = stage.python("metrics.py")?;
    command.arg(format!("--endpoint=http://127.0.0.1:{}", server.port()?));
    command.arg(format!("--promtool={}", promtool.display()));
    command.arg(format!("--prometheus={}", prometheus.display()));
    command.arg(format!("--config={}", stage.workspace.root.join(SCRAPE_CONFIG).display()));
    Ok(vec![actor::run("prometheus", command, LIMIT)?, server.stop()?])
}

fn available<T>(tool: &Result<T>) -> Result<&T> {
    tool.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
}
