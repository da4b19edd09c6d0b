//! `MioWebSocketPeer`: core's peer as the engine's `PacketPeer`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use godot::classes::{
    IPacketPeerExtension, PacketPeerExtension, ProjectSettings, StreamPeer, TlsOptions,
};
use godot::global::Error as GodotError;
use godot::meta::conv::{ByValue, RawPtr};
use godot::meta::shape::GodotShape;
use godot::obj::Singleton;
use godot::prelude::*;
use mio_websocket_core::connection::{SharedConnection, State, Target};
use mio_websocket_core::error::Error;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::transport::address_text;
use mio_websocket_core::upgrade::{set_headers, set_protocols};
use mio_websocket_core::websocket::Kind;

use crate::convert::{array_bytes, bytes, error_code, int32, string_array, strings};
use crate::log;
use crate::resolver::EngineResolver;
use crate::stream::EngineStream;
use crate::tls_options::OptionalTls;

/// Time for a TCP connection when the project says nothing else, in seconds.
const CONNECT_TIMEOUT: i64 = 30;

/// One WebSocket connection, in place of [WebSocketPeer].
///
/// [method MioWebSocketMultiplayerPeer.get_peer] returns a live view of one of its connections. By
/// itself it connects to a URL, or takes over a stream that a [TCPServer] has accepted:
/// ```gdscript
/// var socket := MioWebSocketPeer.new()
/// socket.connect_to_url("ws://example.com:9080")
/// # … later, each frame:
/// socket.poll()
/// while socket.get_available_packet_count() > 0:
///     print(socket.get_packet().get_string_from_utf8())
/// ```
/// An extension's class cannot stand where a script names the type [WebSocketPeer]; leave the
/// variable untyped, or use this class's name.
#[derive(GodotClass)]
#[class(tool, init, base = PacketPeerExtension)]
pub(crate) struct MioWebSocketPeer {
    /// Sub-protocols that are offered (client, in order of preference) or accepted (server). White
    /// space around each is removed. Default: none. For the next connection.
    #[var(get = get_supported_protocols, set = set_supported_protocols, usage_flags = [DEFAULT])]
    supported_protocols: PhantomVar<PackedStringArray>,
    /// Extra header lines for the upgrade request or answer. An entry with a line break is an error
    /// and changes nothing. Default: none. For the next connection.
    #[var(get = get_handshake_headers, set = set_handshake_headers, usage_flags = [DEFAULT])]
    handshake_headers: PhantomVar<PackedStringArray>,
    /// Largest message that is accepted, in bytes; a larger one ends the connection with code 1009.
    /// With 0 or less only empty messages are accepted. Fixed once open. Default: 65535.
    #[var(get = get_inbound_buffer_size, set = set_inbound_buffer_size, usage_flags = [DEFAULT])]
    inbound_buffer_size: PhantomVar<i64>,
    /// Most bytes of messages that wait for the operating system to take them; 0 or less means no
    /// limit. Default: 65535.
    #[var(get = get_outbound_buffer_size, set = set_outbound_buffer_size, usage_flags = [DEFAULT])]
    outbound_buffer_size: PhantomVar<i64>,
    /// Most messages that wait for the operating system to take them (below 0: no limit), and, on a
    /// peer by itself, most that wait to be taken with [method PacketPeer.get_packet]: further ones
    /// are left in the system, so that their sender waits. Default: 4096.
    #[var(get = get_max_queued_packets, set = set_max_queued_packets, usage_flags = [DEFAULT])]
    max_queued_packets: PhantomVar<i64>,
    /// Seconds between pings; 0 for none, less is an error and changes nothing. Whole milliseconds
    /// count. When the next ping is due and the one before has not been answered, the connection is
    /// ended. What has arrived is read first, so that polling seldom does no harm, as it does with
    /// [WebSocketPeer]; nothing is pinged or judged while [member max_queued_packets] wait to be taken.
    /// [member MioWebSocketMultiplayerPeer.heartbeat_interval] is another rule.
    /// Default: 0.0.
    #[var(get = get_heartbeat_interval, set = set_heartbeat_interval, usage_flags = [DEFAULT])]
    heartbeat_interval: PhantomVar<f64>,
    /// The certificates that a client trusts: PEM text, or the path of a file. Takes the place of
    /// those in the [TLSOptions], of which an extension can read only the first unless they were
    /// loaded from a file. Empty (the default): what the [TLSOptions] say.
    #[var(usage_flags = [DEFAULT])]
    tls_ca_bundle: GString,

