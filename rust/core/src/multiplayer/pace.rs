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

/// Decides whether packets are collected.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The frame of the last poll.
    frame: Option<u64>,
    /// Polled in an earlier frame and just once in the present one.
    once_per_frame: bool,
    /// Received packets are being taken and more wait.
    is_draining: bool,
    /// Packets have been taken since the last flush, so replies to them may wait.
    has_taken: bool,
    /// Packets have been collected and nobody has been told.
    is_due: bool,
}

impl Pace {
    /// A poll in frame `frame`.
    pub(super) fn polled(&mut self, frame: u64) {
        self.once_per_frame = self.frame.is_some_and(|last| last != frame);
        self.frame = Some(frame);
        self.is_draining = false;
    }

    /// A packet has been taken, and `more` wait.
    pub(super) fn taken(&mut self, more: bool) {
        self.has_taken = true;
        self.is_draining = more;
    }

    /// A packet has been put; whether it may be collected.
    pub(super) fn put(&mut self) -> bool {
        let collects = self.once_per_frame || self.is_draining;
        self.is_due |= collects;
        collects
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
        assert!(!pace.put());
        pace.polled(7);
        assert!(!pace.put());
        pace.polled(7);
        assert!(!pace.put());
    }

    #[test]
    fn a_peer_that_is_polled_once_per_frame_collects() {
        let mut pace = Pace::default();
        pace.polled(7);
        pace.polled(8);
        assert!(pace.put());
        assert!(pace.take_due());
        assert!(!pace.take_due());
        pace.polled(8);
        assert!(!pace.put());
    }

    #[test]
    fn replies_are_collected_until_the_last_packet_has_been_taken() {
        let mut pace = Pace::default();
        pace.polled(7);
        pace.taken(true);
        assert!(pace.put());
        pace.taken(false);
        assert!(!pace.put());
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
