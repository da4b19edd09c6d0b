//! When bytes leave.
//!
//! The engine's class writes inside `put_packet`, and games rely on a packet being on its way when
//! the call returns. But a system call for each packet is what costs most. So packets are collected
//! where it is sure that they leave soon all the same:
//!
//! - while more received packets wait than have been taken: replies leave with the last one;
//! - on a peer that is polled once per frame, as the scene tree does it: packets leave when those
//!   of the poll have been taken, and at the end of the frame.
//!
//! Any other packet is written at once: nobody would be there to flush it.
//!
//! Asking the engine for the number of the frame costs more than the rest of an idle poll, so it is
//! asked only when there is something to collect.

/// Decides whether packets are collected.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The frame of the last poll whose frame is known.
    frame: Option<u64>,
    /// Polls since then.
    polls: u64,
    /// Polled in an earlier frame and just once in the present one.
    once_per_frame: bool,
    /// Packets have been put or taken since the last poll.
    is_used: bool,
    /// Received packets are being taken and more wait.
    is_draining: bool,
    /// Packets have been taken since the last flush, so replies to them may wait.
    has_taken: bool,
    /// Packets have been collected and nobody has been told.
    is_due: bool,
}

impl Pace {
    /// A poll in frame `frame`, which is idle unless it `brought` something or packets have been put
    /// or taken since the one before.
    pub(super) fn polled(&mut self, brought: bool, frame: impl FnOnce() -> u64) {
        self.is_draining = false;
        self.polls += 1;
        let is_idle = !std::mem::take(&mut self.is_used) && !brought;
        if is_idle && self.frame.is_some() {
            return;
        }
        let frame = frame();
        self.once_per_frame = self.was_polled_once_per_frame(frame);
        self.frame = Some(frame);
        self.polls = 0;
    }

    /// A packet has been taken, and `more` wait.
    pub(super) fn taken(&mut self, more: bool) {
        self.is_used = true;
        self.has_taken = true;
        self.is_draining = more;
    }

    /// A packet has been put in frame `frame`; whether it may be collected.
    pub(super) fn put(&mut self, frame: impl FnOnce() -> u64) -> bool {
        self.is_used = true;
        if self.polls > 0 {
            let frame = frame();
            self.once_per_frame = self.was_polled_once_per_frame(frame);
            // The last poll may have been in the frame before.
            self.frame = self.frame.map(|last| frame.min(last + self.polls));
            self.polls = 0;
        }
        let collects = self.once_per_frame || self.is_draining;
        self.is_due |= collects;
        collects
    }

    /// Whether the polls since the last known frame were in as many frames up to `frame`.
    fn was_polled_once_per_frame(&self, frame: u64) -> bool {
        self.frame.is_some_and(|last| frame.saturating_sub(last) >= self.polls)
    }

    /// The queue of received packets was found empty; whether that is the moment to flush.
    pub(super) fn found_empty(&mut self) -> bool {
        std::mem::take(&mut self.has_taken)
    }

    /// Everything that was collected has been handed to the kernel.
    pub(super) fn flushed(&mut self) {
        self.is_due = false;
        self.has_taken = false;
    }

    /// True once when a packet has been collected.
    pub(super) fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_polled_in_a_loop_writes_at_once() {
        let mut pace = Pace::default();
        assert!(!pace.put(|| 7));
        pace.polled(false, || 7);
        assert!(!pace.put(|| 7));
        pace.polled(false, || 7);
        assert!(!pace.put(|| 7));
        for _ in 0..100 {
            pace.polled(false, || 8);
        }
        assert!(!pace.put(|| 8));
    }

    #[test]
    fn a_peer_that_is_polled_once_per_frame_collects() {
        let mut pace = Pace::default();
        pace.polled(false, || 7);
        pace.polled(false, || 8);
        assert!(pace.put(|| 8));
        assert!(pace.take_due());
        assert!(!pace.take_due());
        pace.polled(false, || 8);
        assert!(!pace.put(|| 8));
    }

    #[test]
    fn idle_polls_do_not_ask_for_the_frame() {
        let mut pace = Pace::default();
        pace.polled(false, || 7);
        for _ in 8..100 {
            pace.polled(false, || unreachable!("idle"));
        }
        // As a node does it in its physics frame, before the poll of this frame, and after it.
        assert!(pace.put(|| 100));
        pace.polled(false, || 100);
        assert!(pace.put(|| 100));
        pace.polled(false, || 100);
        assert!(!pace.put(|| 100), "polled for the second time");
    }

    #[test]
    fn replies_are_collected_until_the_last_packet_has_been_taken() {
        let mut pace = Pace::default();
        pace.polled(true, || 7);
        pace.taken(true);
        assert!(pace.put(|| 7));
        pace.taken(false);
        assert!(!pace.put(|| 7));
    }

    #[test]
    fn an_empty_queue_is_a_moment_to_flush_once() {
        let mut pace = Pace::default();
        assert!(!pace.found_empty());
        pace.taken(false);
        assert!(pace.found_empty());
        assert!(!pace.found_empty());
    }
}
