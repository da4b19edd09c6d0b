//! Every setting and limit, with its unit and default. Plain data; no other module is known here.

use std::time::{Duration, Instant};

use ipnet::IpNet;

/// Largest HTTP head, in bytes, that either side accepts (request or answer).
///
/// Browsers send cookies and proxies add headers: 4096 bytes, as the engine's class has, is too
/// little; 16 KiB is what common servers and proxies allow.
pub const MAX_HEAD_SIZE: usize = 16 * 1024;

/// Most header lines that a head may have.
pub const MAX_HEADERS: usize = 128;

/// Settings of one connection, copied when the connection is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// Sub-protocols offered (client, in order of preference) or accepted (server). Default: none.
    pub supported_protocols: Vec<String>,
    /// Extra header lines (`Name: value`) for the upgrade request or answer, sent as they are.
    /// Default: none.
    pub handshake_headers: Vec<String>,
    /// Largest message accepted, in bytes, over all its fragments. Default: 65535.
    pub inbound_buffer_size: i32,
    /// Most payload bytes of messages not completely written to the socket; 0 or less means no
    /// limit. Default: 65535.
    pub outbound_buffer_size: i32,
    /// Most messages not completely written to the socket. Default: 4096.
    pub max_queued_packets: i32,
    /// Largest HTTP head of an upgrade request, in bytes; over it a server answers 431. Default:
    /// [`MAX_HEAD_SIZE`].
    pub max_request_size: usize,
    /// Most frames that a message may come in, at least 1; beyond it the connection fails with
    /// close code 1008. Default: 131072, twice what the Autobahn suite sends (9.3.1, 9.4.1: 65537);
    /// a frame costs more than its few bytes show.
    pub max_fragments: u32,
    /// Frames of any kind that the other side may send a second, two seconds' worth at once; 0 for
    /// no limit. Beyond it the connection fails with close code 1008. Default: 0.
    pub inbound_packets_per_second: u32,
    /// As `inbound_packets_per_second`, for bytes of payload. Default: 0.
    pub inbound_bytes_per_second: u64,
    /// What becomes of a peer whose queue has no room for a packet. Default: the packet is refused.
    pub overflow_policy: OverflowPolicy,
    /// Whether packets sent in an unreliable mode are dropped, or replaced by newer ones, while the
    /// kernel takes nothing. Default: false, they wait as reliable ones do.
    pub drop_stale_packets: bool,
    /// Pings while the connection is open. Default: none.
    pub keepalive: KeepaliveConfig,
    /// Bytes waiting for the kernel from which on a connection writes at once and does not wait for
    /// the end of the frame. Default: 65536, from where on a larger write saves next to nothing.
    pub flush_threshold: usize,
}

/// What to do when a packet does not fit into the queue of a peer that reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverflowPolicy {
    /// The packet is refused, and whoever sends it is told.
    Refuse = 0,
    /// The peer is disconnected with close code 1013.
    Disconnect = 1,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            supported_protocols: Vec::new(),
            handshake_headers: Vec::new(),
            inbound_buffer_size: 65535,
            outbound_buffer_size: 65535,
            max_queued_packets: 4096,
            max_request_size: MAX_HEAD_SIZE,
            max_fragments: 1 << 17,
            inbound_packets_per_second: 0,
            inbound_bytes_per_second: 0,
            overflow_policy: OverflowPolicy::Refuse,
            drop_stale_packets: false,
            keepalive: KeepaliveConfig::default(),
            flush_threshold: 64 * 1024,
        }
    }
}

/// Pings that find out whether the other side is still there, and how far away it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepaliveConfig {
    /// Time between two pings, up to a tenth less; zero for none. Default: zero.
    pub interval: Duration,
    /// Time after a ping in which something must arrive, whatever it is, or something that waits to
    /// be sent must be taken; zero for no limit. Default: zero.
    pub timeout: Duration,
}

