//! `MioWebSocketMultiplayerPeer`: core's multiplayer peer as the engine's `MultiplayerPeer`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use godot::classes::multiplayer_peer::{ConnectionStatus, TransferMode};
use godot::classes::{Engine, IMultiplayerPeerExtension, MultiplayerPeerExtension};
use godot::global::Error as GodotError;
use godot::meta::conv::RawPtr;
use godot::obj::Singleton;
use godot::prelude::*;
use mio_websocket_core::connection::Target;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer, SERVER_ID, Status};
use mio_websocket_core::transport::address_text;
use mio_websocket_core::upgrade::{set_headers, set_protocols};

use crate::convert::{bytes, error_code, int32, is_silent, string_array, strings, time_limit};
use crate::log;
use crate::resolver::EngineResolver;
use crate::tls_options::OptionalTls;
use crate::web_socket_peer::{MioWebSocketPeer, OptionalPeer};

/// The engine's value for "one more than the packet size limit": its class still takes off the
/// header of an older protocol here.
const OLD_HEADER: i32 = 9;

/// A WebSocket server or client for the high-level multiplayer API, in place of
/// [WebSocketMultiplayerPeer].
///
/// It has the members of [WebSocketMultiplayerPeer] and speaks its protocol: clients of one class
/// join servers of the other. Assign it to [member MultiplayerAPI.multiplayer_peer]:
/// ```gdscript
/// var peer := MioWebSocketMultiplayerPeer.new()
/// if peer.create_server(9080) == OK:
///     multiplayer.multiplayer_peer = peer
/// ```
/// All work is done in [method MultiplayerPeer.poll], without waiting and without threads; what it
/// costs grows with the traffic, not with the number of peers. To be used on the main thread.
#[derive(GodotClass)]
#[class(tool, init, base = MultiplayerPeerExtension)]
pub(crate) struct MioWebSocketMultiplayerPeer {
    /// Sub-protocols that are offered (client, in order of preference) or accepted (server). A
    /// server that has some refuses clients that offer none of them. White space around each is
    /// removed. Default: none. Applies to connections made later.
    #[var(get = get_supported_protocols, set = set_supported_protocols)]
    supported_protocols: PhantomVar<PackedStringArray>,
    /// Extra header lines for the upgrade request (client) or answer (server), such as
    /// `"Authorization: Bearer …"`. An entry with a line break is an error and changes nothing; an
    /// empty one makes [method create_client] and [method create_server] fail. Default: none.
    /// Applies to connections made later.
    #[var(get = get_handshake_headers, set = set_handshake_headers)]
    handshake_headers: PhantomVar<PackedStringArray>,
    /// Largest packet that is accepted, in bytes. The connection of a peer that sends a larger one
    /// is closed with code 1009. Default: 65535. Applies to connections made later.
    #[var(get = get_inbound_buffer_size, set = set_inbound_buffer_size)]
    inbound_buffer_size: PhantomVar<i64>,
    /// Most bytes of packets to one peer that wait for the operating system to take them; 0 or less
    /// means no limit. A packet that does not fit is refused with [constant ERR_OUT_OF_MEMORY].
    /// Default: 65535. Applies to connections made later.
    #[var(get = get_outbound_buffer_size, set = set_outbound_buffer_size)]
    outbound_buffer_size: PhantomVar<i64>,
    /// Time in seconds from accepting or [method create_client] until a peer is connected: name,
    /// TCP, upgrade and id. Whole milliseconds count; 0 or less is an error and changes nothing.
    /// Default: 3.0.
    #[var(get = get_handshake_timeout, set = set_handshake_timeout)]
    handshake_timeout: PhantomVar<f64>,
    /// Most packets to one peer that wait for the operating system to take them. A packet that does
    /// not fit is refused with [constant ERR_OUT_OF_MEMORY]. Default: 4096. Applies to connections
    /// made later.
    #[var(get = get_max_queued_packets, set = set_max_queued_packets)]
    max_queued_packets: PhantomVar<i64>,
    /// A server's certificate and its intermediates: PEM text, or the path of a file (`res://`,
    /// `user://` or absolute). Takes the place of the certificate in the [TLSOptions], from which
    /// an extension cannot read intermediates unless the certificate was loaded from a file. With
    /// [member tls_private_key] it makes [method create_server] speak TLS without [TLSOptions].
    #[var]
    tls_certificate_chain: GString,
    /// The private key of [member tls_certificate_chain]: PEM text, or the path of a file.
    #[var]
    tls_private_key: GString,
    /// The certificates that a client trusts: PEM text, or the path of a file. Takes the place of
    /// those in the [TLSOptions], of which an extension can read only the first unless they were
    /// loaded from a file. Empty (the default): what the [TLSOptions] say.
    #[var]
    tls_ca_bundle: GString,

