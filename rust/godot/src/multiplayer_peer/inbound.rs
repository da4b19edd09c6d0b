//! What a peer may send.

use godot::prelude::*;

use super::{MOST, MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{number, whole};

accessors!(
    get_max_fragments, set_max_fragments;
    get_inbound_packets_per_second, set_inbound_packets_per_second;
    get_inbound_bytes_per_second, set_inbound_bytes_per_second;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    #[func]
    pub(super) fn get_max_fragments(&self) -> i64 {
        number(self.peer.borrow().config.max_fragments)
    }

    #[func]
    pub(super) fn set_max_fragments(&mut self, count: i64) {
        self.set("max_fragments", whole(count, 1..=MOST), |peer, value| {
            peer.config.max_fragments = value
        });
    }

    #[func]
    pub(super) fn get_inbound_packets_per_second(&self) -> i64 {
        number(self.peer.borrow().config.inbound_packets_per_second)
    }

    #[func]
    pub(super) fn set_inbound_packets_per_second(&mut self, count: i64) {
        self.set("inbound_packets_per_second", whole(count, 0..=MOST), |peer, value| {
            peer.config.inbound_packets_per_second = value
        });
    }

    #[func]
    pub(super) fn get_inbound_bytes_per_second(&self) -> i64 {
        number(self.peer.borrow().config.inbound_bytes_per_second)
    }

    #[func]
    pub(super) fn set_inbound_bytes_per_second(&mut self, count: i64) {
        self.set("inbound_bytes_per_second", whole(count, 0..=i64::MAX), |peer, value| {
            peer.config.inbound_bytes_per_second = value
        });
    }
}
