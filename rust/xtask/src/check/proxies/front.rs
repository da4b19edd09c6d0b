//! The proxies: which file of `deploy` each has, what in it is not of this machine, how it is
//! started.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Process, Stderr};

use super::{IDLE, PROJECT, Stage, fill, free_ports};

const START_LIMIT: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(20);

/// A proxy in one way of using it.
pub(super) struct Front {
    pub(super) name: &'static str,
    /// Its program, which is also Debian's package.
    pub(super) program: &'static str,
    /// TLS goes through it, and a PROXY header in front; else it ends TLS and writes a header.
    pub(super) passes_tls: bool,
    /// Its file leads paths to matches.
    pub(super) has_matches: bool,
    /// It ends connections that are silent.
    pub(super) ends_silence: bool,
    prepare: fn(&Place<'_>) -> Result<Prepared>,
}

/// Where a proxy is to run, and what it stands in front of.
struct Place<'a> {
    stage: &'a Stage<'a>,
    folder: &'a Path,
    game: u16,
}

struct Prepared {
    command: Command,
    /// The first has to accept connections before players come.
    ports: Vec<(&'static str, u16)>,
}

impl Front {
    pub(super) const ALL: [&'static Self; 4] = [
        &Self {
            name: "nginx",
            program: "nginx",
            passes_tls: false,
            has_matches: true,
            ends_silence: true,
            prepare: nginx,
        },
        &Self {
            name: "haproxy-http",
            program: "haproxy",
            passes_tls: false,
            has_matches: true,
            ends_silence: true,
            prepare: haproxy_http,
        },
        &Self {
            name: "haproxy-tcp",
            program: "haproxy",
            passes_tls: true,
            has_matches: false,
            ends_silence: true,
            prepare: haproxy_tcp,
        },
        &Self {
            name: "caddy",
            program: "caddy",
            passes_tls: false,
            has_matches: true,
            ends_silence: false,
            prepare: caddy,
        },
    ];

    /// Starts it in front of the server on `game`.
    pub(super) fn start(&self, stage: &Stage<'_>, folder: &Path, game: u16) -> Result<Proxy> {
        let Prepared { command, ports } = (self.prepare)(&Place { stage, folder, game })?;
        let process = Process::start(command, Stderr::Merged)
            .with_context(|| format!("failed to start {}", self.name))?;
        let urls =
            ports.iter().map(|(scheme, port)| format!("{scheme}://localhost:{port}")).collect();
        let mut proxy = Proxy { process, urls };
        let started = Instant::now();
        for (_, port) in ports {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                if proxy.process.ended()?.is_some() || started.elapsed() > START_LIMIT {
                    bail!("{} does not listen\n{}", self.name, proxy.stop().join("\n"));
                }
                thread::sleep(TICK);
            }
        }
        Ok(proxy)
    }
}

/// A running proxy.
pub(super) struct Proxy {
    process: Process,
    /// Where players find it.
    pub(super) urls: Vec<String>,
}

impl Proxy {
    /// Ends it. What it has said.
    pub(super) fn stop(&mut self) -> Vec<String> {
        self.process.kill();
        std::iter::from_fn(|| self.process.line(TICK).ok().flatten()).collect()
    }
}

impl Place<'_> {
    /// Writes a file of `deploy` into the folder; its path there.
    fn write(&self, name: &str, file: &str, changes: &[(&str, String)]) -> Result<String> {
        self.store(name, &fill(self.stage.workspace, file, changes)?)
    }

    fn store(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    fn certificate(&self, file: &str) -> String {
        self.stage.certificates.join(file).display().to_string()
    }

    fn game(&self) -> String {
        format!("127.0.0.1:{}", self.game)
    }
}

/// Any port may be a match's here.
const MATCHES: (&str, &str) = ("90[0-9][0-9]", "[0-9]+");

