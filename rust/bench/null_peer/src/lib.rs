//! A `MultiplayerPeer` without a network, for `cargo xtask bench`.
//!
//! It plays a server whose clients are there at once, send what a scenario has them send, and take
//! everything. So what a scenario costs with it is what the engine and the script cost: no peer of
//! an extension can be below that.

// `&self` would make a method const for the engine: one that acts is not, whatever it borrows.
#![allow(clippy::needless_pass_by_ref_mut)]
// The accessors that `#[var]` makes are public.
#![allow(unreachable_pub)]

mod calls;
mod load;
mod peer;
mod queue;
mod steady;

use godot::prelude::*;

struct NullPeer;

// SAFETY: the entry point is called by the engine alone, once, as the macro requires.
#[gdextension(entry_symbol = mio_websocket_null_peer_init)]
unsafe impl ExtensionLibrary for NullPeer {}
