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
use mio_websocket_core::config::{MIN_REQUEST_SIZE, OverflowPolicy};
use mio_websocket_core::connection::{Delivery, Target};
use mio_websocket_core::error::Error;
use mio_websocket_core::memory;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer, SERVER_ID, Status};
use mio_websocket_core::transport::address_text;
use mio_websocket_core::upgrade::{set_headers, set_origins, set_paths, set_protocols};

use crate::convert::{
    bytes, duration, error_code, int32, is_silent, number, string_array, strings, time_limit, whole,
};
use crate::log;
use crate::resolver::EngineResolver;
use crate::tls_options::OptionalTls;
use crate::web_socket_peer::{MioWebSocketPeer, OptionalPeer};

/// The engine's value for "one more than the packet size limit": its class still takes off the
/// header of an older protocol here.
const OLD_HEADER: i32 = 9;

/// The largest count that a property takes.
const MOST: i64 = i32::MAX as i64;

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
    /// TCP, TLS, upgrade and id. It is one limit over all of that, and bytes that trickle in do not
    /// prolong it; on a server it ends when the operating system has taken the answer and the id.
    /// Whole milliseconds count; 0 or less is an error and changes nothing. Default: 3.0.
    #[var(get = get_handshake_timeout, set = set_handshake_timeout)]
    handshake_timeout: PhantomVar<f64>,
    /// Most packets to one peer that wait for the operating system to take them. A packet that does
    /// not fit is refused with [constant ERR_OUT_OF_MEMORY]. Default: 4096. Applies to connections
    /// made later.
    #[var(get = get_max_queued_packets, set = set_max_queued_packets)]
    max_queued_packets: PhantomVar<i64>,
    /// A server's limit on clients that are connected at a time; 0 (the default) means no limit.
    /// Whoever asks to join beyond it is answered with HTTP status 503 and `Retry-After: 5`, so that
    /// a crowd that waits for places asks seldom. The place of a client is free when [signal MultiplayerPeer.peer_disconnected] has been emitted
    /// for it. Unlike [member MultiplayerPeer.refuse_new_connections], which leaves connections
    /// waiting, this tells them. A negative value is an error and changes nothing.
    #[var(get = get_max_clients, set = set_max_clients)]
    max_clients: PhantomVar<i64>,
    /// A server's limit on connections that have not got through TLS and upgrade. When there are
    /// more, the oldest is dropped: a client that means well is through after a round trip or two,
    /// so the oldest are those that say nothing. To keep others out, somebody has to open this many
    /// connections within a round trip, again and again; [member
    /// connections_per_second_per_address] is against that. The older half is dropped, too, when
    /// the system has no descriptors left. Default: 1024, more than come at once to any game, and
    /// about 16 MiB of unfinished requests at most. A value below 1 is an error and changes nothing.
    #[var(get = get_max_pending_handshakes, set = set_max_pending_handshakes)]
    max_pending_handshakes: PhantomVar<i64>,
    /// A server's limit on connections that one address may open in a second, with a burst of four
    /// times as many; 0 (the default) means no limit. An address is an IPv4 address, or the first
    /// 64 bits of an IPv6 address. A connection beyond it is answered with HTTP status 429 and
    /// `Retry-After: 1`; with TLS it is dropped before any work is done for it.
    ///
    /// It is off because players behind one router, mobile provider or proxy share an address. On
    /// a server without a proxy in front of it, 5 is a good value: it lets 20 players of one
    /// household or school back in at once. The last 65,536 addresses are remembered. A negative
    /// value is an error and changes nothing.
    #[var(get = get_connections_per_second_per_address, set = set_connections_per_second_per_address)]
    connections_per_second_per_address: PhantomVar<i64>,
    /// The paths that a server's clients may ask for, such as `"/play"`; empty (the default) means
    /// all. Others are answered with HTTP status 404. A path is compared as it is sent: with its
    /// case, its slashes and its percent-encoding, and without the query. An entry that does not
    /// begin with `/`, or has a query, a fragment or a blank, is an error and changes nothing.
    #[var(get = get_allowed_paths, set = set_allowed_paths)]
    allowed_paths: PhantomVar<PackedStringArray>,
    /// The origins of the web pages whose players a server lets in, such as
    /// `"https://example.com"`; empty (the default) means all. Others are answered with HTTP status
    /// 403. An origin is the scheme, the host and the port, if it is not the usual one, of the page
    /// that holds the game; letters match in either case. `"null"` stands for pages without one.
    /// Clients that are not browsers send no origin and are let in, or any that they like: this
    /// keeps other people's pages out, and no one else. An entry that can be no origin, one with a
    /// slash at the end for example, is an error and changes nothing.
    #[var(get = get_allowed_origins, set = set_allowed_origins)]
    allowed_origins: PhantomVar<PackedStringArray>,
    /// Largest upgrade request that a server reads, in bytes, with all its headers; beyond it the
    /// answer is HTTP status 431. Default: 16384, as common web servers have it: browsers send
    /// cookies, proxies add headers. More than 128 headers are never accepted. A value below 256 is
    /// an error and changes nothing. Applies to connections made later.
    #[var(get = get_max_request_size, set = set_max_request_size)]
    max_request_size: PhantomVar<i64>,
    /// Most frames that a packet may come in, from 1 on. The connection of a peer that sends a
    /// packet in more is closed with code 1008. Default: 65536, more than any honest sender makes.
    /// Applies to connections made later.
    #[var(get = get_max_fragments, set = set_max_fragments)]
    max_fragments: PhantomVar<i64>,
    /// Frames of any kind (packets, fragments, pings) that a peer may send a second; 0 means no
    /// limit. Two seconds' worth may come at once, and more if the game has not polled for a while.
    /// The connection of a peer that sends more is closed with code 1008. Default: 0. Applies to
    /// connections made later.
    #[var(get = get_inbound_packets_per_second, set = set_inbound_packets_per_second)]
    inbound_packets_per_second: PhantomVar<i64>,
    /// As [member inbound_packets_per_second], for bytes of payload. Default: 0.
    #[var(get = get_inbound_bytes_per_second, set = set_inbound_bytes_per_second)]
    inbound_bytes_per_second: PhantomVar<i64>,
    /// What happens when there is no room for a packet in the queue of a peer that reads too slowly
    /// (see [member outbound_buffer_size] and [member max_queued_packets]):
    /// [constant OVERFLOW_REFUSE] or [constant OVERFLOW_DISCONNECT]. A packet that would not fit
    /// into an empty queue is refused in any case. Default: [constant OVERFLOW_REFUSE]. Applies to
    /// connections made later.
    #[var(get = get_overflow_policy, set = set_overflow_policy)]
    overflow_policy: PhantomVar<i64>,
    /// If `true`, packets that are put in an unreliable mode do not pile up for a peer that reads
    /// too slowly. While the operating system takes no more bytes for it, a packet put with
    /// [constant MultiplayerPeer.TRANSFER_MODE_UNRELIABLE] is dropped; of those put with
    /// [constant MultiplayerPeer.TRANSFER_MODE_UNRELIABLE_ORDERED] the newest of each transfer
    /// channel (of at most 64) is sent when everything before it has been. Such a packet counts for
    /// [member outbound_buffer_size]; one that has no room is dropped. Reliable packets are not
    /// affected. If `false` (the default), all packets are sent as reliable ones, as by
    /// [WebSocketMultiplayerPeer]. Applies to connections made later.
    #[var(get = get_drop_stale_packets, set = set_drop_stale_packets)]
    drop_stale_packets: PhantomVar<bool>,
    /// Bytes that wait for one peer from which on they are handed to the operating system at once,
    /// and not at the end of the frame; 0 means each packet at once. Default: 65536, from where on
    /// waiting for more saves nothing. Applies to connections made later.
    #[var(get = get_flush_threshold, set = set_flush_threshold)]
    flush_threshold: PhantomVar<i64>,
    /// Most packets, from 1 on, that have been received from all peers together and wait for
    /// [method PacketPeer.get_packet]. Beyond it nothing more is read, so that the senders have to
    /// wait; nothing is lost. Default: 262144: ten seconds of 1000 peers that send 26 a second.
    #[var(get = get_max_waiting_packets, set = set_max_waiting_packets)]
    max_waiting_packets: PhantomVar<i64>,
    /// As [member max_waiting_packets], for bytes; one read from a socket (64 KiB) may exceed it.
    /// Default: 268435456 (256 MiB).
    #[var(get = get_max_waiting_bytes, set = set_max_waiting_bytes)]
    max_waiting_bytes: PhantomVar<i64>,
    /// Time in seconds, above 0, after which [method MultiplayerPeer.poll] reads no more and leaves
    /// the rest to the next poll. At least one step is made in each. Handing over what has been read
    /// comes on top, and takes no longer. Default: 0.002, an eighth of a frame at 60 Hz.
    #[var(get = get_poll_time_limit, set = set_poll_time_limit)]
    poll_time_limit: PhantomVar<f64>,
    /// How many seconds of [member poll_time_limit], above 0, newcomers may take: accepting, TLS,
    /// upgrade. Default: 0.0015, which is 3 TLS handshakes with an RSA key of 2048 bits, 15 with a
    /// P-256 key.
    #[var(get = get_poll_handshake_time_limit, set = set_poll_handshake_time_limit)]
    poll_handshake_time_limit: PhantomVar<f64>,
    /// Most frames, from 1 on, that one poll takes. Default: 65536, more than fit into the time of
    /// a poll.
    #[var(get = get_poll_frame_limit, set = set_poll_frame_limit)]
    poll_frame_limit: PhantomVar<i64>,
    /// Most bytes, from 1 on, that one poll reads; one read from a socket (64 KiB) may exceed it.
    /// Default: 67108864 (64 MiB), more than is read in the time of a poll.
    #[var(get = get_poll_byte_limit, set = set_poll_byte_limit)]
    poll_byte_limit: PhantomVar<i64>,
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
    /// A packet that has no room is refused: [method PacketPeer.put_packet] returns
    /// [constant ERR_OUT_OF_MEMORY]. A packet to several peers reaches those who have room.
    #[constant]
    const OVERFLOW_REFUSE: i64 = OverflowPolicy::Refuse as i64;
    /// A peer whose queue has no room for a packet is closed with code 1013, and
    /// [signal MultiplayerPeer.peer_disconnected] follows. [method PacketPeer.put_packet] returns
    /// [constant FAILED] if it was for that peer alone, and [constant OK] if it was for several.
    #[constant]
    const OVERFLOW_DISCONNECT: i64 = OverflowPolicy::Disconnect as i64;

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

    /// What has happened since this object was made, in numbers that never go down:
    /// `accepted` TCP connections, clients that `joined`; clients that were `refused_full` (see
    /// [member max_clients]), `refused_rate` (see [member connections_per_second_per_address]),
    /// `refused_path`, `refused_origin`, or `refused_request` for anything else in their request;
    /// `failed_tls`, `handshake_timeouts` and `handshakes_displaced` (see
    /// [member max_pending_handshakes]); `accept_errors`, how often the system had no descriptors
    /// or memory left for a connection; connections that were `closed_too_big`,
    /// `closed_fragments`, `closed_rate`, `closed_protocol` or `closed_overflow`; and
    /// `packets_refused` and `packets_dropped` for want of room.
    #[func]
    fn get_stats(&self) -> VarDictionary {
        let stats = self.peer.borrow().stats;
        let entries = stats.entries();
        entries.map(|(name, count)| (name.to_variant(), (count as i64).to_variant())).collect()
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

    #[func]
    fn get_max_clients(&self) -> i64 {
        i64::from(self.peer.borrow().admission.max_clients)
    }

    #[func]
    fn set_max_clients(&mut self, max_clients: i64) {
        let value = whole(max_clients, 0..=MOST);
        let set = value.map(|value| self.peer.get_mut().admission.max_clients = value);
        self.answer_to("max_clients", set);
    }

    #[func]
    fn get_max_pending_handshakes(&self) -> i64 {
        i64::from(self.peer.borrow().admission.max_pending_handshakes)
    }

    #[func]
    fn set_max_pending_handshakes(&mut self, max_pending_handshakes: i64) {
        let value = whole(max_pending_handshakes, 1..=MOST);
        let set = value.map(|value| self.peer.get_mut().admission.max_pending_handshakes = value);
        self.answer_to("max_pending_handshakes", set);
    }

    #[func]
    fn get_connections_per_second_per_address(&self) -> i64 {
        i64::from(self.peer.borrow().admission.connections_per_second_per_address)
    }

    #[func]
    fn set_connections_per_second_per_address(&mut self, connections: i64) {
        let admission = &mut self.peer.get_mut().admission;
        let value = whole(connections, 0..=MOST);
        let set = value.map(|value| admission.connections_per_second_per_address = value);
        self.answer_to("connections_per_second_per_address", set);
    }

    #[func]
    fn get_allowed_paths(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().admission.allowed_paths)
    }

    #[func]
    fn set_allowed_paths(&mut self, paths: PackedStringArray) {
        let set = set_paths(&mut self.peer.get_mut().admission, strings(&paths));
        self.answer_to("allowed_paths", set.map_err(Error::from));
    }

    #[func]
    fn get_allowed_origins(&self) -> PackedStringArray {
        string_array(&self.peer.borrow().admission.allowed_origins)
    }

    #[func]
    fn set_allowed_origins(&mut self, origins: PackedStringArray) {
        let set = set_origins(&mut self.peer.get_mut().admission, strings(&origins));
        self.answer_to("allowed_origins", set.map_err(Error::from));
    }

    #[func]
    fn get_max_request_size(&self) -> i64 {
        self.peer.borrow().config.max_request_size as i64
    }

    #[func]
    fn set_max_request_size(&mut self, max_request_size: i64) {
        let value = whole(max_request_size, i64::from(MIN_REQUEST_SIZE)..=MOST);
        let set = value.map(|value| self.peer.get_mut().config.max_request_size = value);
        self.answer_to("max_request_size", set);
    }

    #[func]
    fn get_max_fragments(&self) -> i64 {
        number(self.peer.borrow().config.max_fragments)
    }

    #[func]
    fn set_max_fragments(&mut self, count: i64) {
        let set = whole(count, 1..=MOST);
        let set = set.map(|count| self.peer.get_mut().config.max_fragments = count);
        self.answer_to("max_fragments", set);
    }

    #[func]
    fn get_inbound_packets_per_second(&self) -> i64 {
        number(self.peer.borrow().config.inbound_packets_per_second)
    }

    #[func]
    fn set_inbound_packets_per_second(&mut self, count: i64) {
        let set = whole(count, 0..=MOST);
        let set = set.map(|count| self.peer.get_mut().config.inbound_packets_per_second = count);
        self.answer_to("inbound_packets_per_second", set);
    }

    #[func]
    fn get_inbound_bytes_per_second(&self) -> i64 {
        number(self.peer.borrow().config.inbound_bytes_per_second)
    }

    #[func]
    fn set_inbound_bytes_per_second(&mut self, count: i64) {
        let set = whole(count, 0..=i64::MAX);
        let set = set.map(|count| self.peer.get_mut().config.inbound_bytes_per_second = count);
        self.answer_to("inbound_bytes_per_second", set);
    }

    #[func]
    fn get_overflow_policy(&self) -> i64 {
        self.peer.borrow().config.overflow_policy as i64
    }

    #[func]
    fn set_overflow_policy(&mut self, policy: i64) {
        let set = whole(policy, Self::OVERFLOW_REFUSE..=Self::OVERFLOW_DISCONNECT);
        let set = set.map(|policy: i64| {
            self.peer.get_mut().config.overflow_policy = match policy {
                Self::OVERFLOW_DISCONNECT => OverflowPolicy::Disconnect,
                _ => OverflowPolicy::Refuse,
            };
        });
        self.answer_to("overflow_policy", set);
    }

    #[func]
    fn get_drop_stale_packets(&self) -> bool {
        self.peer.borrow().config.drop_stale_packets
    }

    #[func]
    fn set_drop_stale_packets(&mut self, enable: bool) {
        self.peer.get_mut().config.drop_stale_packets = enable;
    }

    #[func]
    fn get_flush_threshold(&self) -> i64 {
        number(self.peer.borrow().config.flush_threshold)
    }

    #[func]
    fn set_flush_threshold(&mut self, count: i64) {
        let set = whole(count, 0..=MOST);
        let set = set.map(|count| self.peer.get_mut().config.flush_threshold = count);
        self.answer_to("flush_threshold", set);
    }

    #[func]
    fn get_max_waiting_packets(&self) -> i64 {
        number(self.peer.borrow().waiting.packets)
    }

    #[func]
    fn set_max_waiting_packets(&mut self, count: i64) {
        let set = whole(count, 1..=MOST);
        let set = set.map(|count| self.peer.get_mut().waiting.packets = count);
        self.answer_to("max_waiting_packets", set);
    }

    #[func]
    fn get_max_waiting_bytes(&self) -> i64 {
        number(self.peer.borrow().waiting.bytes)
    }

    #[func]
    fn set_max_waiting_bytes(&mut self, count: i64) {
        let set = whole(count, 1..=i64::MAX);
        let set = set.map(|count| self.peer.get_mut().waiting.bytes = count);
        self.answer_to("max_waiting_bytes", set);
    }

    #[func]
    fn get_poll_time_limit(&self) -> f64 {
        self.peer.borrow().budget.time.as_secs_f64()
    }

    #[func]
    fn set_poll_time_limit(&mut self, limit: f64) {
        let set = duration(limit).map(|limit| self.peer.get_mut().budget.time = limit);
        self.answer_to("poll_time_limit", set);
    }

    #[func]
    fn get_poll_handshake_time_limit(&self) -> f64 {
        self.peer.borrow().budget.handshakes.as_secs_f64()
    }

    #[func]
    fn set_poll_handshake_time_limit(&mut self, limit: f64) {
        let set = duration(limit).map(|limit| self.peer.get_mut().budget.handshakes = limit);
        self.answer_to("poll_handshake_time_limit", set);
    }

    #[func]
    fn get_poll_frame_limit(&self) -> i64 {
        number(self.peer.borrow().budget.frames)
    }

    #[func]
    fn set_poll_frame_limit(&mut self, count: i64) {
        let set = whole(count, 1..=MOST);
        let set = set.map(|count| self.peer.get_mut().budget.frames = count);
        self.answer_to("poll_frame_limit", set);
    }

    #[func]
    fn get_poll_byte_limit(&self) -> i64 {
        number(self.peer.borrow().budget.bytes)
    }

    #[func]
    fn set_poll_byte_limit(&mut self, count: i64) {
        let set = whole(count, 1..=i64::MAX);
        let set = set.map(|count| self.peer.get_mut().budget.bytes = count);
        self.answer_to("poll_byte_limit", set);
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

    fn set_delivery(&mut self) {
        let delivery = match self.transfer_mode {
            TransferMode::UNRELIABLE => Delivery::Unreliable,
            TransferMode::UNRELIABLE_ORDERED => {
                Delivery::UnreliableOrdered { channel: self.transfer_channel }
            }
            _ => Delivery::Reliable,
        };
        self.peer.get_mut().set_delivery(delivery);
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
