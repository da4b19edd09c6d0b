//! `MioWebSocketServer`: core's server for peers by themselves.

use std::time::Instant;

use godot::global::Error as GodotError;
use godot::prelude::*;
use mio_websocket_core::error::Error;
use mio_websocket_core::server::Server;
use mio_websocket_core::upgrade::{set_headers, set_protocols};

use crate::convert::{error_code, int32, is_silent, string_array, strings, time_limit};
use crate::log;
use crate::tls_options::OptionalTls;
use crate::web_socket_peer::MioWebSocketPeer;

/// A WebSocket server for plain [MioWebSocketPeer]s, without the high-level multiplayer API: what
/// [TCPServer] and [method MioWebSocketPeer.accept_stream] do together, on one event loop for all
/// its connections.
/// ```gdscript
/// var server := MioWebSocketServer.new()
/// var sockets: Array[MioWebSocketPeer] = []
///
/// func _ready() -> void:
///     server.listen(9080)
///
/// func _process(_delta: float) -> void:
///     while server.is_connection_available():
///         sockets.append(server.take_connection())
///     for socket in sockets:
///         socket.poll()
///         while socket.get_available_packet_count() > 0:
///             socket.send(socket.get_packet())
///     sockets = sockets.filter(func(socket: MioWebSocketPeer) -> bool:
///         return socket.get_ready_state() != MioWebSocketPeer.STATE_CLOSED)
/// ```
#[derive(GodotClass)]
#[class(tool, init, base = RefCounted)]
pub(crate) struct MioWebSocketServer {
    /// Sub-protocols that are accepted; with some, clients that offer none of them are refused.
    /// Default: none. Applies to connections accepted later, as all settings here.
    #[var(get = get_supported_protocols, set = set_supported_protocols, usage_flags = [DEFAULT])]
    supported_protocols: PhantomVar<PackedStringArray>,
    /// Extra header lines for the answer to an upgrade request. Default: none.
    #[var(get = get_handshake_headers, set = set_handshake_headers, usage_flags = [DEFAULT])]
    handshake_headers: PhantomVar<PackedStringArray>,
    /// [member MioWebSocketPeer.inbound_buffer_size] of the connections. Default: 65535.
    #[var(get = get_inbound_buffer_size, set = set_inbound_buffer_size, usage_flags = [DEFAULT])]
    inbound_buffer_size: PhantomVar<i64>,
    /// [member MioWebSocketPeer.outbound_buffer_size] of the connections. Default: 65535.
    #[var(get = get_outbound_buffer_size, set = set_outbound_buffer_size, usage_flags = [DEFAULT])]
    outbound_buffer_size: PhantomVar<i64>,
    /// [member MioWebSocketPeer.max_queued_packets] of the connections. Default: 4096.
    #[var(get = get_max_queued_packets, set = set_max_queued_packets, usage_flags = [DEFAULT])]
    max_queued_packets: PhantomVar<i64>,
    /// Time in seconds from accepting until a connection is open. Whole milliseconds count; 0 or
    /// less is an error and changes nothing. Default: 3.0.
    #[var(get = get_handshake_timeout, set = set_handshake_timeout, usage_flags = [DEFAULT])]
    handshake_timeout: PhantomVar<f64>,
    /// See [member MioWebSocketMultiplayerPeer.tls_certificate_chain].
    #[var(usage_flags = [DEFAULT])]
    tls_certificate_chain: GString,
    /// See [member MioWebSocketMultiplayerPeer.tls_private_key].
    #[var]
    tls_private_key: GString,

    server: Server,
    base: Base<RefCounted>,
}

#[godot_api]
impl MioWebSocketServer {
    /// Listens on [param port] (0: chosen by the system, see [method get_local_port]) of
    /// [param bind_address]: an IP address, or `"*"` for all addresses, IPv4 and IPv6. With
    /// [param tls_server_options] clients must come with `wss://`.
    ///
    /// Returns [constant ERR_ALREADY_IN_USE] when listening or when the address is taken, and
    /// [constant ERR_INVALID_PARAMETER] for a port, address, header, certificate or key that cannot
    /// be used.
    #[func]
    fn listen(
        &mut self,
        port: i64,
        #[opt(default = "*")] bind_address: GString,
        #[opt(default = OptionalTls(None))] tls_server_options: OptionalTls,
    ) -> GodotError {
        let listening = if tls_server_options.is_for_clients() {
            Err(Error::TlsSide)
        } else {
            let chain = self.tls_certificate_chain.to_string();
            let key = self.tls_private_key.to_string();
            tls_server_options
                .for_server(&chain, &key)
                .map_err(Error::from)
                .and_then(|tls| self.server.listen(port, &bind_address.to_string(), tls))
        };
        self.answer("listen", listening)
    }

