//! How long each phase of a client's way to a connection may take by itself.

use std::time::{Duration, Instant};

use crate::config::PhaseTimeouts;
use crate::error::Phase;

/// The clock of the present phase.
#[derive(Debug)]
pub(super) struct PhaseClock {
    timeouts: PhaseTimeouts,
    phase: Phase,
    limit: Option<Instant>,
}

impl PhaseClock {
    /// A clock that starts with `phase`; none if no phase has a limit of its own.
    pub(super) fn new(timeouts: PhaseTimeouts, phase: Phase, now: Instant) -> Option<Box<Self>> {
        (timeouts != PhaseTimeouts::default())
            .then(|| Box::new(Self { limit: limit(&timeouts, phase, now), phase, timeouts }))
    }

    /// To be called when the connection may have come to another phase.
    pub(super) fn note(&mut self, phase: Phase, now: Instant) {
        if phase != self.phase {
            self.phase = phase;
            self.limit = limit(&self.timeouts, phase, now);
        }
    }

    /// When the present phase has taken too long.
    pub(super) fn limit(&self) -> Option<Instant> {
        self.limit
    }
}

fn limit(timeouts: &PhaseTimeouts, phase: Phase, now: Instant) -> Option<Instant> {
    let timeout = match phase {
        Phase::Resolve => timeouts.resolve,
        Phase::Connect => timeouts.connect,
        Phase::Tls => timeouts.tls,
        Phase::Upgrade => timeouts.upgrade,
        Phase::Proxy | Phase::Id | Phase::Open => Duration::ZERO,
    };
    if timeout.is_zero() { None } else { now.checked_add(timeout) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_own_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let timeouts = PhaseTimeouts {
            resolve: Duration::from_millis(100),
            upgrade: Duration::from_millis(300),
            ..PhaseTimeouts::default()
        };
        let mut clock = PhaseClock::new(timeouts, Phase::Resolve, start).unwrap();
        assert_eq!(clock.limit(), Some(at(100)));
        clock.note(Phase::Resolve, at(50));
        assert_eq!(clock.limit(), Some(at(100)));
        clock.note(Phase::Connect, at(60));
        assert_eq!(clock.limit(), None);
        clock.note(Phase::Upgrade, at(1000));
        assert_eq!(clock.limit(), Some(at(1300)));
        clock.note(Phase::Open, at(1001));
        assert_eq!(clock.limit(), None);
    }

    #[test]
    fn without_limits_there_is_no_clock() {
        let timeouts = PhaseTimeouts::default();
        assert!(PhaseClock::new(timeouts, Phase::Resolve, Instant::now()).is_none());
    }
}
