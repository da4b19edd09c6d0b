//! What waits: for the operating system, and for the game.

use godot::prelude::*;
use mio_websocket_core::config::OverflowPolicy;
use mio_websocket_core::memory;

use super::{MOST, MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{number, whole};

accessors!(
    get_overflow_policy, set_overflow_policy;
    get_drop_stale_packets, set_drop_stale_packets;
    get_flush_threshold, set_flush_threshold;
    get_max_waiting_packets, set_max_waiting_packets;
    get_max_waiting_bytes, set_max_waiting_bytes;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// A packet that has no room is refused: [method PacketPeer.put_packet] returns
    /// [constant ERR_OUT_OF_MEMORY]. A packet to several peers reaches those who have room.
    #[constant]
    const OVERFLOW_REFUSE: i64 = OverflowPolicy::Refuse as i64;
    /// A peer whose queue has no room for a packet is closed with code 1013, and
    /// [signal MultiplayerPeer.peer_disconnected] follows. [method PacketPeer.put_packet] returns
    /// [constant FAILED] if it was for that peer alone, and [constant OK] if it was for several.
    #[constant]
    const OVERFLOW_DISCONNECT: i64 = OverflowPolicy::Disconnect as i64;

    #[func]
    pub(super) fn get_overflow_policy(&self) -> i64 {
        self.peer.borrow().config.overflow_policy as i64
    }

    #[func]
    pub(super) fn set_overflow_policy(&mut self, policy: i64) {
        let policy = whole(policy, Self::OVERFLOW_REFUSE..=Self::OVERFLOW_DISCONNECT);
        self.set("overflow_policy", policy, |peer, value: i64| {
            peer.config.overflow_policy = match value {
                Self::OVERFLOW_DISCONNECT => OverflowPolicy::Disconnect,
                _ => OverflowPolicy::Refuse,
            };
        });
    }

    #[func]
    pub(super) fn get_drop_stale_packets(&self) -> bool {
        self.peer.borrow().config.drop_stale_packets
    }

    #[func]
    pub(super) fn set_drop_stale_packets(&mut self, enable: bool) {
        self.peer.get_mut().config.drop_stale_packets = enable;
    }

    #[func]
    pub(super) fn get_flush_threshold(&self) -> i64 {
        number(self.peer.borrow().config.flush_threshold)
    }

    #[func]
    pub(super) fn set_flush_threshold(&mut self, count: i64) {
        self.set("flush_threshold", whole(count, 0..=MOST), |peer, value| {
            peer.config.flush_threshold = value
        });
    }

    #[func]
    pub(super) fn get_max_waiting_packets(&self) -> i64 {
        number(self.peer.borrow().waiting.packets)
    }

    #[func]
    pub(super) fn set_max_waiting_packets(&mut self, count: i64) {
        self.set("max_waiting_packets", whole(count, 1..=MOST), |peer, value| {
            peer.waiting.packets = value
        });
    }

    #[func]
    pub(super) fn get_max_waiting_bytes(&self) -> i64 {
        number(self.peer.borrow().waiting.bytes)
    }

    #[func]
    pub(super) fn set_max_waiting_bytes(&mut self, count: i64) {
        self.set("max_waiting_bytes", whole(count, 1..=i64::MAX), |peer, value| {
            peer.waiting.bytes = value
        });
    }

    /// Sets how many bytes all queues of all connections of this process may hold together: packets
    /// that wait to be sent or taken, and parts of packets that have arrived. Default: 1073741824
    /// (1 GiB), which 8000 peers reach when they fill both their queues. A queue below 16 KiB does
    /// not count. At the limit no queue grows beyond that: a packet that would make one is refused
    /// with [constant ERR_OUT_OF_MEMORY], and nothing is read from those who have sent so much of an
    /// incomplete packet, so that they have to wait. Smaller packets still come and go. If incomplete
    /// packets take half of the limit, those who hold most of them are closed with code 1013. Less than 1
    /// is an error and changes nothing.
    #[func]
    fn set_memory_limit(bytes: i64) {
        match whole(bytes, 1..=i64::MAX) {
            Ok(bytes) => memory::set_limit(bytes),
            Err(error) => godot_error!("Mio WebSocket: memory_limit: {error}"),
        }
    }

    /// What [method set_memory_limit] has set.
    #[func]
    fn get_memory_limit() -> i64 {
        number(memory::limit())
    }

    /// The bytes that all queues of all connections of this process hold, as far as they count for
    /// [method set_memory_limit].
    #[func]
    fn get_memory_used() -> i64 {
        number(memory::used())
    }
}
