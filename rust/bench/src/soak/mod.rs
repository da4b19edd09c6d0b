//! The clients of `cargo xtask soak`. They come, play and leave, well and badly, while the server
//! is disturbed in its work, for as long as the options say; each packet is checked on both sides.
//!
//! Now and then all is calm: everything that is on its way arrives, client and server compare what
//! they counted, and the server measures itself with the same number of clients as before.
//! `tests/bench/soak` is the server's part. The output is a line every few seconds, `FAIL` for what
//! went wrong, `PASS` for what did not, and last a JSON object.

mod crowd;
mod figures;
mod ledger;
mod packet;
mod plan;
mod player;
mod socket;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use self::crowd::{Crowd, Hall, Mood};
use self::figures::Sample;
use crate::options::Options;
use crate::stream;
use crate::swarm::Swarm;

const WAIT: Duration = Duration::from_millis(100);
/// From one calm to the next.
const CALM_PERIOD: Duration = Duration::from_secs(300);
/// Of a short run, before the first calm: everything should have happened once.
const WARM: f64 = 0.4;
/// Frames from one line to the next.
const LINE_PERIOD: u64 = 300;
/// Frames until an engine has opened what it opens at its start.
const STARTED: u64 = 60;
/// Frames that a server has to close the descriptors of connections that have ended. It waits three
/// seconds for the other side's end.
const CLOSING: u64 = 1200;
/// A server that tells of no frame for so long hangs.
const STUCK: Duration = Duration::from_secs(60);
/// For everything that takes no fixed time: joining, calming down, leaving.
const GRACE: Duration = Duration::from_secs(180);
/// Bytes by which the server's own memory may grow from the first calm to the last. An allocator
/// does not give back all that it has once had; a leak grows without end.
const MEMORY_BOUND: u64 = 16 << 20;

/// Plays, and prints what was found. Whether nothing was wrong is the result.
pub(crate) fn run(options: &Options) -> Result<()> {
    let duration = Duration::try_from_secs_f64(options.get::<f64>("minutes")? * 60.0)?;
    let clients: usize = options.get("clients")?;
    let seed: u64 = options.get("seed")?;
    let address = |name| anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, options.get(name)?)));
    let halls = vec![
        Hall::new("ws", address("ws")?, None, clients - clients / 4),
        Hall::new("wss", address("wss")?, Some(stream::config(true)?), clients / 4),
    ];
    let frames = (duration.as_secs_f64() * 60.0) as u64;
    let crowd = Crowd::new(halls, seed, (frames / 10).clamp(1200, 9000));
    let mut soak = Soak {
        swarm: Swarm::new(address("desk")?, None)?,
        crowd,
        started: Instant::now(),
        last_frame: Instant::now(),
        limit: Instant::now() + duration + GRACE,
        next_line: 0,
        last: None,
        calms: Vec::new(),
    };
    if let Err(error) = soak.play(duration) {
        soak.crowd.fail(format!("{error:#}; {}", soak.crowd.waiting()));
    }
    soak.report(seed)
}

struct Soak {
    swarm: Swarm,
    crowd: Crowd,
    started: Instant,
    last_frame: Instant,
    /// It is over then, whatever happens.
    limit: Instant,
    /// The frame in which a line is due.
    next_line: u64,
    /// What was measured last, and in which frame it was known.
    last: Option<(u64, Sample)>,
    /// What was measured when it was calm, and in which second.
    calms: Vec<(u64, Sample)>,
}

impl Soak {
    fn play(&mut self, duration: Duration) -> Result<()> {
        self.swarm.open()?;
        while self.crowd.common.frame < STARTED {
            self.turn()?;
        }
        let empty = self.measure(None)?;
        let end = self.started + duration;
        let mut next_calm = self.started + duration.mul_f64(WARM).min(CALM_PERIOD);
        while Instant::now() < end {
            self.crowd.set_mood(Mood::Lively);
            while Instant::now() < next_calm {
                self.turn()?;
            }
            self.calm_down(&empty)?;
            // The last one is at the end.
            next_calm = Instant::now() + CALM_PERIOD;
            if next_calm + CALM_PERIOD / 2 > end {
                next_calm = end;
            }
        }
        self.leave(&empty)
    }

    /// Waits until everything has arrived, and compares what both sides have counted.
    fn calm_down(&mut self, empty: &Sample) -> Result<()> {
        self.crowd.set_mood(Mood::Calm);
        self.settle()?;
        let clients = self.crowd.count();
        let all = clients.iter().sum::<usize>() as u64;
        let sample = self.measure(Some(empty.descriptors + all))?;
        self.compare(&sample, empty, &clients);
        self.calms.push((self.started.elapsed().as_secs(), sample));
        Ok(())
    }

    /// Has all clients leave; then nothing may be left of them.
    fn leave(&mut self, empty: &Sample) -> Result<()> {
        self.crowd.set_mood(Mood::Over);
        self.settle()?;
        let sample = self.measure(Some(empty.descriptors))?;
        let before = self.crowd.failure_count;
        self.compare(&sample, empty, &vec![0; sample.halls.len()]);
        self.pass("nothing is left when all have gone", before);
        self.check_memory();

        let before = self.crowd.failure_count;
        let untold: Vec<u32> = self.crowd.ledger.untold().collect();
        if !untold.is_empty() {
            self.crowd.fail(format!("the server never told the end of clients {untold:?}"));
        }
        let strangers: Vec<u32> = self.crowd.ledger.strangers().collect();
        if !strangers.is_empty() {
            self.crowd.fail(format!("clients {strangers:?} played and know nothing of it"));
        }
        self.pass("both sides tell of the same connections", before);
        if sample.failures > 0 {
            // The server has printed them.
            self.crowd.failure_count += usize::try_from(sample.failures)?;
        }
        self.pass("all packets came, in order and unchanged", 0);
        self.crowd.command(json!({ "do": "quit" }));
        self.crowd.act(&mut self.swarm)
    }

