//! One client: what it has sent, and what must come back.

use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::StdRng;

use super::figures::Figures;
use super::ledger::Own;
use super::packet::{self, Kind, LARGEST, Pattern, SERVER, Word};
use super::plan::{self, Plan};
use crate::client::{End, Link};

/// Bytes that a client has on its way at most, but to stall: less than the server's queue for it.
const WINDOW: usize = 128 * 1024;
/// Packets that are on their way when a client stalls: more than the kernel and the server's queue
/// hold.
const STALL_PACKETS: std::ops::Range<usize> = 16..40;

/// What all clients use.
pub(super) struct Common {
    pub(super) pattern: Pattern,
    pub(super) random: StdRng,
    pub(super) figures: Figures,
    /// The server's last frame.
    pub(super) frame: u64,
    /// A packet in the making.
    pub(super) scratch: Vec<u8>,
}

/// What a client is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has no id yet.
    Opening,
    Playing,
    /// It reads nothing until that frame.
    Stalled(u64),
    /// It sends nothing more, and waits for what is on its way; then it leaves, or not.
    Settling {
        leaves: bool,
    },
    /// It has asked the server for its account.
    Checking {
        leaves: bool,
    },
    /// Both have counted the same.
    Settled {
        leaves: bool,
    },
    /// It ends the connection when all is written.
    Ending,
    /// It has said goodbye in its own way, and waits for the end.
    Leaving,
    /// It has fallen silent, and waits for the server to find out.
    Vanished,
}

pub(super) struct Player {
    /// What it calls itself in its packets.
    pub(super) key: u32,
    pub(super) hall: usize,
    /// What the server calls it, once it has said so.
    pub(super) id: u32,
    pub(super) plan: Plan,
    pub(super) stage: Stage,
    /// The frame in which that began.
    pub(super) since: u64,
    /// The frame in which it leaves.
    pub(super) leaves_at: u64,
    /// Numbered packets that it has sent.
    pub(super) sent: u32,
    /// Those that came back.
    pub(super) echoed: u32,
    /// Broadcasts that came.
    pub(super) heard: u32,
    /// It has not caught up since it stopped reading.
    pub(super) is_slow: bool,
    next_broadcast: Option<u32>,
    /// Packets that must come back.
    awaited: VecDeque<Awaited>,
    awaited_bytes: usize,
    pinged: u32,
    ponged: u32,
}

struct Awaited {
    number: u32,
    size: usize,
    frame: u64,
}

impl Player {
    pub(super) fn new(key: u32, hall: usize, plan: Plan, frame: u64) -> Self {
        Self {
            key,
            hall,
            id: 0,
            plan,
            stage: Stage::Opening,
            since: frame,
            leaves_at: u64::MAX,
            sent: 0,
            echoed: 0,
            heard: 0,
            is_slow: false,
            next_broadcast: None,
            awaited: VecDeque::new(),
            awaited_bytes: 0,
            pinged: 0,
            ponged: 0,
        }
    }

    pub(super) fn enter(&mut self, stage: Stage, frame: u64) {
        self.stage = stage;
        self.since = frame;
    }

    /// It has an id.
    pub(super) fn opened(&mut self, link: &mut Link, frame: u64) {
        self.enter(Stage::Playing, frame);
        self.id = link.id;
        self.leaves_at = frame.saturating_add(self.plan.life);
        link.send(&packet::control(Word::Hello, &[self.key]));
    }

    /// Checks a packet. `undisturbed_since` is the frame since which the server has been polled in
    /// each of its frames.
    pub(super) fn take(
        &mut self,
        packet: &[u8],
        common: &mut Common,
        undisturbed_since: u64,
    ) -> Result<(), String> {
        match Kind::of(packet) {
            Some(Kind::Echo) => {
                let Some(awaited) = self.awaited.pop_front() else {
                    return Err(format!("nothing was to come, but {}", packet::describe(packet)));
                };
                let Awaited { number, size, frame } = awaited;
                if packet.len() != size || !common.pattern.is(packet, Kind::Echo, self.key, number)
                {
                    return Err(format!(
                        "instead of the echo of packet {number} ({size} bytes) came {}",
                        packet::describe(packet)
                    ));
                }
                self.echoed += 1;
                self.awaited_bytes -= size;
                if frame > undisturbed_since && !self.is_slow {
                    // The server is a poll further than the last frame that it has told.
                    common.figures.add_round_trip(common.frame - frame + 1);
                }
                Ok(())
            }
            Some(Kind::Broadcast) => {
                let Some(number) = &mut self.next_broadcast else {
                    return Err("a broadcast came before the welcome".to_owned());
                };
                if !common.pattern.is(packet, Kind::Broadcast, SERVER, *number) {
                    return Err(format!(
                        "instead of broadcast {number} came {}",
                        packet::describe(packet)
                    ));
                }
                *number += 1;
                self.heard += 1;
                Ok(())
            }
            Some(Kind::Control) => self.take_control(packet, common.frame),
            _ => Err(format!("nobody sends {}", packet::describe(packet))),
        }
    }

