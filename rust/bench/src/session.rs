//! One measurement from the first connection to the last packet.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use crate::anchor;
use crate::client::{End, Link};
use crate::options::Options;
use crate::role::{self, Role};
use crate::script::Script;
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
    let end = Instant::now() + options.limit()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.get("port")?));
    let tls = match options.text("tls") {
        None | Some("no") => None,
        Some(_) => Some(stream::config(options.text("resume") == Some("yes"))?),
    };
    let mut swarm = Swarm::new(address, tls)?;
    let mut session =
        Session { role: role::choose(options)?, script: Script::new(options)?, begun: false };

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
    session.script.add_counts(&mut report)?;
    session.role.report(&mut report);
    println!("{}", Value::Object(report));
    // The server must not be busy with clients that leave: it ends first.
    let end = Instant::now() + LEAVE_LIMIT;
    while Instant::now() < end && session.turn(&mut swarm).is_ok() {}
    Ok(())
}

pub(crate) struct Session {
    pub(crate) role: Box<dyn Role>,
    pub(crate) script: Script,
    begun: bool,
}

impl Session {
    /// Lets the server's script measure. What it found.
    fn play(&mut self, swarm: &mut Swarm, end: Instant) -> Result<Map<String, Value>> {
        let control = swarm.link(CONTROL).context("nobody is there")?;
        control.send(b"go");
        control.flush()?;
        self.wait(swarm, end, |script| script.is_ready)?;
        self.begin(swarm)?;
        self.wait(swarm, end, |script| script.done.is_some())?;
        self.finish(swarm, end)?;
        Ok(self.script.done.take().unwrap_or_default())
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
        come: impl Fn(&Script) -> bool,
    ) -> Result<()> {
        while !come(&self.script) {
            ensure!(Instant::now() < end, "the server is not done");
            self.turn(swarm)?;
        }
        Ok(())
    }

    /// Ends it, and waits for what is on its way.
    pub(crate) fn finish(&mut self, swarm: &mut Swarm, end: Instant) -> Result<()> {
        self.role.end(swarm)?;
        while !(self.role.is_finished() && (self.script.is_sound || !self.role.is_judged())) {
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
}

impl Handler for Session {
    fn opened(&mut self, link: &mut Link) -> Result<()> {
        self.role.opened(link)
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        if link.index == CONTROL && self.script.hear(payload)? {
            return Ok(());
        }
        self.role.message(link, payload)
    }

    fn flushed(&mut self, link: &mut Link) {
        self.role.flushed(link);
    }

    fn closed(&mut self, _index: usize, end: End) -> Result<()> {
        ensure!(end != End::Dismissed, "the server sent a close frame");
        ensure!(end != End::Refused, "the server turned a client away");
        self.role.closed(end != End::Unopened)
    }
}