    peer: Peer,
    /// The packet handed out last; the engine reads it after the call has returned.
    current: Bytes,
    was_string: bool,
    base: Base<PacketPeerExtension>,
}

#[godot_api]
impl MioWebSocketPeer {
    /// The upgrade is not done.
    #[constant]
    const STATE_CONNECTING: i64 = State::Connecting as i64;
    /// Messages flow.
    #[constant]
    const STATE_OPEN: i64 = State::Open as i64;
    /// A close frame has been sent and not answered.
    #[constant]
    const STATE_CLOSING: i64 = State::Closing as i64;
    /// Nothing more comes or goes.
    #[constant]
    const STATE_CLOSED: i64 = State::Closed as i64;
    /// [method send] sends text, which must be UTF-8.
    #[constant]
    const WRITE_MODE_TEXT: i64 = 0;
    /// [method send] sends bytes.
    #[constant]
    const WRITE_MODE_BINARY: i64 = 1;

    /// Starts to connect to [param url], such as `"ws://example.com:9080/path"`. Returns
    /// [constant ERR_ALREADY_IN_USE] when connecting or open, and
    /// [constant ERR_INVALID_PARAMETER] for a URL, header or TLS option that cannot be used.
    #[func]
    fn connect_to_url(
        &mut self,
        url: GString,
        #[opt(default = OptionalTls(None))] tls_client_options: OptionalTls,
    ) -> GodotError {
        if url.is_empty() || tls_client_options.is_for_servers() {
            self.complain("connect_to_url: an empty url, or tls options of a server");
            return GodotError::ERR_INVALID_PARAMETER;
        }
        let now = Instant::now();
        let timeout = connect_timeout();
        let tls = || tls_client_options.for_client(&self.tls_ca_bundle.to_string());
        let target = || Target::new(&url.to_string(), EngineResolver::boxed, tls);
        let connected = self.peer.connect(target, timeout, now);
        self.answer("connect_to_url", connected)
    }

    /// Becomes the server's end of [param stream]: a [StreamPeerTCP] that a [TCPServer] has
    /// accepted, or a [StreamPeerTLS] on one. [MioWebSocketServer] does the same faster. Returns
    /// [constant ERR_INVALID_PARAMETER] for any other stream and [constant ERR_ALREADY_IN_USE] when
    /// connecting or open.
    #[func]
    fn accept_stream(&mut self, stream: Option<Gd<StreamPeer>>) -> GodotError {
        let Some(stream) = stream else {
            self.complain("accept_stream: no stream");
            return GodotError::ERR_INVALID_PARAMETER;
        };
        if matches!(self.peer.state(), State::Connecting | State::Open) {
            return self.answer("accept_stream", Err(Error::AlreadyInUse));
        }
        let Some(stream) = EngineStream::boxed(stream) else {
            self.complain("accept_stream: neither a StreamPeerTCP nor a StreamPeerTLS on one");
            return GodotError::ERR_INVALID_PARAMETER;
        };
        let accepted = self.peer.accept(stream);
        self.answer("accept_stream", accepted)
    }

    /// Sends a message: text for [constant WRITE_MODE_TEXT], else binary. Returns
    /// [constant FAILED] unless open, and [constant ERR_OUT_OF_MEMORY] when
    /// [member outbound_buffer_size] or [member max_queued_packets] leaves no room.
    #[func]
    fn send(
        &mut self,
        message: PackedByteArray,
        #[opt(default = 1)] write_mode: i64,
    ) -> GodotError {
        let kind = if write_mode == Self::WRITE_MODE_TEXT { Kind::Text } else { Kind::Binary };
        let sent = self.peer.send(kind, array_bytes(&message));
        self.answer("send", sent)
    }

    /// Sends a text message; see [method send].
    #[func]
    fn send_text(&mut self, message: GString) -> GodotError {
        let sent = self.peer.send(Kind::Text, message.to_string().as_bytes());
        self.answer("send_text", sent)
    }

    /// Whether the packet that [method PacketPeer.get_packet] returned last was text.
    #[func]
    fn was_string_packet(&self) -> bool {
        self.was_string
    }

    /// Does everything that can be done now, without waiting. To be called each frame; a view that
    /// [method MioWebSocketMultiplayerPeer.get_peer] returned is polled by its owner.
    #[func]
    fn poll(&mut self) {
        self.peer.poll(Instant::now());
        self.print_notices();
    }

