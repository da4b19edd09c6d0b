//! What one poll does at most.

use godot::prelude::*;

use super::{MOST, MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{duration, number, whole};

accessors!(
    get_poll_time_limit, set_poll_time_limit;
    get_poll_handshake_time_limit, set_poll_handshake_time_limit;
    get_poll_frame_limit, set_poll_frame_limit;
    get_poll_byte_limit, set_poll_byte_limit;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    #[func]
    pub(super) fn get_poll_time_limit(&self) -> f64 {
        self.peer.borrow().budget.time.as_secs_f64()
    }

    #[func]
    pub(super) fn set_poll_time_limit(&mut self, limit: f64) {
        self.set("poll_time_limit", duration(limit), |peer, value| peer.budget.time = value);
    }

    #[func]
    pub(super) fn get_poll_handshake_time_limit(&self) -> f64 {
        self.peer.borrow().budget.handshakes.as_secs_f64()
    }

    #[func]
    pub(super) fn set_poll_handshake_time_limit(&mut self, limit: f64) {
        self.set("poll_handshake_time_limit", duration(limit), |peer, value| {
            peer.budget.handshakes = value
        });
    }

    #[func]
    pub(super) fn get_poll_frame_limit(&self) -> i64 {
        number(self.peer.borrow().budget.frames)
    }

    #[func]
    pub(super) fn set_poll_frame_limit(&mut self, count: i64) {
        self.set("poll_frame_limit", whole(count, 1..=MOST), |peer, value| {
            peer.budget.frames = value
        });
    }

    #[func]
    pub(super) fn get_poll_byte_limit(&self) -> i64 {
        number(self.peer.borrow().budget.bytes)
    }

    #[func]
    pub(super) fn set_poll_byte_limit(&mut self, count: i64) {
        self.set("poll_byte_limit", whole(count, 1..=i64::MAX), |peer, value| {
            peer.budget.bytes = value
        });
    }
}
