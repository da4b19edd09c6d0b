//! What a case is, and what its server has to hold.

use anyhow::Result;

use super::wire::Target;

/// One way to be hostile.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Whether the server speaks TLS.
    pub(super) secure: bool,
    /// More arguments for the server's script.
    pub(super) server: &'static [&'static str],
    /// The attack. It sees itself that the server ends and answers what it should.
    pub(super) attack: fn(&Target) -> Result<Deeds>,
    /// Parts of the error lines that it causes; each must come, and no other may.
    pub(super) errors: &'static [&'static str],
    /// Counters of `get_stats` that it raises.
    pub(super) counters: &'static [&'static str],
    /// Descriptors that the server may have, if they are to run out.
    pub(super) descriptors: Option<u32>,
    pub(super) bounds: Bounds,
}

/// What attackers did: how often, and what.
pub(super) type Deeds = Vec<(usize, &'static str)>;

/// What a server under attack has to hold.
pub(super) struct Bounds {
    /// Frames until a packet of a player is back. One is the rule.
    pub(super) round_trip: u64,
    /// Frames until a newcomer is in and has a packet back.
    pub(super) join: u64,
    /// Growth of the server's memory at the highest, in MiB, when the usual amount is done. Pages of
    /// the library that are touched for the first time are part of it.
    pub(super) memory: u64,
    /// CPU time of a poll, in milliseconds, which two may exceed. Its budget is 2; what one read brings is done in any
    /// case, which takes a library built for debugging up to 10.
    pub(super) poll: u64,
}

/// A case to start from.
pub(super) const USUAL: Case = Case {
    name: "",
    secure: false,
    server: &[],
    attack: |_| Ok(Vec::new()),
    errors: &[],
    counters: &[],
    descriptors: None,
    bounds: BOUNDS,
};

/// Half a second for a player, two for a newcomer. Up to 10 and 30 have been seen on a machine that
/// was busy with more than this: the budget of a poll is time, of which others take their part.
pub(super) const BOUNDS: Bounds = Bounds { round_trip: 30, join: 120, memory: 24, poll: 20 };
