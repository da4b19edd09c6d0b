//! All clients of a soak: takes what comes for them, and gives each its turn once a frame of the
//! server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustls::ClientConfig;
use serde_json::{Value, json};

use super::figures::{Figures, Sample};
use super::ledger::{How, Ledger, Theirs};
use super::packet::{self, Pattern, Word};
use super::plan::{Cut, Entry, Leave, Plan};
use super::player::{Common, Player, Stage};
use super::socket;
use crate::client::{End, Link, REQUEST};
use crate::stream::Stream;
use crate::swarm::{Handler, Swarm};

/// The client that talks with the server's script about the run.
pub(super) const DESK: usize = 0;
/// Frames that anything may take at most; a minute.
const PATIENCE: u64 = 3600;
/// Clients that are started in a frame, but in a storm.
const STARTS: usize = 8;
/// Clients of a hall that do not read, at most. They take turns with broadcasts to all at once, which
/// would be refused for them.
const STALLED: usize = 3;
const STALL_TURN: u64 = 600;
/// Frames after a hall has begun to let newcomers in again until all have noticed.
const AFTERMATH: u64 = 120;
/// Frames that a drain waits, when it has closed everybody, for those who do not answer: three seconds.
const PARTING: u64 = 180;
/// Failures that are printed.
const FAILURES: usize = 20;

/// A server that clients join.
pub(super) struct Hall {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Clients that it is to have.
    pub(super) target: usize,
    /// Until that frame it may have turned newcomers away.
    closed_until: u64,
    /// Until that frame it may have been polled rarely.
    slow_until: u64,
}

impl Hall {
    pub(super) fn new(
        name: &'static str,
        address: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
        target: usize,
    ) -> Self {
        Self { name, address, tls, target, closed_until: 0, slow_until: 0 }
    }

    /// It turns newcomers away for so many frames.
    fn turns_away(&mut self, frame: u64, frames: u64) {
        self.closed_until = self.closed_until.max(frame + frames + AFTERMATH);
    }
}

/// What everybody does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Clients come, play and go.
    Lively,
    /// All that is on its way arrives, and there are as many clients as there should be.
    Calm,
    /// All leave.
    Over,
}

/// Something that happens again and again.
struct Habit {
    period: u64,
    next: u64,
}

impl Habit {
    fn new(period: u64) -> Self {
        Self { period, next: period }
    }

    fn is_due(&mut self, frame: u64, random: &mut StdRng) -> bool {
        let is_due = frame >= self.next;
        if is_due {
            self.next = frame + random.random_range(self.period / 2..self.period * 3 / 2);
        }
        is_due
    }
}

/// What is done to the server, and how often.
struct Habits {
    kick: Habit,
    refuse: Habit,
    nap: Habit,
    restart: Habit,
    drain: Habit,
    storm: Habit,
}

pub(super) struct Crowd {
    pub(super) common: Common,
    pub(super) ledger: Ledger,
    pub(super) failures: Vec<String>,
    pub(super) failure_count: usize,
    /// The server has said that a frame is over.
    pub(super) has_frame: bool,
    /// What the server has measured since this was taken.
    pub(super) sample: Option<Sample>,
    halls: Vec<Hall>,
    players: Vec<Option<Player>>,
    mood: Mood,
    next_key: u32,
    /// Clients whose connection is to be dropped.
    released: Vec<usize>,
    /// What the server's script is to do.
    commands: Vec<Value>,
    habits: Habits,
}

impl Crowd {
    /// `restarts` is the number of frames from one restart of a hall to the next.
    pub(super) fn new(halls: Vec<Hall>, seed: u64, restarts: u64) -> Self {
        Self {
            common: Common {
                pattern: Pattern::new(),
                random: StdRng::seed_from_u64(seed),
                figures: Figures::new(),
                frame: 0,
                scratch: Vec::new(),
            },
            ledger: Ledger::default(),
            failures: Vec::new(),
            failure_count: 0,
            has_frame: false,
            sample: None,
            halls,
            players: Vec::new(),
            mood: Mood::Over,
            next_key: 1,
            released: Vec::new(),
            commands: Vec::new(),
            habits: Habits {
                kick: Habit::new(20),
                refuse: Habit::new(600),
                nap: Habit::new(900),
                restart: Habit::new(restarts),
                drain: Habit::new(restarts),
                storm: Habit::new(1200),
            },
        }
    }