    /// Starts the closing handshake with [param code] (0: none; below 0: the TCP connection is
    /// ended without a handshake) and [param reason] (at most 123 bytes of UTF-8 are sent; with a
    /// longer one [WebSocketPeer] never closes). Go on polling until [method get_ready_state] is
    /// [constant STATE_CLOSED]; one that does not answer is given up after 3 seconds.
    #[func]
    fn close(&mut self, #[opt(default = 1000)] code: i64, #[opt(default = "")] reason: GString) {
        // Codes have 16 bits on the wire, and the engine's class takes them so.
        let code = if code < 0 { -1 } else { i32::from(code as u16) };
        self.peer.close(code, &reason.to_string());
    }

    /// The IP address of the other side; once closed it is empty, and an error.
    #[func]
    fn get_connected_host(&self) -> GString {
        self.remote().map(|remote| GString::from(&address_text(remote.ip()))).unwrap_or_default()
    }

    /// The TCP port of the other side; once closed it is 0, and an error.
    #[func]
    fn get_connected_port(&self) -> i64 {
        self.remote().map_or(0, |remote| i64::from(remote.port()))
    }

    /// The sub-protocol that both sides agreed on, or nothing.
    #[func]
    fn get_selected_protocol(&self) -> GString {
        self.peer
            .connection()
            .map_or_else(GString::new, |connection| GString::from(connection.borrow().protocol()))
    }

    /// The URL that was asked for: as given on a client, put together from the request on a server.
    #[func]
    fn get_requested_url(&self) -> GString {
        self.peer.connection().map_or_else(GString::new, |connection| {
            GString::from(connection.borrow().requested_url())
        })
    }

    /// Sends small segments without waiting for receipts, which is the default; with `false` the
    /// system collects them (Nagle's algorithm). An error without a connection.
    #[func]
    fn set_no_delay(&mut self, enabled: bool) {
        let connection = self.peer.connection();
        if !connection.is_some_and(|connection| connection.borrow_mut().set_no_delay(enabled)) {
            self.complain("set_no_delay: there is no connection");
        }
    }

    /// Bytes of messages that wait for the operating system to take them; 0 unless open.
    #[func]
    fn get_current_outbound_buffered_amount(&self) -> i64 {
        self.peer.connection().map_or(0, |connection| connection.borrow().buffered() as i64)
    }

    /// The state: [constant STATE_CONNECTING], [constant STATE_OPEN], [constant STATE_CLOSING] or
    /// [constant STATE_CLOSED].
    #[func]
    fn get_ready_state(&self) -> i64 {
        self.peer.state() as i64
    }

    /// The code of the close frame received: 0 if it had none, -1 without a close frame.
    #[func]
    fn get_close_code(&self) -> i64 {
        let connection = self.peer.connection();
        connection.map_or(-1, |connection| i64::from(connection.borrow().close_code()))
    }

    /// The reason of the close frame received.
    #[func]
    fn get_close_reason(&self) -> GString {
        self.peer.connection().map_or_else(GString::new, |connection| {
            GString::from(connection.borrow().close_reason())
        })
    }

    #[func]
    fn get_supported_protocols(&self) -> PackedStringArray {
        string_array(&self.peer.config().supported_protocols)
    }

    #[func]
    fn set_supported_protocols(&mut self, protocols: PackedStringArray) {
        let set = self.peer.configure(|config| set_protocols(config, &strings(&protocols)));
        let _ = self.answer("supported_protocols", set.map_err(Error::from));
    }

    #[func]
    fn get_handshake_headers(&self) -> PackedStringArray {
        string_array(&self.peer.config().handshake_headers)
    }

    #[func]
    fn set_handshake_headers(&mut self, protocols: PackedStringArray) {
        let set = self.peer.configure(|config| set_headers(config, strings(&protocols)));
        let _ = self.answer("handshake_headers", set.map_err(Error::from));
    }

    #[func]
    fn get_inbound_buffer_size(&self) -> i64 {
        i64::from(self.peer.config().inbound_buffer_size)
    }

    #[func]
    fn set_inbound_buffer_size(&mut self, buffer_size: i64) {
        self.peer.configure(|config| config.inbound_buffer_size = int32(buffer_size));
    }

    #[func]
    fn get_outbound_buffer_size(&self) -> i64 {
        i64::from(self.peer.config().outbound_buffer_size)
    }

    #[func]
    fn set_outbound_buffer_size(&mut self, buffer_size: i64) {
        self.peer.configure(|config| config.outbound_buffer_size = int32(buffer_size));
    }

    #[func]
    fn get_max_queued_packets(&self) -> i64 {
        i64::from(self.peer.config().max_queued_packets)
    }

    #[func]
    fn set_max_queued_packets(&mut self, buffer_size: i64) {
        self.peer.configure(|config| config.max_queued_packets = int32(buffer_size));
    }

