//! Hostile bytes and faulty streams against core.
//!
//! A target is a function that takes any bytes, does with core what they say, and panics when core
//! breaks a promise. `cargo xtask fuzz` looks for such bytes; what it has found worth keeping lies in
//! `corpus` and is run by `cargo test`, which needs no fuzzer.
//!
//! No sockets are needed: everything goes through streams in memory, which can stop, be interrupted
//! or break at any byte. Right and wrong are decided by the [`reference`](mod@reference), a second
//! reading of the RFCs that shares no code with core and is as simple as can be.

#![warn(missing_docs)]
#![deny(unsafe_code)]
#![allow(clippy::unwrap_used)] // A panic is what a broken promise is told by.

pub mod game;
pub mod identity;
pub mod link;
pub mod memory;
pub mod pair;
pub mod reference;
pub mod script;
pub mod targets;
pub mod wire;