    /// Whether a connection waits to be taken: its upgrade is done and it is open. Accepts those
    /// that have come, so it is to be called each frame.
    #[func]
    fn is_connection_available(&mut self) -> bool {
        let is_available = self.server.is_connection_available(Instant::now());
        self.print_notices();
        is_available
    }

    /// The connection that has waited longest; `null` if none does. It is to be polled each frame;
    /// the first that is polled reads for all connections of this server.
    #[func]
    fn take_connection(&mut self) -> Option<Gd<MioWebSocketPeer>> {
        self.server.take_connection().map(MioWebSocketPeer::of)
    }

    /// Whether the server listens.
    #[func]
    fn is_listening(&self) -> bool {
        self.server.is_listening()
    }

    /// The port that is listened on; 0 when the server does not listen.
    #[func]
    fn get_local_port(&self) -> i64 {
        i64::from(self.server.local_port())
    }

    /// Ends listening. Connections that have been taken stay; the others are closed.
    #[func]
    fn stop(&mut self) {
        self.server.stop();
    }

    #[func]
    fn get_supported_protocols(&self) -> PackedStringArray {
        string_array(&self.server.config.supported_protocols)
    }

    #[func]
    fn set_supported_protocols(&mut self, protocols: PackedStringArray) {
        let set = set_protocols(&mut self.server.config, &strings(&protocols));
        let _ = self.answer("supported_protocols", set.map_err(Error::from));
    }

    #[func]
    fn get_handshake_headers(&self) -> PackedStringArray {
        string_array(&self.server.config.handshake_headers)
    }

    #[func]
    fn set_handshake_headers(&mut self, headers: PackedStringArray) {
        let set = set_headers(&mut self.server.config, strings(&headers));
        let _ = self.answer("handshake_headers", set.map_err(Error::from));
    }

    #[func]
    fn get_inbound_buffer_size(&self) -> i64 {
        i64::from(self.server.config.inbound_buffer_size)
    }

    #[func]
    fn set_inbound_buffer_size(&mut self, buffer_size: i64) {
        self.server.config.inbound_buffer_size = int32(buffer_size);
    }

    #[func]
    fn get_outbound_buffer_size(&self) -> i64 {
        i64::from(self.server.config.outbound_buffer_size)
    }

    #[func]
    fn set_outbound_buffer_size(&mut self, buffer_size: i64) {
        self.server.config.outbound_buffer_size = int32(buffer_size);
    }

    #[func]
    fn get_max_queued_packets(&self) -> i64 {
        i64::from(self.server.config.max_queued_packets)
    }

    #[func]
    fn set_max_queued_packets(&mut self, max_queued_packets: i64) {
        self.server.config.max_queued_packets = int32(max_queued_packets);
    }

    #[func]
    fn get_handshake_timeout(&self) -> f64 {
        self.server.handshake_timeout.as_secs_f64()
    }

    #[func]
    fn set_handshake_timeout(&mut self, timeout: f64) {
        match time_limit(timeout) {
            Some(timeout) => self.server.handshake_timeout = timeout,
            None => drop(self.answer("handshake_timeout", Err(Error::Timeout))),
        }
    }

    /// The engine's code for a result, and the error in the log.
    fn answer(&mut self, call: &str, result: Result<(), Error>) -> GodotError {
        if let Err(error) = &result
            && !is_silent(error)
        {
            self.server.notices.error(Instant::now(), format!("{call}: {error}"));
            self.print_notices();
        }
        result.map_or_else(|error| error_code(&error), |()| GodotError::OK)
    }

    fn print_notices(&mut self) {
        while let Some(notice) = self.server.notices.pop() {
            // A script logger may call back into this object.
            let _unbound = self.base_mut();
            log::print(&notice);
        }
    }
}