impl KeepaliveConfig {
    /// What multiplayer peers have: routers and proxies forget a connection that is silent, few of
    /// them within a minute, and a player who has vanished is gone for the others soon.
    pub const MULTIPLAYER: Self =
        Self { interval: Duration::from_secs(20), timeout: Duration::from_secs(60) };
}

/// How long the phases of a client's way to a connection may take, each by itself; zero for no
/// limit of its own. Default: zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseTimeouts {
    /// Finding the addresses of a name.
    pub resolve: Duration,
    /// Opening a TCP connection, to whichever address answers first.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// Asking for the upgrade.
    pub upgrade: Duration,
}

/// Least value that [`ConnectionConfig::max_request_size`] may be set to, in bytes: the request of
/// Godot's own client takes about 200.
pub const MIN_REQUEST_SIZE: u32 = 256;

/// Whom a server lets in, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Most clients that are in at a time; 0 means no limit. A request over it is answered with
    /// 503. Default: 0.
    pub max_clients: u32,
    /// Most connections that have been accepted and are not in, at least 1: they have sent nothing,
    /// or not enough, or are being refused. One more, and the oldest is given up: who means well
    /// is in after a round trip or two, so the oldest are those who say nothing. To keep others
    /// out, somebody would have to open this many connections within a round trip, again and
    /// again. Default: 1024, which is about 16 MiB of unfinished requests at most, and more than
    /// come at once to any game.
    pub max_pending_handshakes: u32,
    /// Most connections that one IPv4 address, or one IPv6 network of 64 bits, may open in a
    /// second, with a burst of four seconds' worth; 0 means no limit. One over it is answered with
    /// 429, or dropped if TLS would come first. Behind a proxy that is trusted it is the player's
    /// address that counts, as soon as it is known, and never the proxy's. Default: 0, because all
    /// players behind one router, mobile provider or unknown proxy have one address; otherwise 5 is
    /// enough for a household or a school class.
    pub connections_per_second_per_address: u32,
    /// Paths that may be asked for, compared as they are sent and without the query; none means
    /// that all may. Others are answered with 404. Default: none.
    pub allowed_paths: Vec<String>,
    /// Origins of web pages that may connect, such as `https://example.com`; none means that all
    /// may. Others are answered with 403. A request without an `Origin` header is not from a
    /// browser and is let in. Default: none.
    pub allowed_origins: Vec<String>,
    /// Which proxies players come through.
    pub proxy: ProxyConfig,
    /// Whether each request that has passed all of the above waits until the owner of the server
    /// accepts or rejects it, within the time for the handshake. Default: false.
    pub asks_owner: bool,
}

/// Whose word on a player's address counts, and how it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The networks of the proxies. Default: none, so that a player's address is the one that the
    /// connection comes from, whatever is said.
    pub trusted: Vec<IpNet>,
    /// Name of the header in which they tell the player's address: `X-Forwarded-For` and
    /// `Forwarded` are lists that each proxy on the way extends, any other has one address; empty
    /// means that none is read. Default: `X-Forwarded-For`.
    pub header: String,
    /// Whether a PROXY header stands in front of connections. Default: no.
    pub protocol: ProxyProtocol,
}

/// Whether connections begin with a PROXY header, version 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// None does.
    Off = 0,
    /// Those of trusted addresses may.
    Optional = 1,
    /// All do, and all come from trusted addresses.
    Required = 2,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            header: "X-Forwarded-For".to_owned(),
            protocol: ProxyProtocol::Off,
        }
    }
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            max_clients: 0,
            max_pending_handshakes: 1024,
            connections_per_second_per_address: 0,
            allowed_paths: Vec::new(),
            allowed_origins: Vec::new(),
            proxy: ProxyConfig::default(),
            asks_owner: false,
        }
    }
}

/// Time from accept or dial until the peer is connected: TCP, TLS, upgrade and the id. Default: 3 s.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time that the other side has to answer a close frame, and to end the TCP connection after the
/// closing handshake. Then the socket is closed from here. RFC 6455, section 7.1.1, asks for a
/// limit without naming one.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for the body of an answer that refuses the upgrade, where nothing says how long it is, or
/// where it is slow. It mostly comes with the head.
pub const BODY_TIMEOUT: Duration = Duration::from_millis(250);

