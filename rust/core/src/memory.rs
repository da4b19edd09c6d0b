//! What all queues of the process hold together, and the limit for it.
//!
//! A queue tells its size to a `Charge`, which passes on changes of [`UNCOUNTED`] bytes and more:
//! a packet costs a comparison. A queue smaller than that counts for nothing and may always grow up
//! to it, so that players with little to say play on while others fill the memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::DEFAULT_MEMORY_LIMIT;

/// A queue below this size, in bytes, is not counted and is never full. A frame's packets of a game
/// fit into it.
pub const UNCOUNTED: usize = 16 * 1024;

static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(DEFAULT_MEMORY_LIMIT);

/// The limit in bytes. Default: [`DEFAULT_MEMORY_LIMIT`].
#[must_use]
pub fn limit() -> usize {
    LIMIT.load(Ordering::Relaxed)
}

/// Sets the limit, for the whole process. Queues that are over it stay as they are.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// The bytes counted at present.
#[must_use]
pub fn used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// What one queue is counted for. Dropping it gives that back.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    bytes: usize,
}

impl Charge {
    /// Bytes by which a queue that holds `size` may grow now.
    pub(crate) fn room(&self, size: usize) -> usize {
        limit().saturating_sub(used()).max(UNCOUNTED.saturating_sub(size))
    }

    /// Notes that the queue holds `size` bytes.
    pub(crate) fn follow(&mut self, size: usize) {
        let differs = size.abs_diff(self.bytes) >= UNCOUNTED;
        if differs || (size == 0 && self.bytes > 0) {
            USED.fetch_add(size, Ordering::Relaxed);
            USED.fetch_sub(self.bytes, Ordering::Relaxed);
            self.bytes = size;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.follow(0);
    }
}