    pub(super) fn set_mood(&mut self, mood: Mood) {
        self.mood = mood;
        let is_hushed = mood != Mood::Lively;
        self.command(json!({ "do": "hush", "on": is_hushed }));
        let Common { random, frame, .. } = &mut self.common;
        for player in self.players.iter_mut().flatten() {
            if mood == Mood::Lively && player.stage == (Stage::Settled { leaves: false }) {
                player.enter(Stage::Playing, *frame);
                player.leaves_at = *frame + random.random_range(0..7200);
            }
        }
    }

    pub(super) fn command(&mut self, command: Value) {
        self.commands.push(command);
    }

    /// Asks the server to measure.
    pub(super) fn ask_for_sample(&mut self) {
        self.sample = None;
        self.command(json!({ "do": "measure" }));
    }

    pub(super) fn fail(&mut self, text: String) {
        self.failure_count += 1;
        if self.failures.len() < FAILURES {
            println!("FAIL clients: {text}");
            self.failures.push(text);
        }
    }

    /// Clients that are there or on their way, and of each hall those that are.
    pub(super) fn count(&self) -> Vec<usize> {
        let mut counts = vec![0; self.halls.len()];
        self.players.iter().flatten().for_each(|player| counts[player.hall] += 1);
        counts
    }

    /// Whether everybody is where the mood wants them.
    pub(super) fn is_settled(&self) -> bool {
        let mut players = self.players.iter().flatten();
        match self.mood {
            Mood::Lively => true,
            Mood::Calm => {
                self.count().iter().zip(&self.halls).all(|(count, hall)| *count == hall.target)
                    && players.all(|player| player.stage == Stage::Settled { leaves: false })
            }
            Mood::Over => players.next().is_none(),
        }
    }

    /// Whom the others wait for, and why.
    pub(super) fn waiting(&self) -> String {
        let mut stages: BTreeMap<String, usize> = BTreeMap::new();
        for player in self.players.iter().flatten() {
            *stages.entry(format!("{:?}", player.stage)).or_default() += 1;
        }
        format!("frame {}, clients by stage {stages:?}", self.common.frame)
    }

    /// Gives everybody a turn.
    pub(super) fn act(&mut self, swarm: &mut Swarm) -> Result<()> {
        for index in std::mem::take(&mut self.released) {
            self.drop_player(index, swarm);
        }
        for index in 0..self.players.len() {
            self.act_one(index, swarm)?;
        }
        match self.mood {
            Mood::Lively => {
                self.start_missing(swarm, STARTS, Plan::usual)?;
                self.disturb(swarm)?;
            }
            Mood::Calm => {
                self.start_missing(swarm, STARTS, |random, _| Plan::steady(random))?;
                self.send_some_away();
            }
            Mood::Over => {}
        }
        let figures = &mut self.common.figures;
        figures.most_clients = figures.most_clients.max(self.players.iter().flatten().count());
        if !self.commands.is_empty() {
            let desk = swarm.link(DESK).context("the server is not there")?;
            desk.send(Value::from(std::mem::take(&mut self.commands)).to_string().as_bytes());
            desk.flush()?;
        }
        Ok(())
    }