    #[init(val = RefCell::new(MultiplayerPeer::new(frames())))]
    peer: RefCell<MultiplayerPeer>,
    /// The packet handed out last. The engine reads it after the call has returned, also when a
    /// handler closes the peer, so it is kept until the next one is taken.
    current: Bytes,
    #[init(val = TransferMode::RELIABLE)]
    transfer_mode: TransferMode,
    transfer_channel: i32,
    /// What [method get_peer] has returned, so that it returns the same object again.
    views: HashMap<i32, Gd<MioWebSocketPeer>>,
    flush_scheduled: bool,
    refuses: bool,
    base: Base<MultiplayerPeerExtension>,
}

/// The number of the present frame.
fn frames() -> impl Fn() -> u64 {
    // Looking the singleton up costs more than the call.
    let engine = Engine::singleton();
    move || engine.get_process_frames()
}

#[godot_api]
impl MioWebSocketMultiplayerPeer {
    /// Starts to connect to [param url], such as `"ws://example.com:9080/path"`. The state becomes
    /// [constant MultiplayerPeer.CONNECTION_CONNECTING]; when the server has given an id,
    /// [signal MultiplayerPeer.peer_connected] is emitted with 1. When nobody answers within
    /// [member handshake_timeout] the state goes back without a signal.
    ///
    /// [param tls_client_options] say whom to trust for `wss://`; without them the project's or the
    /// system's certificates are trusted, and the server's must be for the host of the URL.
    ///
    /// Returns [constant ERR_ALREADY_IN_USE] when active, and [constant ERR_INVALID_PARAMETER] for
    /// a URL, header or TLS option that cannot be used.
    #[func]
    fn create_client(
        &mut self,
        url: GString,
        #[opt(default = OptionalTls(None))] tls_client_options: OptionalTls,
    ) -> GodotError {
        let peer = self.peer.get_mut();
        let created = if peer.status() != Status::Disconnected {
            Err(Error::AlreadyInUse)
        } else if tls_client_options.is_for_servers() {
            Err(Error::TlsSide)
        } else {
            let tls = || tls_client_options.for_client(&self.tls_ca_bundle.to_string());
            Target::new(&url.to_string(), EngineResolver::boxed, tls)
                .and_then(|target| peer.create_client(target, Instant::now()))
        };
        self.answer("create_client", created)
    }

    /// Listens on [param port] (0: chosen by the system, see [method get_local_port]) of
    /// [param bind_address]: an IP address, or `"*"` for all addresses, IPv4 and IPv6. The state
    /// becomes [constant MultiplayerPeer.CONNECTION_CONNECTED] at once. With
    /// [param tls_server_options] clients must come with `wss://`.
    ///
    /// Returns [constant ERR_ALREADY_IN_USE] when active or when the address is taken, and
    /// [constant ERR_INVALID_PARAMETER] for a port, address, header, certificate or key that cannot
    /// be used.
    #[func]
    fn create_server(
        &mut self,
        port: i64,
        #[opt(default = "*")] bind_address: GString,
        #[opt(default = OptionalTls(None))] tls_server_options: OptionalTls,
    ) -> GodotError {
        let peer = self.peer.get_mut();
        let created = if peer.status() != Status::Disconnected {
            Err(Error::AlreadyInUse)
        } else if tls_server_options.is_for_clients() {
            Err(Error::TlsSide)
        } else {
            let chain = self.tls_certificate_chain.to_string();
            let key = self.tls_private_key.to_string();
            tls_server_options.for_server(&chain, &key).map_err(Error::from).and_then(|tls| {
                peer.create_server(port, &bind_address.to_string(), tls, Instant::now())
            })
        };
        self.answer("create_server", created)
    }

