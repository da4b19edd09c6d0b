//! `MioWebSocketMultiplayerPeer`: core's multiplayer peer as the engine's `MultiplayerPeer`.
//!
//! The class and its properties are here, what scripts and the engine call in the files beside it.

mod admission;
mod budget;
mod drain;
mod ends;
mod events;
mod heartbeat;
mod inbound;
mod monitors;
mod numbers;
mod proxies;
mod queues;
mod reload;
mod requests;
mod session;
mod settings;
mod status_endpoint;
mod virtuals;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use godot::classes::multiplayer_peer::TransferMode;
use godot::classes::{Engine, MultiplayerPeerExtension};
use godot::global::Error as GodotError;
use godot::obj::Singleton;
use godot::prelude::*;
use mio_websocket_core::connection::Delivery;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::MultiplayerPeer;

use self::monitors::Monitors;
use self::requests::Requests;
use crate::convert::{error_code, is_silent};
use crate::tls_options::OptionalTls;
use crate::web_socket_peer::MioWebSocketPeer;

/// The largest count that a property takes.
const MOST: i64 = i32::MAX as i64;

/// Lets the properties use accessors of this file. gdext looks for them among the functions of the
/// class's first block only, by names that it keeps in this type.
macro_rules! accessors {
    ($($get:ident, $set:ident;)*) => {
        #[allow(non_upper_case_globals)]
        impl super::__godot_MioWebSocketMultiplayerPeer_Funcs {
            $(
                pub const $get: &str = stringify!($get);
                pub const $set: &str = stringify!($set);
            )*
        }
    };
}
use accessors;

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
/// costs grows with the traffic, not with the number of peers. To be used on the main thread only:
/// made or let go of on another thread it ends the process, so a node that may be instantiated on
/// another thread makes its peer in `_ready`.
///
/// Where a game may notice that it is not [WebSocketMultiplayerPeer]: [method PacketPeer.put_packet]
/// returns [constant ERR_OUT_OF_MEMORY] for a packet that has no room, and not [constant OK]; packets
/// that come together with the end of a connection can be taken, and
/// [signal MultiplayerPeer.peer_disconnected] comes a poll later; a server pings its clients
/// ([member heartbeat_interval]); [method MultiplayerPeer.close] sends a close frame, with code 1001
/// from a server and 1000 from a client; [member handshake_timeout] holds for clients that wait for
/// their id, too.
///
/// While somebody works on the extension, the editor may load it anew with connections open: they end
/// as by [method MultiplayerPeer.close], and all objects of its classes begin anew, with their
/// settings but for [member admission_callback] and [member tls_private_key]. Code cannot be unloaded
/// while it runs, so a handler of a signal of this class must not call
/// [method GDExtensionManager.reload_extension] for it, but may defer the call.
#[derive(GodotClass)]
#[class(tool, init, base = MultiplayerPeerExtension)]
pub(crate) struct MioWebSocketMultiplayerPeer {
    /// Sub-protocols that are offered (client, in order of preference) or accepted (server). A
    /// server that has some refuses clients that offer none of them. White space around each is
    /// removed. Default: none. Applies to connections made later.
    #[var(get = get_supported_protocols, set = set_supported_protocols, usage_flags = [DEFAULT])]
    supported_protocols: PhantomVar<PackedStringArray>,
    /// Extra header lines for the upgrade request (client) or answer (server), such as
    /// `"Authorization: Bearer …"`. An entry with a line break is an error and changes nothing; an
    /// empty one makes [method create_client] and [method create_server] fail. Default: none.
    /// Applies to connections made later.
    #[var(get = get_handshake_headers, set = set_handshake_headers, usage_flags = [DEFAULT])]
    handshake_headers: PhantomVar<PackedStringArray>,
    /// Largest packet that is accepted, in bytes. The connection of a peer that sends a larger one
    /// is closed with code 1009; with 0 or less only empty packets are accepted. Default: 65535.
    /// Applies to connections made later.
    #[var(get = get_inbound_buffer_size, set = set_inbound_buffer_size, usage_flags = [DEFAULT])]
    inbound_buffer_size: PhantomVar<i64>,
    /// Most bytes of packets to one peer that wait for the operating system to take them; 0 or less
    /// means no limit. A packet that does not fit is refused with [constant ERR_OUT_OF_MEMORY].
    /// Default: 65535. Applies to connections made later.
    #[var(get = get_outbound_buffer_size, set = set_outbound_buffer_size, usage_flags = [DEFAULT])]
    outbound_buffer_size: PhantomVar<i64>,
    /// Time in seconds from accepting or [method create_client] until a peer is connected: name,
    /// TCP, TLS, upgrade and id. It is one limit over all of that, and bytes that trickle in do not
    /// prolong it; on a server it ends when the operating system has taken the answer and the id.
    /// Whole milliseconds count; 0 or less is an error and changes nothing. Default: 3.0.
    #[var(get = get_handshake_timeout, set = set_handshake_timeout, usage_flags = [DEFAULT])]
    handshake_timeout: PhantomVar<f64>,
    /// Time in seconds that a client has to find the addresses of the URL's name. 0 (the default)
    /// means no limit but [member handshake_timeout], which goes on through all phases. What took
    /// too long says [method get_connection_error]. A negative value is an error and changes
    /// nothing. Applies to connections made later.
    #[var(get = get_resolve_timeout, set = set_resolve_timeout, usage_flags = [DEFAULT])]
    resolve_timeout: PhantomVar<f64>,
    /// As [member resolve_timeout], for the TCP connection. A name's addresses are tried one after
    /// the other, IPv6 first, each 250 ms after the one before, or as soon as that has failed; the
    /// first that answers is taken. This is the time for all of them.
    #[var(get = get_connect_timeout, set = set_connect_timeout, usage_flags = [DEFAULT])]
    connect_timeout: PhantomVar<f64>,
    /// As [member resolve_timeout], for the TLS handshake.
    #[var(get = get_tls_timeout, set = set_tls_timeout, usage_flags = [DEFAULT])]
    tls_timeout: PhantomVar<f64>,
    /// As [member resolve_timeout], for the server's answer to the upgrade request. The id may then
    /// take what is left of [member handshake_timeout].
    #[var(get = get_upgrade_timeout, set = set_upgrade_timeout, usage_flags = [DEFAULT])]
    upgrade_timeout: PhantomVar<f64>,
    /// Time in seconds between two pings that a server sends to each client, up to a tenth less, so
    /// that those who came together are not pinged together; 0 means none. The answers show that a
    /// peer is there ([member heartbeat_timeout]) and how far away ([method get_peer_rtt]), and keep
    /// routers and proxies from forgetting a silent connection. A ping and its answer are 24 bytes
    /// of WebSocket frames; every WebSocket client, browsers too, answers without the game's doing.
    /// Clients send none unless [member heartbeat_on_client] is set. Default: 20.0. A negative value
    /// is an error and changes nothing. Applies to connections made later.
    #[var(get = get_heartbeat_interval, set = set_heartbeat_interval, usage_flags = [DEFAULT])]
    heartbeat_interval: PhantomVar<f64>,
    /// Time in seconds after a ping in which something must arrive from the peer, whatever it is, or
    /// the peer must at least go on taking what waits for it; else its connection is ended, with
    /// code 1006 in [signal peer_closed]. 0 means that it is never ended so, as by
    /// [WebSocketMultiplayerPeer]. That is judged only when everything that has arrived has been
    /// read, and when the game has stood still for half of this time or more the peer gets the time
    /// once more: a server that is paused, is loading or stands in a debugger loses nobody. A client
    /// that stands still for so long does not answer, and is lost. Default: 60.0; a player whose
    /// network is gone leaves 60 to 80 seconds after its last word. A negative value is an error and
    /// changes nothing. Applies to connections made later.
    /// ```gdscript
    /// # Who is gone leaves within 15 seconds.
    /// peer.heartbeat_interval = 5.0
    /// peer.heartbeat_timeout = 10.0
    /// peer.create_server(9080)
    /// ```
    #[var(get = get_heartbeat_timeout, set = set_heartbeat_timeout, usage_flags = [DEFAULT])]
    heartbeat_timeout: PhantomVar<f64>,
    /// If `true`, a client pings its server as a server does its clients: it then knows the
    /// round-trip time, and notices that the server is gone. Default: `false`. Applies to
    /// connections made later.
    #[var(get = get_heartbeat_on_client, set = set_heartbeat_on_client, usage_flags = [DEFAULT])]
    heartbeat_on_client: PhantomVar<bool>,
    /// Most packets to one peer that wait for the operating system to take them; below 0 means no
    /// limit, and with 0 every packet is refused. A packet that does not fit is refused with
    /// [constant ERR_OUT_OF_MEMORY]. Default: 4096. Applies to connections made later.
    #[var(get = get_max_queued_packets, set = set_max_queued_packets, usage_flags = [DEFAULT])]
    max_queued_packets: PhantomVar<i64>,
    /// A server's limit on clients that are connected at a time; 0 (the default) means no limit.
    /// Whoever asks to join beyond it is answered with HTTP status 503 and `Retry-After: 5`, so that
    /// a crowd that waits for places asks seldom. The place of a client is free when
    /// [signal MultiplayerPeer.peer_disconnected] has been emitted for it. Unlike [member MultiplayerPeer.refuse_new_connections], which leaves connections
    /// waiting, this tells them. A negative value is an error and changes nothing.
    #[var(get = get_max_clients, set = set_max_clients, usage_flags = [DEFAULT])]
    max_clients: PhantomVar<i64>,
    /// A server's limit on connections that have not got through TLS and upgrade. When there are
    /// more, the oldest is dropped: a client that means well is through after a round trip or two,
    /// so the oldest are those that say nothing. To keep others out, somebody has to open this many
    /// connections within a round trip, again and again;
    /// [member connections_per_second_per_address] is against that. The older half is dropped, too, when
    /// the system has no descriptors left. Default: 1024, more than come at once to any game, and
    /// about 16 MiB of unfinished requests at most. A value below 1 is an error and changes nothing.
    #[var(get = get_max_pending_handshakes, set = set_max_pending_handshakes, usage_flags = [DEFAULT])]
    max_pending_handshakes: PhantomVar<i64>,
    /// A server's limit on connections that one address may open in a second, with a burst of four
    /// times as many; 0 (the default) means no limit. An address is an IPv4 address, or the first
    /// 64 bits of an IPv6 address. A connection beyond it is answered with HTTP status 429 and
    /// `Retry-After: 1`; with TLS it is dropped before any work is done for it.
    ///
    /// It is off because players behind one router, mobile provider or unknown proxy share an
    /// address. Otherwise 5 is a good value: it lets 20 players of one household or school back in
    /// at once. Behind a proxy of [member trusted_proxies] the player's address counts, as soon as
    /// it is known, and never the proxy's. The last 65,536 addresses are remembered. A negative
    /// value is an error and changes nothing.
    #[var(get = get_connections_per_second_per_address, set = set_connections_per_second_per_address, usage_flags = [DEFAULT])]
    connections_per_second_per_address: PhantomVar<i64>,
    /// The paths that a server's clients may ask for, such as `"/play"`; empty (the default) means
    /// all. Others are answered with HTTP status 404. A path is compared as it is sent: with its
    /// case, its slashes and its percent-encoding, and without the query. An entry that does not
    /// begin with `/`, or has a query, a fragment or a blank, is an error and changes nothing.
    #[var(get = get_allowed_paths, set = set_allowed_paths, usage_flags = [DEFAULT])]
    allowed_paths: PhantomVar<PackedStringArray>,
    /// The origins of the web pages whose players a server lets in, such as
    /// `"https://example.com"`; empty (the default) means all. Others are answered with HTTP status
    /// 403. An origin is the scheme, the host and the port, if it is not the usual one, of the page
    /// that holds the game; letters match in either case. `"null"` stands for pages without one.
    /// Clients that are not browsers send no origin and are let in, or any that they like: this
    /// keeps other people's pages out, and no one else. An entry that can be no origin, one with a
    /// slash at the end for example, is an error and changes nothing.
    #[var(get = get_allowed_origins, set = set_allowed_origins, usage_flags = [DEFAULT])]
    allowed_origins: PhantomVar<PackedStringArray>,
    /// Who decides about the clients of a server: called with a [MioWebSocketRequest] for each that has
    /// passed everything else ([member allowed_paths], [member allowed_origins],
    /// [member supported_protocols], [member max_clients]), before it has an id. It answers with
    /// [method MioWebSocketRequest.accept] or [method MioWebSocketRequest.reject], at once or later:
    /// ```gdscript
    /// var tokens: Array[String] = ["letmein"]
    /// peer.admission_callback = func(request: MioWebSocketRequest) -> void:
    ///     if request.get_query().get("token", "") in tokens:
    ///         request.accept()
    ///     else:
    ///         request.reject(403)
    /// ```
    /// It is called while the server is polled, and may do anything, also close the server. A client
    /// that waits counts for [member max_pending_handshakes], takes no place of
    /// [member max_clients], and is sent away with HTTP status 503 and a line in the log when
    /// [member handshake_timeout] is over. Without [member supported_protocols] clients may offer any
    /// sub-protocols, of which the answer chooses. If the object that is to be called has been freed,
    /// each client is sent away with status 503 and a line in the log. `Callable()` (the default, for
    /// which `null` does not do): all who have passed are let in. Applies to requests that come later. A
    /// lambda that uses the peer itself keeps it alive; a method does not.
    #[var(get = get_admission_callback, set = set_admission_callback)]
    admission_callback: PhantomVar<Callable>,
    /// The proxies in front of a server whose word on a player's address counts: IP addresses
    /// (`"127.0.0.1"`) and networks (`"10.0.0.0/8"`, `"fd00::/8"`) of both families. Behind one of
    /// them [method get_peer_address] and [method get_peer_port], the limit
    /// [member connections_per_second_per_address] and the log have the player's address, as
    /// [member proxy_header] or a PROXY header ([member proxy_protocol]) tells it. Whatever anybody
    /// else says of an address has no effect.
    ///
    /// Name the addresses that the proxy connects from, and no network in which there are players:
    /// whoever is in the list can come as anybody, as often as it likes. Default: none, so that a
    /// player's address is the one that the connection comes from. An entry that is neither is an
    /// error and changes nothing; entries are kept in their shortest form. Can be changed while
    /// listening, for connections made later.
    /// ```gdscript
    /// peer.trusted_proxies = ["127.0.0.1", "::1"]    # nginx on the same machine
    /// peer.create_server(9080, "127.0.0.1")
    /// ```
    #[var(get = get_trusted_proxies, set = set_trusted_proxies, usage_flags = [DEFAULT])]
    trusted_proxies: PhantomVar<PackedStringArray>,
    /// Name of the header in which a proxy of [member trusted_proxies] tells the player's address.
    /// `"X-Forwarded-For"` (the default) and `"Forwarded"` are lists that each proxy extends at the
    /// right end. They are read from there: entries of trusted proxies are skipped, the first other
    /// one is the player's, and what is further left does not count, because the player can have
    /// written it. Any other, such as `"CF-Connecting-IP"` or `"X-Real-IP"`, holds one address and
    /// stands in the request once. With an empty name no header is read.
    ///
    /// Letters match in either case. Addresses may have ports; [method get_peer_port] is 0 without.
    /// Where an entry cannot be read or hides the address, the one before stands, which may be the
    /// proxy's. A text that cannot be the name of a header is an error and changes nothing.
    #[var(get = get_proxy_header, set = set_proxy_header, usage_flags = [DEFAULT])]
    proxy_header: PhantomVar<GString>,
    /// Whether connections begin with a PROXY header, version 1 or 2, as proxies that pass on TCP
    /// without looking into it send it (HAProxy's `send-proxy-v2`, nginx's `proxy_protocol on`, the
    /// load balancers of clouds): [constant PROXY_PROTOCOL_OFF] (the default),
    /// [constant PROXY_PROTOCOL_OPTIONAL] or [constant PROXY_PROTOCOL_REQUIRED]. It comes before TLS
    /// and within [member handshake_timeout]. One that is malformed, larger than 4096 bytes, or not
    /// from an address in [member trusted_proxies] ends the connection; `get_stats().refused_proxy`
    /// counts those. If the address that it names is itself a trusted proxy's,
    /// [member proxy_header] is read as well. So it is where the proxy names no address (`UNKNOWN`,
    /// `LOCAL`); if it does so for players, set [member proxy_header] to `""`, because they could
    /// write that header.
    ///
    /// Without an entry in [member trusted_proxies] nobody could send it, and
    /// [method create_server] returns [constant ERR_INVALID_PARAMETER]. Applies to connections made
    /// later.
    #[var(get = get_proxy_protocol, set = set_proxy_protocol, usage_flags = [DEFAULT])]
    proxy_protocol: PhantomVar<i64>,
    /// Largest upgrade request that a server reads, in bytes, with all its headers; beyond it the
    /// answer is HTTP status 431. Default: 16384, as common web servers have it: browsers send
    /// cookies, proxies add headers. More than 128 headers are never accepted. A value below 256 is
    /// an error and changes nothing. Applies to connections made later.
    #[var(get = get_max_request_size, set = set_max_request_size, usage_flags = [DEFAULT])]
    max_request_size: PhantomVar<i64>,
    /// Most frames that a packet may come in, from 1 on. The connection of a peer that sends a
    /// packet in more is closed with code 1008. Default: 131072, more than any honest sender makes.
    /// Applies to connections made later.
    #[var(get = get_max_fragments, set = set_max_fragments, usage_flags = [DEFAULT])]
    max_fragments: PhantomVar<i64>,
    /// Frames of any kind (packets, fragments, pings) that a peer may send a second; 0 means no
    /// limit. Two seconds' worth may come at once, and more if the game has not polled for a while.
    /// The connection of a peer that sends more is closed with code 1008. Default: 0. Applies to
    /// connections made later.
    #[var(get = get_inbound_packets_per_second, set = set_inbound_packets_per_second, usage_flags = [DEFAULT])]
    inbound_packets_per_second: PhantomVar<i64>,
    /// As [member inbound_packets_per_second], for bytes of payload. Default: 0.
    #[var(get = get_inbound_bytes_per_second, set = set_inbound_bytes_per_second, usage_flags = [DEFAULT])]
    inbound_bytes_per_second: PhantomVar<i64>,
    /// What happens when there is no room for a packet in the queue of a peer that reads too slowly
    /// (see [member outbound_buffer_size] and [member max_queued_packets]):
    /// [constant OVERFLOW_REFUSE] or [constant OVERFLOW_DISCONNECT]. A packet that would not fit
    /// into an empty queue is refused in any case. Default: [constant OVERFLOW_REFUSE]. Applies to
    /// connections made later.
    #[var(get = get_overflow_policy, set = set_overflow_policy, usage_flags = [DEFAULT])]
    overflow_policy: PhantomVar<i64>,
    /// If `true`, packets that are put in an unreliable mode do not pile up for a peer that reads
    /// too slowly. While the operating system takes no more bytes for it, a packet put with
    /// [constant MultiplayerPeer.TRANSFER_MODE_UNRELIABLE] is dropped; of those put with
    /// [constant MultiplayerPeer.TRANSFER_MODE_UNRELIABLE_ORDERED] the newest of each transfer
    /// channel (of at most 64) is sent when everything before it has been. Such a packet counts for
    /// [member outbound_buffer_size]; one that has no room is dropped. Reliable packets are not
    /// affected. If `false` (the default), all packets are sent as reliable ones, as by
    /// [WebSocketMultiplayerPeer]. Applies to connections made later.
    #[var(get = get_drop_stale_packets, set = set_drop_stale_packets, usage_flags = [DEFAULT])]
    drop_stale_packets: PhantomVar<bool>,
    /// Bytes that wait for one peer from which on they are handed to the operating system at once,
    /// and not at the end of the frame; 0 means each packet at once. Default: 65536, from where on
    /// waiting for more saves nothing. [method flush] hands over what waits before something that
    /// takes long. Applies to connections made later.
    #[var(get = get_flush_threshold, set = set_flush_threshold, usage_flags = [DEFAULT])]
    flush_threshold: PhantomVar<i64>,
    /// Most packets, from 1 on, that have been received from all peers together and wait for
    /// [method PacketPeer.get_packet]. Beyond it nothing more is read, so that the senders have to
    /// wait; nothing is lost. Default: 262144: ten seconds of 1000 peers that send 26 a second.
    #[var(get = get_max_waiting_packets, set = set_max_waiting_packets, usage_flags = [DEFAULT])]
    max_waiting_packets: PhantomVar<i64>,
    /// As [member max_waiting_packets], for bytes; one read from a socket (64 KiB) may exceed it.
    /// Default: 268435456 (256 MiB).
    #[var(get = get_max_waiting_bytes, set = set_max_waiting_bytes, usage_flags = [DEFAULT])]
    max_waiting_bytes: PhantomVar<i64>,
    /// Time in seconds, above 0, after which [method MultiplayerPeer.poll] reads no more and leaves
    /// the rest to the next poll. At least one step is made in each. Handing over what has been read
    /// comes on top, and takes no longer. Default: 0.002, an eighth of a frame at 60 Hz.
    #[var(get = get_poll_time_limit, set = set_poll_time_limit, usage_flags = [DEFAULT])]
    poll_time_limit: PhantomVar<f64>,
    /// How many seconds of [member poll_time_limit], above 0, newcomers may take: accepting, TLS,
    /// upgrade, and ending connections that are late. Default: 0.0015, which is 3 TLS handshakes
    /// with an RSA key of 2048 bits, 15 with a P-256 key.
    #[var(get = get_poll_handshake_time_limit, set = set_poll_handshake_time_limit, usage_flags = [DEFAULT])]
    poll_handshake_time_limit: PhantomVar<f64>,
    /// Most frames, from 1 on, that one poll takes. Default: 65536, more than fit into the time of
    /// a poll.
    #[var(get = get_poll_frame_limit, set = set_poll_frame_limit, usage_flags = [DEFAULT])]
    poll_frame_limit: PhantomVar<i64>,
    /// Most bytes, from 1 on, that one poll reads; one read from a socket (64 KiB) may exceed it.
    /// Default: 67108864 (64 MiB), more than is read in the time of a poll.
    #[var(get = get_poll_byte_limit, set = set_poll_byte_limit, usage_flags = [DEFAULT])]
    poll_byte_limit: PhantomVar<i64>,
    /// If `true`, and while this is a server or client, there are monitors of [Performance] for it,
    /// which the editor draws in its debugger: `"Mio WebSocket/peers"`, `packets_in_per_second`,
    /// `packets_out_per_second`, `bytes_in_per_second` and `bytes_out_per_second` of payload,
    /// `queued_bytes`, `waiting_packets`, `rtt_milliseconds` (the mean of all peers, 0 while not
    /// known) and `poll_milliseconds_per_second`. Those of a second such peer are called
    /// `"Mio WebSocket 2/peers"` and so on. Rates are those since the monitors were last asked, half
    /// a second ago or more. They cost nothing until somebody asks. Default: `false`.
    #[var(get = get_monitors_enabled, set = set_monitors_enabled, usage_flags = [DEFAULT])]
    monitors_enabled: PhantomVar<bool>,
    /// A server's certificate and its intermediates: PEM text, or the path of a file (`res://`,
    /// `user://` or absolute). Takes the place of the certificate in the [TLSOptions], from which
    /// an extension cannot read intermediates unless the certificate was loaded from a file. With
    /// [member tls_private_key] it makes [method create_server] speak TLS without [TLSOptions].
    /// Read by [method create_server] and [method reload_tls]. Default: empty.
    #[var(usage_flags = [DEFAULT])]
    tls_certificate_chain: GString,
    /// The private key of [member tls_certificate_chain]: PEM text, or the path of a file. Default:
    /// empty.
    #[var]
    tls_private_key: GString,
    /// A server with TLS looks at the files of its certificate and key again when so many seconds
    /// have passed, in [method MultiplayerPeer.poll]; 0 (the default) means never. If they hold
    /// another certificate, newcomers get that one, as with [method reload_tls]. Which files these
    /// are is said there. Files that cannot be used, for example because the key has not been
    /// written yet, change nothing; they are tried again at the next look, and if they are still
    /// wrong then one line in the log says why. 60 is a good value. A value below 0 is an error and
    /// changes nothing.
    #[var(get = get_tls_reload_interval, set = set_tls_reload_interval, usage_flags = [DEFAULT])]
    tls_reload_interval: PhantomVar<f64>,
    /// The certificates that a client trusts: PEM text, or the path of a file. Takes the place of
    /// those in the [TLSOptions], of which an extension can read only the first unless they were
    /// loaded from a file. Empty (the default): what the [TLSOptions] say.
    #[var(usage_flags = [DEFAULT])]
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
    /// Who is asked about newcomers, and what is known of them.
    requests: Requests,
    flush_scheduled: bool,
    /// What the server's certificate came from, with [member tls_certificate_chain] and
    /// [member tls_private_key].
    #[init(val = OptionalTls(None))]
    tls_server_options: OptionalTls,
    refuses: bool,
    monitors_wanted: bool,
    monitors: Option<Monitors>,
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
    /// The connection to the peer [param id] has ended; emitted just before
    /// [signal MultiplayerPeer.peer_disconnected], when the peer is still known, on servers and
    /// clients. As that signal it does not come for a peer that this side forces out or for its own
    /// [method MultiplayerPeer.close].
    ///
    /// [param code] and [param reason] are those of the close frame: of ours, if this side closed
    /// first, else of the one that was received. A frame without a code is 1005. Whoever has gone
    /// without a close frame (its process was killed, its network is gone, it did not answer to
    /// [member heartbeat_interval]) has 1006, and the cause in [param reason]. A peer that had to be
    /// closed because it broke the protocol or a limit has the code that it was sent, and the cause.
    /// [param was_clean] is `true` when one side closed with a close frame and it was no such
    /// failure. A reason that was received is what the other side likes to say.
    /// ```gdscript
    /// peer.peer_closed.connect(func(id, code, reason, was_clean):
    ///     print("%d has left: %s" % [id, reason if was_clean else "connection lost"]))
    /// ```
    #[signal]
    fn peer_closed(id: i64, code: i64, reason: GString, was_clean: bool);

