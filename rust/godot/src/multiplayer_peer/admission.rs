//! Whom a server lets in.

use godot::prelude::*;
use mio_websocket_core::config::MIN_REQUEST_SIZE;
use mio_websocket_core::error::Error;
use mio_websocket_core::upgrade::{set_origins, set_paths};

use super::{MOST, MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{string_array, strings, whole};

accessors!(
    get_max_clients, set_max_clients;
    get_max_pending_handshakes, set_max_pending_handshakes;
    get_connections_per_second_per_address, set_connections_per_second_per_address;
    get_allowed_paths, set_allowed_paths;
    get_allowed_origins, set_allowed_origins;
    get_max_request_size, set_max_request_size;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    #[func]
    pub(super) fn get_max_clients(&self) -> i64 {
        i64::from(self.peer.borrow().admission.max_clients)
    }

    #[func]
    pub(super) fn set_max_clients(&mut self, max_clients: i64) {
        self.set("max_clients", whole(max_clients, 0..=MOST), |peer, value| {
            peer.admission.max_clients = value
        });
    }

    #[func]
    pub(super) fn get_max_pending_handshakes(&self) -> i64 {
        i64::from(self.peer.borrow().admission.max_pending_handshakes)
    }

    #[func]
    pub(super) fn set_max_pending_handshakes(&mut self, count: i64) {
        self.set("max_pending_handshakes", whole(count, 1..=MOST), |peer, value| {
            peer.admission.max_pending_handshakes = value
        });
    }

    #[func]
    pub(super) fn get_connections_per_second_per_address(&self) -> i64 {
        i64::from(self.peer.borrow().admission.connections_per_second_per_address)
    }

    #[func]
    pub(super) fn set_connections_per_second_per_address(&mut self, connections: i64) {
        let connections = whole(connections, 0..=MOST);
        self.set("connections_per_second_per_address", connections, |peer, value| {
            peer.admission.connections_per_second_per_address = value;
        });
    }

    #[func]
    pub(super) fn get_allowed_paths(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().admission.allowed_paths)
    }

    #[func]
    pub(super) fn set_allowed_paths(&mut self, paths: PackedStringArray) {
        let set = set_paths(&mut self.peer.get_mut().admission, strings(&paths));
        self.answer_to("allowed_paths", set.map_err(Error::from));
    }

    #[func]
    pub(super) fn get_allowed_origins(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().admission.allowed_origins)
    }

    #[func]
    pub(super) fn set_allowed_origins(&mut self, origins: PackedStringArray) {
        let set = set_origins(&mut self.peer.get_mut().admission, strings(&origins));
        self.answer_to("allowed_origins", set.map_err(Error::from));
    }

    #[func]
    pub(super) fn get_max_request_size(&self) -> i64 {
        self.peer.borrow().config.max_request_size as i64
    }

    #[func]
    pub(super) fn set_max_request_size(&mut self, size: i64) {
        let size = whole(size, i64::from(MIN_REQUEST_SIZE)..=MOST);
        self.set("max_request_size", size, |peer, value| peer.config.max_request_size = value);
    }
}