    /// The connection to a peer: a live view, the same object each time. On a client only the
    /// server, 1, is known. `null` for an id that is not connected.
    #[func]
    fn get_peer(&mut self, peer_id: i32) -> OptionalPeer {
        let peer = self.peer.get_mut();
        let Some(connection) = peer.connection(peer_id).cloned() else {
            self.answer_to("get_peer", Err(Error::UnknownPeer(peer_id)));
            return OptionalPeer(None);
        };
        if let Some(view) = self.views.get(&peer_id)
            && view.bind().connection().is_some_and(|own| Rc::ptr_eq(own, &connection))
        {
            return OptionalPeer(Some(view.clone()));
        }
        let view = peer.view(peer_id).map(MioWebSocketPeer::of);
        self.views.extend(view.clone().map(|view| (peer_id, view)));
        OptionalPeer(view)
    }

    /// The IP address of a peer. IPv6 addresses are not shortened (`"0:0:0:0:0:0:0:1"`). Empty for
    /// an id that is not connected.
    #[func]
    fn get_peer_address(&mut self, id: i32) -> GString {
        match self.peer.get_mut().connection(id) {
            Some(connection) => {
                let remote = connection.borrow().remote();
                remote.map(|remote| GString::from(&address_text(remote.ip()))).unwrap_or_default()
            }
            None => {
                self.answer_to("get_peer_address", Err(Error::UnknownPeer(id)));
                GString::new()
            }
        }
    }

    /// The TCP port of a peer; 0 for an id that is not connected.
    #[func]
    fn get_peer_port(&mut self, id: i32) -> i64 {
        match self.peer.get_mut().connection(id) {
            Some(connection) => {
                connection.borrow().remote().map_or(0, |remote| i64::from(remote.port()))
            }
            None => {
                self.answer_to("get_peer_port", Err(Error::UnknownPeer(id)));
                0
            }
        }
    }

    /// The port that this server listens on, also when [method create_server] was given 0. Returns
    /// 0 unless this is a server.
    #[func]
    fn get_local_port(&self) -> i64 {
        i64::from(self.peer.borrow().local_port())
    }