    #[func]
    fn get_heartbeat_interval(&self) -> f64 {
        self.peer.heartbeat().as_secs_f64()
    }

    #[func]
    fn set_heartbeat_interval(&mut self, interval: f64) {
        match Duration::try_from_secs_f64(interval) {
            Ok(interval) => {
                self.peer.set_heartbeat(Duration::from_millis(interval.as_millis() as u64));
            }
            Err(_) => self.complain("heartbeat_interval: less than 0"),
        }
    }

    /// The object for a peer of core.
    pub(crate) fn of(peer: Peer) -> Gd<Self> {
        let mut object = Self::new_gd();
        object.bind_mut().peer = peer;
        object
    }

    pub(crate) fn connection(&self) -> Option<&SharedConnection> {
        self.peer.connection()
    }

    /// The engine's code for a result, and the error in the log.
    fn answer(&mut self, call: &str, result: Result<(), Error>) -> GodotError {
        let Err(error) = result else {
            return GodotError::OK;
        };
        self.complain(&format!("{call}: {error}"));
        error_code(&error)
    }

    fn complain(&mut self, text: &str) {
        self.peer.note_error(Instant::now(), text);
        self.print_notices();
    }

    fn print_notices(&mut self) {
        while let Some(notice) = self.peer.next_notice() {
            // A script logger may call back into this object.
            let _unbound = self.base_mut();
            log::print(&notice);
        }
    }

    fn remote(&self) -> Option<std::net::SocketAddr> {
        if self.peer.state() == State::Closed {
            godot_error!("Mio WebSocket: there is no connection");
            return None;
        }
        self.peer.connection().and_then(|connection| connection.borrow().remote())
    }
}

#[godot_api]
impl IPacketPeerExtension for MioWebSocketPeer {
    fn get_available_packet_count(&self) -> i32 {
        let connection = self.peer.connection();
        let count = connection.map_or(0, |connection| connection.borrow().available());
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    fn get_max_packet_size(&self) -> i32 {
        if self.peer.state() == State::Open { self.peer.config().inbound_buffer_size } else { 0 }
    }

    unsafe fn get_packet_rawptr(
        &mut self,
        r_buffer: RawPtr<*mut RawPtr<*const u8>>,
        r_buffer_size: RawPtr<*mut i32>,
    ) -> GodotError {
        let Some(message) = self.peer.receive() else {
            if self.peer.state() == State::Open {
                return GodotError::ERR_UNAVAILABLE;
            }
            return self.answer("get_packet", Err(Error::NotOpen));
        };
        self.was_string = message.kind == Kind::Text;
        self.current = message.data;
        // SAFETY: the engine passes valid places for both results. The bytes live in `current`
        // until the next call.
        unsafe {
            *r_buffer.ptr() = RawPtr::new(self.current.as_ptr());
            *r_buffer_size.ptr() = self.current.len() as i32;
        }
        GodotError::OK
    }

    unsafe fn put_packet_rawptr(
        &mut self,
        p_buffer: RawPtr<*const u8>,
        p_buffer_size: i32,
    ) -> GodotError {
        // SAFETY: the engine passes a buffer of this size, which it keeps during the call.
        let data = unsafe { bytes(p_buffer.ptr(), p_buffer_size) };
        let sent = self.peer.send(Kind::Binary, data);
        self.answer("put_packet", sent)
    }
}

/// A peer as a result, or none. A script sees the latter as an object that is null, as from the
/// engine's class, and not as nil.
#[derive(Debug)]
pub(crate) struct OptionalPeer(pub(crate) Option<Gd<MioWebSocketPeer>>);

impl GodotConvert for OptionalPeer {
    type Via = Option<Gd<MioWebSocketPeer>>;

    fn godot_shape() -> GodotShape {
        Self::Via::godot_shape()
    }
}

impl ToGodot for OptionalPeer {
    type Pass = ByValue;

    fn to_godot(&self) -> Self::Via {
        self.0.clone()
    }

    fn to_variant(&self) -> Variant {
        match &self.0 {
            Some(peer) => peer.to_variant(),
            // Only the engine can make this value: options for any client have no certificates.
            None => TlsOptions::client()
                .map_or_else(Variant::nil, |mut options| options.call("get_trusted_ca_chain", &[])),
        }
    }
}

/// The project's time limit for TCP connections.
fn connect_timeout() -> Duration {
    let name = "network/limits/tcp/connect_timeout_seconds";
    let value = ProjectSettings::singleton().get_setting(name);
    let seconds = value.try_to::<i64>().unwrap_or(CONNECT_TIMEOUT);
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
