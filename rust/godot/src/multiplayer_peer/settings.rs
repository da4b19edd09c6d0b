//! The properties that the engine's class has, too.

use godot::prelude::*;
use mio_websocket_core::error::Error;
use mio_websocket_core::upgrade::{set_headers, set_protocols};

use super::{MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{int32, string_array, strings, time_limit};

accessors!(
    get_supported_protocols, set_supported_protocols;
    get_handshake_headers, set_handshake_headers;
    get_inbound_buffer_size, set_inbound_buffer_size;
    get_outbound_buffer_size, set_outbound_buffer_size;
    get_handshake_timeout, set_handshake_timeout;
    get_max_queued_packets, set_max_queued_packets;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    #[func]
    pub(super) fn get_supported_protocols(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().config.supported_protocols)
    }

    #[func]
    pub(super) fn set_supported_protocols(&mut self, protocols: PackedStringArray) {
        let config = &mut self.peer.get_mut().config;
        let set = set_protocols(config, &strings(&protocols)).map_err(Error::from);
        self.answer_to("supported_protocols", set);
    }

    #[func]
    pub(super) fn get_handshake_headers(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().config.handshake_headers)
    }

    #[func]
    pub(super) fn set_handshake_headers(&mut self, protocols: PackedStringArray) {
        let set = set_headers(&mut self.peer.get_mut().config, strings(&protocols));
        self.answer_to("handshake_headers", set.map_err(Error::from));
    }

    #[func]
    pub(super) fn get_inbound_buffer_size(&self) -> i64 {
        i64::from(self.peer.borrow().config.inbound_buffer_size)
    }

    #[func]
    pub(super) fn set_inbound_buffer_size(&mut self, buffer_size: i64) {
        self.peer.get_mut().config.inbound_buffer_size = int32(buffer_size);
    }

    #[func]
    pub(super) fn get_outbound_buffer_size(&self) -> i64 {
        i64::from(self.peer.borrow().config.outbound_buffer_size)
    }

    #[func]
    pub(super) fn set_outbound_buffer_size(&mut self, buffer_size: i64) {
        self.peer.get_mut().config.outbound_buffer_size = int32(buffer_size);
    }

    #[func]
    pub(super) fn get_handshake_timeout(&self) -> f64 {
        self.peer.borrow().handshake_timeout().as_secs_f64()
    }

    #[func]
    pub(super) fn set_handshake_timeout(&mut self, timeout: f64) {
        match time_limit(timeout) {
            Some(timeout) => self.peer.get_mut().set_handshake_timeout(timeout),
            None => self.answer_to("handshake_timeout", Err(Error::Timeout)),
        }
    }

    #[func]
    pub(super) fn get_max_queued_packets(&self) -> i64 {
        i64::from(self.peer.borrow().config.max_queued_packets)
    }

    #[func]
    pub(super) fn set_max_queued_packets(&mut self, max_queued_packets: i64) {
        self.peer.get_mut().config.max_queued_packets = int32(max_queued_packets);
    }
}