    #[func]
    fn get_supported_protocols(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().config.supported_protocols)
    }

    #[func]
    fn set_supported_protocols(&mut self, protocols: PackedStringArray) {
        let config = &mut self.peer.get_mut().config;
        let set = set_protocols(config, &strings(&protocols)).map_err(Error::from);
        self.answer_to("supported_protocols", set);
    }

    #[func]
    fn get_handshake_headers(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().config.handshake_headers)
    }

    #[func]
    fn set_handshake_headers(&mut self, protocols: PackedStringArray) {
        let set = set_headers(&mut self.peer.get_mut().config, strings(&protocols));
        self.answer_to("handshake_headers", set.map_err(Error::from));
    }

    #[func]
    fn get_inbound_buffer_size(&self) -> i64 {
        i64::from(self.peer.borrow().config.inbound_buffer_size)
    }

    #[func]
    fn set_inbound_buffer_size(&mut self, buffer_size: i64) {
        self.peer.get_mut().config.inbound_buffer_size = int32(buffer_size);
    }

    #[func]
    fn get_outbound_buffer_size(&self) -> i64 {
        i64::from(self.peer.borrow().config.outbound_buffer_size)
    }

    #[func]
    fn set_outbound_buffer_size(&mut self, buffer_size: i64) {
        self.peer.get_mut().config.outbound_buffer_size = int32(buffer_size);
    }

    #[func]
    fn get_handshake_timeout(&self) -> f64 {
        self.peer.borrow().handshake_timeout().as_secs_f64()
    }

    #[func]
    fn set_handshake_timeout(&mut self, timeout: f64) {
        match time_limit(timeout) {
            Some(timeout) => self.peer.get_mut().set_handshake_timeout(timeout),
            None => self.answer_to("handshake_timeout", Err(Error::Timeout)),
        }
    }

    #[func]
    fn get_max_queued_packets(&self) -> i64 {
        i64::from(self.peer.borrow().config.max_queued_packets)
    }

    #[func]
    fn set_max_queued_packets(&mut self, max_queued_packets: i64) {
        self.peer.get_mut().config.max_queued_packets = int32(max_queued_packets);
    }

    /// For the end of the frame; not for scripts.
    #[func]
    fn _flush(&mut self) {
        self.flush_scheduled = false;
        self.peer.get_mut().flush();
    }

    /// The engine's code for a result; the error in the log, unless the engine's class is silent
    /// about it.
    fn answer(&mut self, call: &str, result: Result<(), Error>) -> GodotError {
        if let Err(error) = &result
            && !is_silent(error)
        {
            self.peer.get_mut().note_error(Instant::now(), &format!("{call}: {error}"));
            self.print_notices();
        }
        result.map_or_else(|error| error_code(&error), |()| GodotError::OK)
    }

    /// As [`Self::answer`], where the code is not wanted.
    fn answer_to(&mut self, call: &str, result: Result<(), Error>) {
        let _ = self.answer(call, result);
    }

    fn print_notices(&mut self) {
        while let Some(notice) = self.peer.get_mut().next_notice() {
            // A script logger may call back into this object.
            let _unbound = self.base_mut();
            log::print(&notice);
        }
    }

    /// Signals what a poll has brought, one by one and with nothing borrowed: a handler may send,
    /// take packets, poll, disconnect, close, start anew.
    fn signal_events(&mut self) {
        loop {
            self.print_notices();
            let Some(event) = self.peer.get_mut().next_event() else {
                return;
            };
            match event.event {
                Event::PeerConnected(id) => {
                    self.signals().peer_connected().emit(i64::from(id));
                }
                Event::PeerDisconnected(id) => {
                    self.signals().peer_disconnected().emit(i64::from(id));
                }
            }
            self.peer.get_mut().finish_event(event);
            self.forget_views();
        }
    }

    /// Lets go of the views of peers that have gone.
    fn forget_views(&mut self) {
        let peer = self.peer.get_mut();
        self.views.retain(|id, _| peer.connection(*id).is_some());
    }

    /// What was collected during the frame leaves at its end.
    fn schedule_flush(&mut self) {
        if self.peer.get_mut().take_flush_due() && !self.flush_scheduled {
            self.flush_scheduled = true;
            // Unlike a closure this does not keep the object alive.
            self.base_mut().call_deferred("_flush", &[]);
        }
    }
}

#[godot_api]
impl IMultiplayerPeerExtension for MioWebSocketMultiplayerPeer {
    fn poll(&mut self) {
        let peer = self.peer.get_mut();
        peer.poll(Instant::now(), self.refuses);
        if !peer.has_news() {
            peer.flush();
            return;
        }
        // A handler may drop the last reference but this one. The object must not be freed while it
        // is bound, so then this reference goes at the end of the frame.
        let mut keep = self.to_gd();
        self.signal_events();
        self.peer.get_mut().flush();
        if keep.get_reference_count() == 1 {
            keep.run_deferred_gd(|_| ());
        }
    }

    fn close(&mut self) {
        self.peer.get_mut().close();
        self.forget_views();
    }

    fn disconnect_peer(&mut self, peer: i32, force: bool) {
        let result = self.peer.get_mut().disconnect_peer(peer, force);
        self.forget_views();
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
