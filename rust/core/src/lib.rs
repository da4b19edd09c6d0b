//! A WebSocket multiplayer peer driven by a non-blocking [`mio`] loop, without an engine.
//!
//! The rules are those of Godot's `WebSocketMultiplayerPeer`. Nothing here waits or starts a
//! thread for I/O. The caller polls and says what time it is; the clock is only looked at to end a
//! poll that takes long.
//!
//! From the ground up: [`config`], [`stats`], [`url`], [`memory`], [`outbox`], [`rate`], a sans-IO
//! [`websocket`], the HTTP [`upgrade`], [`tls`], [`transport`], [`proxy`], [`error`] and [`notice`],
//! [`dial`] and `listen`, [`admission`] and one [`connection`], the [`reactor`] that drives many,
//! and on top of it [`peer`] (one WebSocket by itself), [`server`] (many such) and [`multiplayer`],
//! whose [`status`] machines can ask for.
//!
//! ```
//! use std::time::Instant;
//! use mio_websocket_core::multiplayer::{Event, MultiplayerPeer};
//!
//! let mut server = MultiplayerPeer::new(|| 0);
//! server.create_server(0, "127.0.0.1", None, Instant::now())?;
//! for _ in 0..3 {
//!     server.poll(Instant::now(), false);
//!     while let Some(event) = server.next_event() {
//!         if let Event::PeerConnected(id) = event.event {
//!             server.set_target(id);
//!             server.put_packet(b"welcome")?;
//!         }
//!         server.finish_event(event);
//!     }
//!     while server.available() > 0 {
//!         let packet = server.get_packet()?;
//!         println!("{} bytes from {}", packet.data.len(), packet.peer);
//!     }
//!     server.flush();
//! }
//! # Ok::<(), mio_websocket_core::error::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod admission;
pub mod config;
pub mod connection;
pub mod dial;
pub mod error;
mod listen;
pub mod memory;
pub mod multiplayer;
pub mod notice;
pub mod outbox;
pub mod peer;
pub mod proxy;
pub mod rate;
pub mod reactor;
pub mod server;
pub mod stats;
pub mod status;
pub mod tls;
pub mod transport;
pub mod upgrade;
pub mod url;
pub mod websocket;
