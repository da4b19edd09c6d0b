//! How much memory core holds.
//!
//! The allocator of every program with this crate in it counts, per thread, what is taken and given
//! back while counting is on. Counting is on while core works and off while the test's own books are
//! kept, so that what is counted is core's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Lets `work` count, or not; counting is then as it was.
fn with<T>(on: bool, work: impl FnOnce() -> T) -> T {
    let before = IS_ON.replace(on);
    let result = work();
    IS_ON.set(before);
    result
}

/// Counts what `work` takes and gives back.
pub fn counted<T>(work: impl FnOnce() -> T) -> T {
    with(true, work)
}

/// Does not count what `work` takes and gives back.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    with(false, work)
}

/// Starts to count from zero.
pub fn reset() {
    HELD.set(0);
    // A panic may have left it on.
    IS_ON.set(false);
}

/// Bytes held since [`reset`].
#[must_use]
pub fn held() -> isize {
    HELD.get()
}

fn add(bytes: isize) {
    // A thread that is ending has nothing to count in.
    let _ = IS_ON.try_with(|on| {
        if on.get() {
            HELD.set(HELD.get() + bytes);
        }
    });
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it is; counting does not allocate.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_where_counting_is_on() {
        reset();
        let kept = counted(|| {
            drop(std::hint::black_box(vec![1_u8; 1000]));
            uncounted(|| std::mem::forget(std::hint::black_box(vec![1_u8; 50])));
            std::hint::black_box(vec![0_u8; 300])
        });
        assert_eq!(held(), 300);
        counted(|| drop(kept));
        assert_eq!(held(), 0);
    }
}