    /// Emitted by [method begin_drain], before it returns: the time to tell players with an RPC.
    #[signal]
    fn drain_started(seconds: f64);

    /// Emitted once after [method begin_drain], when nobody is left and what was sent to the players
    /// has left, too: the process can end. See [method begin_drain] for an example.
    #[signal]
    fn drained();

    /// Hands the packets that wait to the operating system now, as far as it takes them, which happens
    /// at the end of the frame otherwise: before something that takes long, such as loading a scene, so
    /// that the others learn of it first. [WebSocketMultiplayerPeer] has no such method and needs none.
    /// ```gdscript
    /// multiplayer.send_bytes("loading".to_utf8_buffer())
    /// peer.flush()
    /// OS.delay_msec(500) # in place of loading something
    /// ```
    #[func]
    fn flush(&mut self) {
        self.peer.get_mut().flush();
    }

    /// For the end of the frame; not for scripts.
    #[func]
    fn _flush(&mut self) {
        self.flush_scheduled = false;
        self.peer.get_mut().flush();
    }

    /// For the end of a frame in which this object has been dropped; not for scripts. The engine
    /// lets go of the argument after the call.
    #[func]
    fn _release(&self, _itself: Variant) {}
}

impl MioWebSocketMultiplayerPeer {
    /// Sets a property to a value that can be used, or says in the log why it cannot.
    fn set<T>(
        &mut self,
        property: &str,
        value: Result<T, Error>,
        store: impl FnOnce(&mut MultiplayerPeer, T),
    ) {
        let set = value.map(|value| store(self.peer.get_mut(), value));
        self.answer_to(property, set);
    }

