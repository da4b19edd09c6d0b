//! Players: input thirty times a second, and the state of the world in each of the server's frames.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Role;
use crate::client::Link;
use crate::options::Options;
use crate::payload::Pattern;
use crate::swarm::Swarm;

const INPUT_SIZE: usize = 50;
const INPUT_PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);

pub(crate) struct Game {
    input: Pattern,
    state: Pattern,
    players: Vec<Player>,
    missing: u64,
    begun: Option<Instant>,
    /// Inputs that all players together have sent.
    sent: u32,
    ends: bool,
}

#[derive(Clone, Default)]
struct Player {
    inputs: u32,
    states: u32,
}

impl Game {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let players: usize = options.get("clients")?;
        let frames = options.get::<u64>("frames")? + options.get::<u64>("warm")?;
        Ok(Self {
            input: Pattern::new(INPUT_SIZE),
            state: Pattern::new(options.get("size")?),
            players: vec![Player::default(); players],
            missing: frames * players as u64,
            begun: None,
            sent: 0,
            ends: false,
        })
    }
}

impl Role for Game {
    fn gathers(&self) -> usize {
        self.players.len()
    }

    fn begin(&mut self, _swarm: &mut Swarm) -> Result<()> {
        self.begun = Some(Instant::now());
        Ok(())
    }

    fn message(&mut self, link: &mut Link, payload: &[u8]) -> Result<()> {
        let player = &mut self.players[link.index];
        ensure!(
            payload == self.state.owned(player.states, link.id),
            "player {} got something else instead of state {}",
            link.index,
            player.states
        );
        player.states += 1;
        ensure!(self.missing > 0, "there are more states than frames");
        self.missing -= 1;
        Ok(())
    }

    /// The players' inputs are spread evenly over the period.
    fn tick(&mut self, swarm: &mut Swarm) -> Result<Option<Instant>> {
        let Some(begun) = self.begun.filter(|_| !self.ends) else {
            return Ok(None);
        };
        let gap = INPUT_PERIOD / self.players.len() as u32;
        while begun + gap * self.sent <= Instant::now() {
            let index = self.sent as usize % self.players.len();
            if let Some(link) = swarm.link(index) {
                link.send(self.input.packet(self.players[index].inputs));
                link.flush()?;
                self.players[index].inputs += 1;
            }
            self.sent += 1;
        }
        Ok(Some(begun + gap * self.sent))
    }

    fn end(&mut self, swarm: &mut Swarm) -> Result<()> {
        self.ends = true;
        for link in swarm.links() {
            link.send(&self.players[link.index].inputs.to_le_bytes());
            link.flush()?;
        }
        Ok(())
    }

    fn missing(&self) -> u64 {
        self.missing
    }

    fn is_judged(&self) -> bool {
        true
    }
}
