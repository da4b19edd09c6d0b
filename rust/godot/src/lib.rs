//! Mio WebSocket for Godot: the classes that scripts see.
//!
//! A thin skin over [`mio_websocket_core`]: a method reads its arguments, calls core and maps the
//! result. No rule of the protocol or of the multiplayer API lives here.

// `&self` would make a method const for the engine: one that acts is not, whatever it borrows.
#![allow(clippy::needless_pass_by_ref_mut)]
// The accessors that `#[var]` makes are public.
#![allow(unreachable_pub)]

mod convert;
mod log;
mod multiplayer_peer;
mod request;
mod resolver;
mod stream;
mod tls_options;
mod web_socket_peer;
mod web_socket_server;

use godot::prelude::*;

struct MioWebSocket;

// SAFETY: the entry point is called by the engine alone, once, as the macro requires.
#[gdextension(entry_symbol = mio_websocket_init)]
unsafe impl ExtensionLibrary for MioWebSocket {}
