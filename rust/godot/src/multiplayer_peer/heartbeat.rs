//! Who is still there, and how far away.

use godot::prelude::*;
use mio_websocket_core::error::Error;
use mio_websocket_core::stats::RoundTrip;

use super::{MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{peer_id, time};

accessors!(
    get_heartbeat_interval, set_heartbeat_interval;
    get_heartbeat_timeout, set_heartbeat_timeout;
    get_heartbeat_on_client, set_heartbeat_on_client;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// The round-trip time to a peer in seconds: from a ping to its answer, smoothed as TCP does it
    /// (RFC 6298). Frames count: a ping leaves in a poll, the other side answers in a poll of its,
    /// and the answer is read in the next poll here. -1.0 while it is not known, which is until the
    /// first ping of [member heartbeat_interval] has been answered, and for an id that is not
    /// connected.
    #[func]
    fn get_peer_rtt(&mut self, id: i64) -> f64 {
        self.round_trip("get_peer_rtt", id).0
    }

    /// How much the round-trip time of a peer varies, in seconds: the smoothed distance of single
    /// measurements from [method get_peer_rtt]. -1.0 while that is not known.
    #[func]
    fn get_peer_jitter(&mut self, id: i64) -> f64 {
        self.round_trip("get_peer_jitter", id).1
    }

    #[func]
    pub(super) fn get_heartbeat_interval(&self) -> f64 {
        self.peer.borrow().config.keepalive.interval.as_secs_f64()
    }

    #[func]
    pub(super) fn set_heartbeat_interval(&mut self, interval: f64) {
        self.set("heartbeat_interval", time(interval), |peer, value| {
            peer.config.keepalive.interval = value
        });
    }

    #[func]
    pub(super) fn get_heartbeat_timeout(&self) -> f64 {
        self.peer.borrow().config.keepalive.timeout.as_secs_f64()
    }

    #[func]
    pub(super) fn set_heartbeat_timeout(&mut self, timeout: f64) {
        self.set("heartbeat_timeout", time(timeout), |peer, value| {
            peer.config.keepalive.timeout = value
        });
    }

    #[func]
    pub(super) fn get_heartbeat_on_client(&self) -> bool {
        self.peer.borrow().keepalive_on_client
    }

    #[func]
    pub(super) fn set_heartbeat_on_client(&mut self, enable: bool) {
        self.peer.get_mut().keepalive_on_client = enable;
    }
}

impl MioWebSocketMultiplayerPeer {
    fn round_trip(&mut self, call: &str, id: i64) -> (f64, f64) {
        let id = peer_id(id);
        let Some(connection) = self.peer.get_mut().connection(id) else {
            self.answer_to(call, Err(Error::UnknownPeer(id)));
            return seconds(None);
        };
        seconds(connection.borrow().round_trip())
    }
}

/// The round-trip time and its jitter; -1 while they are not known.
pub(super) fn seconds(round_trip: Option<RoundTrip>) -> (f64, f64) {
    match round_trip {
        Some(RoundTrip { time, jitter }) => (time.as_secs_f64(), jitter.as_secs_f64()),
        None => (-1.0, -1.0),
    }
}