fn nginx(place: &Place<'_>) -> Result<Prepared> {
    let [secure, plain, redirect] = free_ports()?;
    place.write(
        "game.conf",
        "nginx/game.conf",
        &[
            ("listen 80;", format!("listen 127.0.0.1:{redirect};")),
            ("listen [::]:80;", String::new()),
            (
                "listen 443 ssl;",
                format!("listen 127.0.0.1:{secure} ssl; listen 127.0.0.1:{plain};"),
            ),
            ("listen [::]:443 ssl;", String::new()),
            ("/etc/letsencrypt/live/game.example.com/fullchain.pem", place.certificate("good.crt")),
            ("/etc/letsencrypt/live/game.example.com/privkey.pem", place.certificate("good.key")),
            ("server_name game.example.com;", "server_name localhost;".to_owned()),
            ("127.0.0.1:9080", place.game()),
            (MATCHES.0, MATCHES.1.to_owned()),
            ("_timeout 90s;", format!("_timeout {IDLE}s;")),
        ],
    )?;
    let around = place.stage.workspace.root.join(PROJECT).join("nginx.conf");
    let around = fs::read_to_string(&around)
        .with_context(|| format!("failed to read {}", around.display()))?;
    let folder = place.folder.display().to_string();
    let file = place.store("nginx.conf", &around.replace("FOLDER", &folder))?;
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p", &folder, "-c", &file]);
    Ok(Prepared { command, ports: vec![("wss", secure), ("ws", plain)] })
}

fn haproxy(file: &str) -> Command {
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f", file]);
    command
}

fn haproxy_http(place: &Place<'_>) -> Result<Prepared> {
    let [secure, plain] = free_ports()?;
    let parts = ["good.crt", "good.key"].map(|file| fs::read_to_string(place.certificate(file)));
    let [chain, key] = parts;
    let pem = place.store("game.example.com.pem", &format!("{}{}", chain?, key?))?;
    let file = place.write(
        "http.cfg",
        "haproxy/http.cfg",
        &[
            ("bind :80\n", format!("bind 127.0.0.1:{plain}\n")),
            ("bind :443 ", format!("bind 127.0.0.1:{secure} ")),
            ("/etc/haproxy/certs/game.example.com.pem", pem),
            // Here both are to be seen.
            ("http-request redirect scheme https unless { ssl_fc }", String::new()),
            ("127.0.0.1:9080", place.game()),
            (MATCHES.0, MATCHES.1.to_owned()),
            ("timeout tunnel 90s", format!("timeout tunnel {IDLE}s")),
            ("maxconn 20000", "maxconn 200".to_owned()),
        ],
    )?;
    Ok(Prepared { command: haproxy(&file), ports: vec![("wss", secure), ("ws", plain)] })
}

fn haproxy_tcp(place: &Place<'_>) -> Result<Prepared> {
    let [secure] = free_ports()?;
    let file = place.write(
        "tcp.cfg",
        "haproxy/tcp.cfg",
        &[
            ("bind :443", format!("bind 127.0.0.1:{secure}")),
            ("127.0.0.1:9443", place.game()),
            ("timeout client 90s", format!("timeout client {IDLE}s")),
            ("timeout server 90s", format!("timeout server {IDLE}s")),
            ("maxconn 20000", "maxconn 200".to_owned()),
        ],
    )?;
    Ok(Prepared { command: haproxy(&file), ports: vec![("wss", secure)] })
}

fn caddy(place: &Place<'_>) -> Result<Prepared> {
    let [secure] = free_ports()?;
    let site = format!(
        "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n\nhttps://localhost:{secure} {{\n\
         \tbind 127.0.0.1\n\ttls {} {}",
        place.certificate("good.crt"),
        place.certificate("good.key")
    );
    let file = place.write(
        "Caddyfile",
        "caddy/Caddyfile",
        &[
            ("\ngame.example.com {", format!("\n{site}")),
            ("127.0.0.1:9080", place.game()),
            (MATCHES.0, MATCHES.1.to_owned()),
        ],
    )?;
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config", &file]);
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(variable, place.folder);
    }
    Ok(Prepared { command, ports: vec![("wss", secure)] })
}
