//! One measurement from the first connection to the last packet.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use crate::anchor;
use crate::client::Link;
use crate::counter::Counter;
use crate::options::Options;
use crate::role::{self, Role};
use crate::stream;
use crate::swarm::{Handler, Swarm};

/// The client that talks with the server's script about the run.
const CONTROL: usize = 0;
/// Clients that connect at a time before the measurement: the engine's class has a backlog of 8,
/// and what does not fit is tried again by the kernel after seconds.
const OPENING_AT_ONCE: usize = 4;
const LEAVE_LIMIT: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(100);

/// Plays the clients of a run, and prints what the server's script and the role found.
pub(crate) fn run(options: &Options) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(options.get_or("limit", 120)?);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.get("port")?));
    let tls = match options.text("tls") {
        None | Some("no") => None,
        Some(_) => Some(stream::config(options.text("resume") == Some("yes"))?),
    };
    let mut swarm = Swarm::new(address, tls)?;
    let mut session = Session {
        role: role::choose(options)?,
        counter: Counter::choose(options)?,
        begun: false,
        signs: Signs::default(),
    };

    let clients = session.role.gathers();
    while swarm.len() < clients || swarm.opening() > 0 {
        ensure!(Instant::now() < end, "only {} clients got in", swarm.len() - swarm.opening());
        while swarm.len() < clients && swarm.opening() < OPENING_AT_ONCE {
            swarm.open()?;
        }
        swarm.turn(WAIT, &mut session)?;
    }

    let mut report = if options.text("anchor").is_some() {
        anchor::measure(&mut session, &mut swarm, options, end)?
    } else {
        session.play(&mut swarm, end)?
    };
    if let Some(counter) = &mut session.counter {
        let (name, found) = counter.found()?;
        report.insert(name.to_owned(), found);
    }
    session.role.report(&mut report);
    println!("{}", Value::Object(report));
    // The server must not be busy with clients that leave: it ends first.
    let end = Instant::now() + LEAVE_LIMIT;
    while Instant::now() < end && session.turn(&mut swarm).is_ok() {}
    Ok(())
}

pub(crate) struct Session {
    pub(crate) role: Box<dyn Role>,
    pub(crate) counter: Option<Counter>,
    begun: bool,
    signs: Signs,
}

/// What the server's script has said.
#[derive(Default)]
struct Signs {
    ready: bool,
    done: Option<Map<String, Value>>,
    sound: bool,
}

impl Session {
    /// Lets the server's script measure. What it found.
    fn play(&mut self, swarm: &mut Swarm, end: Instant) -> Result<Map<String, Value>> {
        let control = swarm.link(CONTROL).context("nobody is there")?;
        control.send(b"go");
        control.flush()?;
        self.wait(swarm, end, |signs| signs.ready)?;
        self.begin(swarm)?;
        self.wait(swarm, end, |signs| signs.done.is_some())?;
        self.finish(swarm, end)?;
        Ok(self.signs.done.take().unwrap_or_default())
    }

    /// Has the clients begin.
    pub(crate) fn begin(&mut self, swarm: &mut Swarm) -> Result<()> {
        self.begun = true;
        self.role.begin(swarm)
    }

    /// Goes on for some time.
    pub(crate) fn turn_for(&mut self, swarm: &mut Swarm, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(swarm)?;
        }
        Ok(())
    }

    fn wait(
        &mut self,
        swarm: &mut Swarm,
        end: Instant,
        come: impl Fn(&Signs) -> bool,
    ) -> Result<()> {
        while !come(&self.signs) {
            ensure!(Instant::now() < end, "the server is not done");
            self.turn(swarm)?;
        }
        Ok(())
    }

    /// Ends it, and waits for what is on its way.
    pub(crate) fn finish(&mut self, swarm: &mut Swarm, end: Instant) -> Result<()> {
        self.role.end(swarm)?;
        while !(self.role.is_finished() && (self.signs.sound || !self.role.is_judged())) {
            ensure!(Instant::now() < end, "packets are missing: {}", self.role.missing());
            self.turn(swarm)?;
        }
        Ok(())
    }

    fn turn(&mut self, swarm: &mut Swarm) -> Result<()> {
        let next = if self.begun { self.role.tick(swarm)? } else { None };
        let wait = next.map_or(WAIT, |next| next.saturating_duration_since(Instant::now()));
        swarm.turn(wait.min(WAIT), self)
    }

    /// Takes what the server's script says about the run. Whether the packet was such.
    fn control(&mut self, payload: &[u8]) -> Result<bool> {
        if payload == b"ready" {
            self.signs.ready = true;
        } else if payload == b"sound" {
            self.signs.sound = true;
        } else if payload == b"count" {
            self.counter.as_mut().context("there is nothing to count with")?.start()?;
        } else if payload == b"counted" {
            self.counter.as_mut().context("there is nothing to count with")?.stop()?;
        } else if let Some(json) = payload.strip_prefix(b"done") {
            let done: Map<String, Value> = serde_json::from_slice(json)
                .map_err(|error| anyhow!("what the server found is not JSON: {error}"))?;
            if let Some(refused) = done.get("refused") {
                bail!("the server's peer refused {refused} packets");
            }
            self.signs.done = Some(done);
        } else if payload.starts_with(b"broken") {
            bail!("{}", String::from_utf8_lossy(payload));
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl Handler for Session {
    fn opened(&mut self, link: &mut Link) -> Result<()> {
        self.role.opened(link)
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        if link.index == CONTROL && self.control(payload)? {
            return Ok(());
        }
        self.role.message(link, payload)
    }

    fn flushed(&mut self, link: &mut Link) {
        self.role.flushed(link);
    }

    fn closed(&mut self, opened: bool) -> Result<()> {
        self.role.closed(opened)
    }
}