    fn take_control(&mut self, packet: &[u8], frame: u64) -> Result<(), String> {
        if let Some([next]) = packet::numbers(packet, Word::Welcome) {
            let before = self.next_broadcast.replace(next);
            return before.map_or(Ok(()), |_| Err("a second welcome came".to_owned()));
        }
        let (Some(account), Stage::Checking { leaves }) =
            (packet::numbers(packet, Word::Check), self.stage)
        else {
            return Err(format!("nobody asked for {}", packet::describe(packet)));
        };
        let own = [self.sent, self.echoed, self.next_broadcast.unwrap_or_default()];
        if account != own {
            return Err(format!(
                "the server counts {account:?} (packets, echoes, broadcasts), the client {own:?}"
            ));
        }
        self.enter(Stage::Settled { leaves }, frame);
        Ok(())
    }

    /// Checks a pong. The server may leave some out, but not the last.
    pub(super) fn take_pong(&mut self, payload: &[u8]) -> Result<(), String> {
        let number = payload.try_into().map(u32::from_le_bytes).unwrap_or_default();
        if number <= self.ponged || number > self.pinged {
            return Err(format!("a pong {payload:02x?} came after {} pings", self.pinged));
        }
        self.ponged = number;
        Ok(())
    }

    /// Perhaps sends something.
    pub(super) fn play(&mut self, link: &mut Link, common: &mut Common) {
        if common.random.random_bool(self.plan.eagerness) {
            self.burst(link, common);
        }
    }

    /// Sends a few packets, if not too much is on its way.
    pub(super) fn burst(&mut self, link: &mut Link, common: &mut Common) {
        let count = [1, 1, 1, 2, 8][common.random.random_range(0..5)];
        for _ in 0..count {
            let size = plan::size(&mut common.random);
            if self.awaited_bytes + size > WINDOW {
                continue;
            }
            let kind = if common.random.random_range(0..3) == 0 { Kind::Sink } else { Kind::Echo };
            self.send(link, common, kind, size);
        }
        if common.random.random_range(0..10) == 0 {
            link.ping(&self.next_ping());
        }
    }

    /// Sends so much that the server can no longer hold all of what comes back.
    pub(super) fn overload(&mut self, link: &mut Link, common: &mut Common) {
        self.is_slow = true;
        link.send(&packet::control(Word::Slow, &[]));
        for _ in 0..common.random.random_range(STALL_PACKETS) {
            self.send(link, common, Kind::Echo, LARGEST);
        }
    }

    /// Sends the first half of a packet's frame.
    pub(super) fn send_half(&self, link: &mut Link, common: &mut Common) {
        let size = plan::size(&mut common.random);
        common.pattern.write(&mut common.scratch, Kind::Sink, self.key, self.sent, size);
        link.send_half(&common.scratch);
    }

    fn send(&mut self, link: &mut Link, common: &mut Common, kind: Kind, size: usize) {
        let number = self.sent;
        self.sent += 1;
        common.figures.to_server.add(size);
        if kind == Kind::Echo {
            self.awaited.push_back(Awaited { number, size, frame: common.frame });
            self.awaited_bytes += size;
        }
        common.pattern.write(&mut common.scratch, kind, self.key, number, size);
        if common.random.random_range(0..8) == 0 {
            let ping =
                (common.random.random_range(0..2) == 0 && size > 1).then(|| self.next_ping());
            let part = size.div_ceil(common.random.random_range(2..6));
            let ping = ping.as_ref().map(<[u8; 4]>::as_slice);
            link.send_fragments(common.scratch.chunks(part), ping);
        } else {
            link.send(&common.scratch);
        }
    }

    fn next_ping(&mut self) -> [u8; 4] {
        self.pinged += 1;
        self.pinged.to_le_bytes()
    }

    /// Its account, now that the connection has ended.
    pub(super) fn account(&self, end: End) -> Own {
        let has_left = matches!(self.stage, Stage::Leaving | Stage::Vanished);
        Own {
            key: self.key,
            leave: has_left.then_some(self.plan.leave),
            end,
            sent: self.sent,
            echoed: self.echoed,
            heard: self.heard,
            is_slow: self.is_slow,
        }
    }

    /// Whether nothing is on its way to it but broadcasts.
    pub(super) fn has_all(&self) -> bool {
        self.awaited.is_empty() && self.ponged == self.pinged && self.next_broadcast.is_some()
    }

    /// What it waits for.
    pub(super) fn awaits(&self) -> String {
        match self.stage {
            Stage::Opening => "its id".to_owned(),
            Stage::Leaving => "the end of the connection".to_owned(),
            Stage::Vanished => "the heartbeat to find out".to_owned(),
            Stage::Checking { .. } => "the server's account".to_owned(),
            _ => match self.awaited.front() {
                Some(Awaited { number, size, .. }) => format!(
                    "the echo of packet {number} of {size} bytes, and {} more",
                    self.awaited.len() - 1
                ),
                None => format!("pong {} or a welcome", self.pinged),
            },
        }
    }
}