/// Bytes that one socket read takes at most. All connections share one buffer of this size.
pub const READ_SIZE: usize = 64 * 1024;

/// Work that one poll does at most; what is left over is done in the next one, where everybody who
/// has had no turn comes first.
#[derive(Clone, Copy, Debug)]
pub struct PollBudget {
    /// Frames received: messages, fragments, pings. Default: 65536.
    pub frames: usize,
    /// Bytes read. Default: 64 MiB.
    pub bytes: usize,
    /// Time for everything, newcomers included. It is looked at before each read of a socket, so a
    /// poll takes longer by what one read brings, which is at most [`READ_SIZE`] bytes. Handing over
    /// what has been read comes on top, and takes no longer than reading did. Default: 2 ms, so
    /// that a poll takes a quarter of a frame at 60 Hz.
    pub time: Duration,
    /// How much of the time newcomers may take: accepting, TLS, upgrade, and ending connections that
    /// are late. A handshake takes 0.1 ms with a P-256 key, 0.6 ms with an RSA key of 2048 bits. At
    /// least one step is made. Default: 1.5 ms.
    pub handshakes: Duration,
    /// Since when the poll has had something to do.
    started: Option<Instant>,
    /// A newcomer has made a step.
    has_taken_in: bool,
}

impl Default for PollBudget {
    fn default() -> Self {
        Self {
            frames: 1 << 16,
            bytes: 64 << 20,
            time: Duration::from_millis(2),
            handshakes: Duration::from_micros(1500),
            started: None,
            has_taken_in: false,
        }
    }
}

impl PollBudget {
    /// Starts the clock, unless it runs.
    pub(crate) fn begin(&mut self) {
        if self.started.is_none() {
            self.started = Some(Instant::now());
        }
    }

    /// Whether a newcomer may make a step.
    pub(crate) fn has_handshake_time(&self) -> bool {
        !self.has_taken_in || !self.handshakes.is_zero()
    }

    /// A newcomer has made a step that began at `started`.
    pub(crate) fn count_handshake(&mut self, started: Instant) {
        self.has_taken_in = true;
        self.handshakes = self.handshakes.saturating_sub(started.elapsed());
    }

    /// A deadline has been acted on since `started`.
    pub(crate) fn count_deadline(&mut self, started: Instant) {
        self.handshakes = self.handshakes.saturating_sub(started.elapsed());
    }

    /// Whether another deadline may be acted on.
    pub(crate) fn has_time_for_deadlines(&self) -> bool {
        !self.handshakes.is_zero() && !self.is_late()
    }

    /// Whether nothing more may be read.
    pub(crate) fn is_used_up(&self) -> bool {
        self.frames == 0 || self.bytes == 0
    }

    /// Whether the time is up.
    pub(crate) fn is_late(&self) -> bool {
        self.spent().is_some_and(|spent| spent >= self.time)
    }

    /// How long the poll has had something to do, if it has.
    pub(crate) fn spent(&self) -> Option<Duration> {
        self.started.map(|started| started.elapsed())
    }
}

/// How much may have been received, over all peers, and not been taken by the game. From there on
/// nothing more is read from the sockets: a game that stops polling, or polls without taking
/// packets, finds them when it comes back; the senders wait.
#[derive(Clone, Copy, Debug)]
pub struct WaitingLimits {
    /// Packets, at least 1. Default: 262144, ten seconds of a thousand peers that send
    /// 26 a second.
    pub packets: usize,
    /// Bytes of their payload, at least 1; one read of a socket may exceed it. Default: 256 MiB.
    pub bytes: usize,
}

impl Default for WaitingLimits {
    fn default() -> Self {
        Self { packets: 1 << 18, bytes: 256 << 20 }
    }
}

/// Bytes that all queues of the process may hold together: 1 GiB. Eight thousand peers with both
/// queues full reach it; a small server with 2 GiB survives it.
pub const DEFAULT_MEMORY_LIMIT: usize = 1 << 30;
