//! `NullMultiplayerPeer`: the class.

use std::collections::HashMap;

use godot::classes::multiplayer_peer::{ConnectionStatus, TransferMode};
use godot::classes::{IMultiplayerPeerExtension, MultiplayerPeerExtension};
use godot::global::Error as GodotError;
use godot::meta::conv::RawPtr;
use godot::prelude::*;

use crate::load::{self, Load};
use crate::queue::Queue;

const SERVER_ID: i32 = 1;
/// The id of client 0; the others follow.
const FIRST_ID: i32 = 2;
/// What the benchmark's clients say when all are there.
const GO: &[u8] = b"go";

/// A server without a network, for the benchmark's scripts.
#[derive(GodotClass)]
#[class(tool, init, base = MultiplayerPeerExtension)]
pub(crate) struct NullMultiplayerPeer {
    /// Scenarios with large packets set it; there is no limit here.
    #[var]
    inbound_buffer_size: i64,
    /// See [member inbound_buffer_size].
    #[var]
    outbound_buffer_size: i64,
    /// What the clients send now.
    #[init(val = Box::new(Queue::default()))]
    load: Box<dyn Load>,
    /// What they send when they have said that all are there.
    next: Option<Box<dyn Load>>,
    /// Clients that the first poll brings.
    coming: i32,
    is_active: bool,
    target: i32,
    refuses: bool,
    transfer_channel: i32,
    #[init(val = TransferMode::RELIABLE)]
    transfer_mode: TransferMode,
    base: Base<MultiplayerPeerExtension>,
}

#[godot_api]
impl NullMultiplayerPeer {
    /// Has clients there that send what the options of a run say; before [method create_server].
    #[func]
    fn pretend(&mut self, options: VarDictionary) {
        let options: HashMap<String, String> = options
            .iter_shared()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let clients = options.get("clients").and_then(|clients| clients.parse().ok()).unwrap_or(0);
        self.coming = clients;
        self.next = u32::try_from(clients)
            .ok()
            .filter(|clients| *clients > 0)
            .and_then(|clients| load::choose(&options, clients));
    }

    /// Listens nowhere. Fails without a scenario that can be played without a network.
    #[func]
    fn create_server(
        &mut self,
        _port: i64,
        _bind_address: GString,
        _tls_server_options: Variant,
    ) -> GodotError {
        self.is_active = self.next.is_some();
        if self.is_active { GodotError::OK } else { GodotError::ERR_UNCONFIGURED }
    }

    fn let_all_in(&mut self) {
        for client in 0..std::mem::take(&mut self.coming) {
            self.signals().peer_connected().emit(i64::from(FIRST_ID + client));
        }
        let mut queue = Queue::default();
        queue.push(0, GO);
        self.load = Box::new(queue);
    }
}

#[godot_api]
impl IMultiplayerPeerExtension for NullMultiplayerPeer {
    fn poll(&mut self) {
        if self.coming > 0 {
            self.let_all_in();
            return;
        }
        if self.next.is_some()
            && self.load.available() == 0
            && let Some(next) = self.next.take()
        {
            self.load = next;
        }
        self.load.poll();
    }

    fn close(&mut self) {
        self.is_active = false;
    }

    fn disconnect_peer(&mut self, _peer: i32, _force: bool) {}

    unsafe fn get_packet_rawptr(
        &mut self,
        r_buffer: RawPtr<*mut RawPtr<*const u8>>,
        r_buffer_size: RawPtr<*mut i32>,
    ) -> GodotError {
        let Some(packet) = self.load.take() else {
            return GodotError::ERR_UNAVAILABLE;
        };
        // SAFETY: the engine passes valid places for both results. The load keeps the bytes until
        // the next packet is taken.
        unsafe {
            *r_buffer.ptr() = RawPtr::new(packet.as_ptr());
            *r_buffer_size.ptr() = packet.len() as i32;
        }
        GodotError::OK
    }

    unsafe fn put_packet_rawptr(
        &mut self,
        p_buffer: RawPtr<*const u8>,
        p_buffer_size: i32,
    ) -> GodotError {
        // To one client; nobody answers what goes to several.
        if let Ok(client) = usize::try_from(self.target.saturating_sub(FIRST_ID))
            && let Ok(size) = usize::try_from(p_buffer_size)
            && !p_buffer.ptr().is_null()
        {
            // SAFETY: the engine passes a buffer of this size, which it keeps during the call.
            let packet = unsafe { std::slice::from_raw_parts(p_buffer.ptr(), size) };
            self.load.answered(client, packet);
        }
        GodotError::OK
    }

    fn get_available_packet_count(&self) -> i32 {
        i32::try_from(self.load.available()).unwrap_or(i32::MAX)
    }

    fn get_max_packet_size(&self) -> i32 {
        i32::MAX
    }

    fn get_packet_peer(&self) -> i32 {
        FIRST_ID + self.load.sender() as i32
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
    }

    fn get_transfer_channel(&self) -> i32 {
        self.transfer_channel
    }

    fn set_transfer_mode(&mut self, mode: TransferMode) {
        self.transfer_mode = mode;
    }

    fn get_transfer_mode(&self) -> TransferMode {
        self.transfer_mode
    }

    fn set_target_peer(&mut self, peer: i32) {
        self.target = peer;
    }

    fn is_server(&self) -> bool {
        true
    }

    fn is_server_relay_supported(&self) -> bool {
        true
    }

    fn get_unique_id(&self) -> i32 {
        SERVER_ID
    }

    fn get_connection_status(&self) -> ConnectionStatus {
        if self.is_active { ConnectionStatus::CONNECTED } else { ConnectionStatus::DISCONNECTED }
    }
}