    /// Starts clients where some are missing.
    fn start_missing(
        &mut self,
        swarm: &mut Swarm,
        most: usize,
        plan: impl Fn(&mut StdRng, usize) -> Plan,
    ) -> Result<()> {
        let mut left = most;
        for (hall, count) in self.count().into_iter().enumerate() {
            let missing = self.halls[hall].target.saturating_sub(count).min(left);
            left -= missing;
            for _ in 0..missing {
                let plan = plan(&mut self.common.random, REQUEST.len());
                self.start(swarm, hall, plan)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, swarm: &mut Swarm, hall: usize, plan: Plan) -> Result<()> {
        let key = self.next_key;
        self.next_key += 1;
        let player = Player::new(key, hall, plan, self.common.frame);
        let Hall { address, tls, .. } = &self.halls[hall];
        // Some as if they came through the internet.
        let has_small_segments = plan.stalls || key.is_multiple_of(2);
        let Some(socket) = socket::connect(*address, key, has_small_segments)? else {
            self.turn_away(&player);
            return Ok(());
        };
        let request = match plan.entry {
            Entry::Whole => REQUEST,
            Entry::Part { size, .. } => &REQUEST[..size],
        };
        let index = swarm.add(Stream::over(socket, tls.as_ref())?, request)?;
        if self.players.len() <= index {
            self.players.resize_with(index + 1, || None);
        }
        self.players[index] = Some(player);
        Ok(())
    }

    /// The server did not let a client in.
    fn turn_away(&mut self, player: &Player) {
        let hall = &self.halls[player.hall];
        if player.since <= hall.closed_until {
            self.ledger.count("turned away by a closed or refusing server");
        } else {
            let text = format!("client {} was not let in ({})", player.key, hall.name);
            self.fail(text);
        }
    }

    /// Does things to the server that its clients have to bear.
    fn disturb(&mut self, swarm: &mut Swarm) -> Result<()> {
        let Common { frame, random, .. } = &mut self.common;
        let (frame, hall) = (*frame, random.random_range(0..self.halls.len()));
        if self.habits.kick.is_due(frame, random) {
            let what = if random.random_range(0..3) == 0 { "force" } else { "kick" };
            self.commands.push(json!({ "do": what, "hall": hall }));
        }
        if self.habits.refuse.is_due(frame, random) {
            self.commands.push(json!({ "do": "refuse", "hall": hall, "frames": 30 }));
            self.halls[hall].turns_away(frame, 30);
        }
        if self.habits.nap.is_due(frame, random) {
            self.commands.push(json!({ "do": "nap", "hall": hall, "frames": 60 }));
            self.halls[hall].slow_until = frame + 60 + AFTERMATH;
            // A drain goes on behind it.
            if self.halls[hall].closed_until > frame {
                self.halls[hall].closed_until += 60;
            }
        }
        if self.habits.restart.is_due(frame, random) {
            let frames = random.random_range(0..20);
            self.commands.push(json!({ "do": "restart", "hall": hall, "frames": frames }));
            self.halls[hall].turns_away(frame, frames);
            self.halls[hall].slow_until = frame + frames + AFTERMATH;
        }
        if self.habits.drain.is_due(frame, random) {
            let frames = random.random_range(0..120);
            self.commands.push(json!({ "do": "drain", "hall": hall, "frames": frames }));
            self.halls[hall].turns_away(frame, frames + PARTING);
        }
        if self.habits.storm.is_due(frame, random) {
            for _ in 0..self.halls[hall].target / 2 {
                let plan = Plan::brief(&mut self.common.random);
                self.start(swarm, hall, plan)?;
            }
        }
        Ok(())
    }

    /// Has those leave that are too many.
    fn send_some_away(&mut self) {
        let mut counts = self.count();
        for player in self.players.iter_mut().flatten() {
            let hall = player.hall;
            let stays = player.stage == Stage::Settled { leaves: false };
            if counts[hall] > self.halls[hall].target && stays {
                player.plan.leave = Leave::Close;
                player.enter(Stage::Settled { leaves: true }, self.common.frame);
                counts[hall] -= 1;
            }
        }
    }

    fn act_one(&mut self, index: usize, swarm: &mut Swarm) -> Result<()> {
        let stalled = self.stalled();
        let Some(player) = self.players.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        let frame = self.common.frame;
        if frame - player.since > PATIENCE && !is_content(player) {
            let Player { since, plan, .. } = &*player;
            let problem =
                format!("waits since frame {since} for {} ({:?})", player.awaits(), plan.leave);
            self.condemn(index, &problem);
            return Ok(());
        }
        let link = swarm.any_link(index).context("a client has no connection")?;
        if let Entry::Part { time, cut, .. } = player.plan.entry {
            let is_due = player.stage == Stage::Opening && frame >= player.since + time;
            if is_due || self.mood != Mood::Lively {
                return self.give_up(index, cut, swarm);
            }
            return Ok(());
        }
        match player.stage {
            Stage::Playing if player.is_slow && player.has_all() => {
                player.is_slow = false;
                player.plan.stalls = false;
                player.enter(Stage::Playing, frame);
                link.send(&packet::control(Word::Fast, &[]));
            }
            Stage::Playing if player.is_slow => {}
            Stage::Playing => match self.mood {
                Mood::Over => return self.leave(index, swarm),
                Mood::Calm => player.enter(Stage::Settling { leaves: false }, frame),
                Mood::Lively if frame >= player.leaves_at => return self.leave(index, swarm),
                Mood::Lively => {
                    let is_turn = frame / STALL_TURN % 2 == 1;
                    if player.plan.stalls && is_turn && stalled[player.hall] < STALLED {
                        player.overload(link, &mut self.common);
                        let time = self.common.random.random_range(60..180);
                        player.enter(Stage::Stalled(frame + time), frame);
                        link.flush()?;
                        swarm.pause(index);
                        return Ok(());
                    }
                    player.play(link, &mut self.common);
                }
            },
            Stage::Stalled(until) if frame >= until || self.mood != Mood::Lively => {
                player.enter(Stage::Playing, frame);
                return swarm.resume(index, self);
            }
            Stage::Settling { leaves } if player.has_all() => {
                link.send(&packet::control(Word::Check, &[player.sent]));
                player.enter(Stage::Checking { leaves }, frame);
            }
            Stage::Settled { leaves } => {
                if leaves {
                    player.enter(Stage::Leaving, frame);
                    return swarm.leave(index);
                } else if self.mood == Mood::Over {
                    return self.leave(index, swarm);
                }
            }
            Stage::Ending => {
                if link.flush()? {
                    link.stream.end_writing();
                    player.enter(Stage::Leaving, frame);
                }
                return Ok(());
            }
            _ => {}
        }
        link.flush().map(drop)
    }

    /// Clients of each hall that do not read.
    fn stalled(&self) -> Vec<usize> {
        let mut counts = vec![0; self.halls.len()];
        for player in self.players.iter().flatten().filter(|player| player.is_slow) {
            counts[player.hall] += 1;
        }
        counts
    }

    /// Has a client leave in its own way.
    fn leave(&mut self, index: usize, swarm: &mut Swarm) -> Result<()> {
        let (Some(player), Some(link)) = (self.players[index].as_mut(), swarm.any_link(index))
        else {
            return Ok(());
        };
        let frame = self.common.frame;
        match player.plan.leave {
            Leave::Close => player.enter(Stage::Settling { leaves: true }, frame),
            Leave::Hasty => {
                player.burst(link, &mut self.common);
                player.enter(Stage::Leaving, frame);
                return swarm.leave(index);
            }
            Leave::End => {
                player.burst(link, &mut self.common);
                player.enter(Stage::Ending, frame);
            }
            Leave::HalfFrame(Cut::End) => {
                player.burst(link, &mut self.common);
                player.send_half(link, &mut self.common);
                player.enter(Stage::Ending, frame);
            }
            Leave::Reset | Leave::HalfFrame(Cut::Reset) => {
                player.burst(link, &mut self.common);
                if player.plan.leave != Leave::Reset {
                    player.send_half(link, &mut self.common);
                }
                link.flush()?;
                link.stream.reset_when_dropped()?;
                player.enter(Stage::Leaving, frame);
                self.drop_player(index, swarm);
            }
            Leave::Vanish => {
                link.send(&packet::control(Word::Vanish, &[]));
                link.flush()?;
                player.enter(Stage::Vanished, frame);
                swarm.pause(index);
            }
        }
        Ok(())
    }

    /// Ends a client that is in the middle of its upgrade.
    fn give_up(&mut self, index: usize, cut: Option<Cut>, swarm: &mut Swarm) -> Result<()> {
        let (Some(player), Some(link)) = (self.players[index].as_mut(), swarm.any_link(index))
        else {
            return Ok(());
        };
        if self.mood != Mood::Lively || cut == Some(Cut::Reset) {
            link.stream.reset_when_dropped()?;
            self.drop_player(index, swarm);
        } else {
            if cut == Some(Cut::End) {
                link.stream.end_writing();
            }
            player.enter(Stage::Leaving, self.common.frame);
        }
        Ok(())
    }

    /// Drops a client's connection as it is.
    fn drop_player(&mut self, index: usize, swarm: &mut Swarm) {
        swarm.forget(index);
        self.close_account(index, End::Cut);
    }

    /// A client has no connection any more.
    fn close_account(&mut self, index: usize, end: End) {
        let Some(player) = self.players.get_mut(index).and_then(Option::take) else {
            return;
        };
        if player.id == 0 {
            match player.plan.entry {
                Entry::Part { cut: Some(Cut::End), .. } => {
                    self.ledger.count("end within the upgrade")
                }
                Entry::Part { cut: Some(Cut::Reset), .. } => {
                    self.ledger.count("reset within the upgrade");
                }
                Entry::Part { cut: None, .. } => self.ledger.count("silence within the upgrade"),
                Entry::Whole => self.turn_away(&player),
            }
        } else if let Err(problem) =
            self.ledger.add_own((player.hall, player.id), player.account(end))
        {
            self.fail(problem);
        }
    }

    /// What the server's script says.
    fn take_news(&mut self, payload: &[u8]) -> Result<()> {
        let news: Value = serde_json::from_slice(payload).context("the server's news")?;
        self.common.frame = number(&news["frame"])?;
        self.has_frame = true;
        if let Some(measured) = news.get("measured") {
            self.sample = Some(Sample::read(measured).context("a measurement")?);
        }
        for gone in news["gone"].as_array().into_iter().flatten() {
            self.take_end(gone).with_context(|| format!("an account: {gone}"))?;
        }
        Ok(())
    }

    fn take_end(&mut self, gone: &Value) -> Result<()> {
        let hall = self.halls.iter().position(|hall| gone[0] == hall.name).context("no hall")?;
        let id = u32::try_from(number(&gone[1])?)?;
        let count = |index: usize| anyhow::Ok(u32::try_from(number(&gone[index])?)?);
        let theirs = Theirs {
            how: match gone[3].as_str() {
                Some("left") => How::Left,
                Some("kicked") => How::Kicked,
                Some("forced") => How::Forced,
                Some("drained") => How::Drained,
                Some("closed") => How::Closed,
                _ => bail!("ended in no known way"),
            },
            key: count(2)?,
            received: count(4)?,
            echoed: count(5)?,
            heard: count(6)?,
            is_unsure: number(&gone[7])? > 0,
            is_broken: gone[8] == true,
        };
        // It does not look, so it is told.
        self.released.extend(self.players.iter().position(|player| {
            player.as_ref().is_some_and(|player| {
                player.stage == Stage::Vanished && (player.hall, player.id) == (hall, id)
            })
        }));
        if let Err(problem) = self.ledger.add_theirs((hall, id), theirs) {
            self.fail(problem);
        }
        Ok(())
    }

    /// Something is wrong with a client, which is given up.
    fn condemn(&mut self, index: usize, problem: &str) {
        let Some(player) = self.players[index].take() else {
            return;
        };
        self.fail(format!("client {} ({}): {problem}", player.key, self.halls[player.hall].name));
        self.ledger.ignore((player.hall, player.id));
        self.released.push(index);
    }
}

/// Whether a client can go on like this for ever.
fn is_content(player: &Player) -> bool {
    matches!(player.stage, Stage::Playing if !player.is_slow)
        || player.stage == Stage::Settled { leaves: false }
}

/// JSON of the engine has no integers.
fn number(value: &Value) -> Result<u64> {
    value.as_f64().map(|number| number as u64).with_context(|| format!("{value} is no number"))
}

impl Handler for Crowd {
    fn opened(&mut self, link: &mut Link) -> Result<()> {
        let frame = self.common.frame;
        if let Some(player) = self.players.get_mut(link.index).and_then(Option::as_mut) {
            player.opened(link, frame);
            self.common.figures.joins += 1;
        }
        Ok(())
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        if link.index == DESK {
            return self.take_news(payload);
        }
        let Some(player) = self.players[link.index].as_mut() else {
            return Ok(());
        };
        self.common.figures.to_clients.add(payload.len());
        let since = self.halls[player.hall].slow_until;
        match player.take(payload, &mut self.common, since) {
            Ok(()) => {}
            Err(problem) => self.condemn(link.index, &problem),
        }
        Ok(())
    }

    fn pong(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        if let Some(player) = self.players[link.index].as_mut()
            && let Err(problem) = player.take_pong(payload)
        {
            self.condemn(link.index, &problem);
        }
        Ok(())
    }

    fn flushed(&mut self, _link: &mut Link) {}

    fn closed(&mut self, index: usize, end: End) -> Result<()> {
        ensure!(index != DESK, "the server has gone");
        self.close_account(index, end);
        Ok(())
    }
}