    /// Compares a measurement with what must be so when it is calm.
    fn compare(&mut self, sample: &Sample, empty: &Sample, clients: &[usize]) {
        let all = clients.iter().sum::<usize>() as u64;
        if sample.descriptors != empty.descriptors + all {
            self.crowd.fail(format!(
                "the server has {} descriptors with {all} clients; without any it had {}",
                sample.descriptors, empty.descriptors
            ));
        }
        for (hall, clients) in sample.halls.iter().zip(clients) {
            let [peers, joined, left] = *hall;
            if peers != *clients as u64 || joined - left != peers {
                self.crowd.fail(format!(
                    "{clients} clients are there; the server has {peers} peers, {joined} joined \
                     and {left} left"
                ));
            }
        }
    }

    /// The first calm is the measure: by then everything has happened once.
    fn check_memory(&mut self) {
        let (Some((_, first)), Some((_, last))) = (self.calms.first(), self.calms.last()) else {
            return;
        };
        let growth = last.anonymous.saturating_sub(first.anonymous);
        let before = self.crowd.failure_count;
        if growth > MEMORY_BOUND {
            self.crowd.fail(format!(
                "the server's own memory has grown by {growth} bytes with the same number of \
                 clients; the bound is {MEMORY_BOUND}"
            ));
        }
        self.pass("memory stays as it is", before);
    }

    /// Says that something is as it should be, unless there were failures since there were `before`.
    fn pass(&self, what: &str, before: usize) {
        if self.crowd.failure_count == before {
            println!("PASS {what}");
        }
    }

    /// Goes on until something happens, and gives everybody a turn if a frame is over.
    fn turn(&mut self) -> Result<()> {
        self.swarm.turn(WAIT, &mut self.crowd)?;
        if std::mem::take(&mut self.crowd.has_frame) {
            self.last_frame = Instant::now();
            let frame = self.crowd.common.frame;
            if frame >= self.next_line {
                self.next_line = frame + LINE_PERIOD;
                self.crowd.ask_for_sample();
            }
            self.crowd.act(&mut self.swarm)?;
            if let Some(sample) = self.crowd.sample.take() {
                self.print(&sample);
                self.last = Some((frame, sample));
            }
        }
        ensure!(self.last_frame.elapsed() < STUCK, "the server tells of no new frame");
        ensure!(Instant::now() < self.limit, "it takes too long");
        Ok(())
    }

    /// Waits until everybody is where they should be.
    fn settle(&mut self) -> Result<()> {
        while !self.crowd.is_settled() {
            self.turn()?;
        }
        Ok(())
    }

    /// Has the server measure itself, again and again until it has so many descriptors or has had
    /// its time to close some.
    fn measure(&mut self, descriptors: Option<u64>) -> Result<Sample> {
        let until = self.crowd.common.frame + CLOSING;
        loop {
            let asked = self.crowd.common.frame;
            self.crowd.ask_for_sample();
            let sample = loop {
                self.turn()?;
                match &self.last {
                    Some((frame, sample)) if *frame > asked => break sample.clone(),
                    _ => {}
                }
            };
            if descriptors.is_none_or(|awaited| sample.descriptors == awaited) || asked > until {
                return Ok(sample);
            }
        }
    }

    fn print(&self, sample: &Sample) {
        let figures = &self.crowd.common.figures;
        println!(
            "{:>4} s | {} in | {} joins, {} ends | packets {} in, {} out | round trip {} and {} \
             frames | {}",
            self.started.elapsed().as_secs(),
            sample.peers(),
            figures.joins,
            self.crowd.ledger.ends(),
            figures.to_server.packets,
            figures.to_clients.packets,
            figures.round_trip(0.5),
            figures.round_trip(0.99),
            sample.text(),
        );
    }

    /// Prints everything as one line of JSON; an error if something was wrong.
    fn report(&self, seed: u64) -> Result<()> {
        let Crowd { common, ledger, failures, failure_count, .. } = &self.crowd;
        let figures = &common.figures;
        let last = self.last.as_ref().map(|(_, sample)| sample);
        let calms: Vec<Value> =
            self.calms.iter().map(|(second, sample)| sample.json(*second)).collect();
        let report = json!({
            "seed": seed,
            "seconds": self.started.elapsed().as_secs(),
            "frames": common.frame,
            "most_clients": figures.most_clients,
            "joins": figures.joins,
            "ends": ledger.leaves,
            "to_server": figures.to_server.json(),
            "to_clients": figures.to_clients.json(),
            "refused_and_sent_later": last.map(|last| last.refused),
            "round_trip_frames": { "p50": figures.round_trip(0.5), "p99": figures.round_trip(0.99) },
            "longest_poll_usec": last.map(|last| last.longest_poll),
            "calms": calms,
            "memory_bound_bytes": MEMORY_BOUND,
            "failures": failures,
            "failure_count": failure_count,
        });
        println!("{report}");
        ensure!(*failure_count == 0, "{failure_count} failures");
        Ok(())
    }
}
