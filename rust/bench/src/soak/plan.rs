//! What a client is going to do, chosen at random. Times are frames of the server.

use rand::RngExt;
use rand::rngs::StdRng;

use super::packet::LARGEST;

/// How a TCP connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// All that was sent arrives, and then the end.
    End,
    /// A reset, which takes with it what is on its way.
    Reset,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// When all its packets have come back and both sides have compared their counts: a close frame.
    Close,
    /// Packets, a close frame behind them.
    Hasty,
    /// Packets, behind them an end of TCP without a close frame.
    End,
    /// Packets and a reset.
    Reset,
    /// Packets and half a frame.
    HalfFrame(Cut),
    /// It says and reads nothing any more: the server's heartbeat has to find out.
    Vanish,
}

/// How far a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Whole,
    /// It sends only so much of its request; some time later it ends the connection, or leaves that
    /// to the server.
    Part {
        size: usize,
        time: u64,
        cut: Option<Cut>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) entry: Entry,
    /// From the time that it is in.
    pub(super) life: u64,
    pub(super) leave: Leave,
    /// It stops reading at some time, while much is on its way to it.
    pub(super) stalls: bool,
    /// How likely it is to send something in a frame.
    pub(super) eagerness: f64,
}

impl Plan {
    /// A client that plays for a while, with a request of so many bytes.
    pub(super) fn usual(random: &mut StdRng, request: usize) -> Self {
        let entry = match random.random_range(0..20) {
            0 => Entry::Part {
                size: random.random_range(0..request),
                time: random.random_range(0..60),
                cut: [Some(Cut::End), Some(Cut::Reset), None][random.random_range(0..3)],
            },
            _ => Entry::Whole,
        };
        let life = match random.random_range(0..10) {
            0 => random.random_range(0..10),
            1..7 => random.random_range(60..1200),
            _ => random.random_range(1200..7200),
        };
        Self { entry, life, ..Self::steady(random) }
    }

    /// One of many that come at once and do not stay.
    pub(super) fn brief(random: &mut StdRng) -> Self {
        Self { life: random.random_range(0..120), ..Self::steady(random) }
    }

    /// A client that comes in and stays.
    pub(super) fn steady(random: &mut StdRng) -> Self {
        let leave = match random.random_range(0..20) {
            0..6 => Leave::Close,
            6..10 => Leave::Hasty,
            10..13 => Leave::End,
            13..16 => Leave::Reset,
            16 => Leave::HalfFrame(Cut::End),
            17 => Leave::HalfFrame(Cut::Reset),
            _ => Leave::Vanish,
        };
        Self {
            entry: Entry::Whole,
            life: u64::MAX,
            leave,
            stalls: random.random_range(0..20) == 0,
            eagerness: [0.01, 0.05, 0.05, 0.2][random.random_range(0..4)],
        }
    }
}

/// Bytes of a packet: most are small, as in a game.
pub(super) fn size(random: &mut StdRng) -> usize {
    match random.random_range(0..1000) {
        0..30 => 1,
        30..800 => random.random_range(2..200),
        800..960 => random.random_range(200..4096),
        960..995 => random.random_range(4096..32 * 1024),
        _ => random.random_range(32 * 1024..=LARGEST),
    }
}
