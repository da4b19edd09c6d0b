//! What the engine asks of every `MultiplayerPeer`.

use std::time::Instant;

use godot::classes::IMultiplayerPeerExtension;
use godot::classes::multiplayer_peer::{ConnectionStatus, TransferMode};
use godot::global::Error as GodotError;
use godot::meta::conv::RawPtr;
use godot::prelude::*;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{SERVER_ID, Status};

use super::MioWebSocketMultiplayerPeer;
use crate::convert::{bytes, error_code};

/// The engine's value for "one more than the packet size limit": its class still takes off the
/// header of an older protocol here.
const OLD_HEADER: i32 = 9;

#[godot_api]
impl IMultiplayerPeerExtension for MioWebSocketMultiplayerPeer {
    fn poll(&mut self) {
        let now = Instant::now();
        if self.peer.get_mut().is_tls_look_due(now) {
            self.look_at_tls(now);
        }
        let peer = self.peer.get_mut();
        peer.poll(now, self.refuses);
        if !peer.has_news() {
            peer.flush();
            return self.drop_monitors();
        }
        self.emitting(|this| {
            this.signal_events();
            this.peer.get_mut().flush();
            this.drop_monitors();
        });
    }

    fn close(&mut self) {
        self.peer.get_mut().close();
        self.update_monitors();
        self.forget_views();
        self.forget_requests();
    }

    fn disconnect_peer(&mut self, peer: i32, force: bool) {
        let result = self.peer.get_mut().disconnect_peer(peer, force);
        self.forget_view(peer);
        self.forget_request(peer);
        self.answer_to("disconnect_peer", result);
    }

    unsafe fn get_packet_rawptr(
        &mut self,
        r_buffer: RawPtr<*mut RawPtr<*const u8>>,
        r_buffer_size: RawPtr<*mut i32>,
    ) -> GodotError {
        match self.peer.get_mut().get_packet() {
            Ok(packet) => {
                self.current = packet.data;
                // SAFETY: the engine passes valid places for both results. The bytes live in
                // `current` until the next call.
                unsafe {
                    *r_buffer.ptr() = RawPtr::new(self.current.as_ptr());
                    *r_buffer_size.ptr() = self.current.len() as i32;
                }
                GodotError::OK
            }
            Err(error) => self.answer("get_packet", Err(error)),
        }
    }

    unsafe fn put_packet_rawptr(
        &mut self,
        p_buffer: RawPtr<*const u8>,
        p_buffer_size: i32,
    ) -> GodotError {
        // SAFETY: the engine passes a buffer of this size, which it keeps during the call.
        let data = unsafe { bytes(p_buffer.ptr(), p_buffer_size) };
        let result = self.peer.get_mut().put_packet(data);
        self.schedule_flush();
        match result {
            Ok(()) => GodotError::OK,
            // That a peer has gone is signalled; a game that sends until then is not at fault.
            Err(error @ Error::NotOpen) => error_code(&error),
            error => self.answer("put_packet", error),
        }
    }

    fn get_available_packet_count(&self) -> i32 {
        let count = self.peer.borrow_mut().available();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    fn get_max_packet_size(&self) -> i32 {
        self.peer.borrow().config.outbound_buffer_size.saturating_sub(OLD_HEADER)
    }

    fn get_packet_peer(&self) -> i32 {
        let peer = self.peer.borrow().packet_peer();
        match peer {
            Ok(peer) => peer,
            Err(error) => {
                godot_error!("Mio WebSocket: get_packet_peer: {error}");
                SERVER_ID
            }
        }
    }

    fn get_packet_channel(&self) -> i32 {
        0
    }

    fn get_packet_mode(&self) -> TransferMode {
        TransferMode::RELIABLE
    }

    fn set_refuse_new_connections(&mut self, enable: bool) {
        self.refuses = enable;
    }

    fn is_refusing_new_connections(&self) -> bool {
        self.refuses
    }

    fn set_transfer_channel(&mut self, channel: i32) {
        self.transfer_channel = channel;
        self.set_delivery();
    }

    fn get_transfer_channel(&self) -> i32 {
        self.transfer_channel
    }

    fn set_transfer_mode(&mut self, mode: TransferMode) {
        self.transfer_mode = mode;
        self.set_delivery();
    }

    fn get_transfer_mode(&self) -> TransferMode {
        self.transfer_mode
    }

    fn set_target_peer(&mut self, peer: i32) {
        self.peer.get_mut().set_target(peer);
    }

    fn is_server(&self) -> bool {
        self.peer.borrow().is_server()
    }

    fn is_server_relay_supported(&self) -> bool {
        true
    }

    fn get_unique_id(&self) -> i32 {
        self.peer.borrow().unique_id()
    }

    fn get_connection_status(&self) -> ConnectionStatus {
        match self.peer.borrow().status() {
            Status::Disconnected => ConnectionStatus::DISCONNECTED,
            Status::Connecting => ConnectionStatus::CONNECTING,
            Status::Connected => ConnectionStatus::CONNECTED,
        }
    }
}
