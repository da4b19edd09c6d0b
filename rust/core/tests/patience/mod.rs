//! Waiting for what other threads and the kernel do, with an end.

#![allow(dead_code)] // Each test file uses a part of it.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Nothing here takes a hundredth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Repeats `attempt` until it succeeds.
#[track_caller]
pub(crate) fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < end, "it did not happen");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Repeats `attempt` until it is true.
#[track_caller]
pub(crate) fn eventually(mut attempt: impl FnMut() -> bool) {
    until(|| attempt().then_some(()));
}

/// Runs a test that a poll which never returns would hang.
#[track_caller]
pub(crate) fn bounded(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(test);
    eventually(|| thread.is_finished());
    finish(thread);
}

/// What a script that has ended returned, or its panic.
#[track_caller]
pub(crate) fn finish<T>(script: JoinHandle<T>) -> T {
    match script.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