    /// The engine's code for a result; the error in the log, unless the engine's class is silent
    /// about it.
    fn answer(&mut self, call: &str, result: Result<(), Error>) -> GodotError {
        if let Err(error) = &result
            && !is_silent(error)
        {
            self.complain(call, error);
        }
        result.map_or_else(|error| error_code(&error), |()| GodotError::OK)
    }

    /// Says in the log why a call has failed.
    fn complain(&mut self, call: &str, error: &Error) {
        self.peer.get_mut().note_error(Instant::now(), &format!("{call}: {error}"));
        self.print_notices();
    }

    /// As [`Self::answer`], where the code is not wanted.
    fn answer_to(&mut self, call: &str, result: Result<(), Error>) {
        let _ = self.answer(call, result);
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

    /// Lets go of the view of a peer that has gone.
    fn forget_view(&mut self, id: i32) {
        if self.views.contains_key(&id) && self.peer.get_mut().connection(id).is_none() {
            let view = self.views.remove(&id);
            self.let_go(view);
        }
    }

    /// Lets go of all views: the session has ended.
    fn forget_views(&mut self) {
        let views = std::mem::take(&mut self.views);
        self.let_go(views);
    }

    /// Drops what a script may have hung something on, that calls back when it goes.
    fn let_go<T>(&mut self, value: T) {
        let _unbound = self.base_mut();
        drop(value);
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
