//! Every setting and limit, with its unit and default. Plain data; no other room is known here.

use std::time::{Duration, Instant};

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
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            supported_protocols: Vec::new(),
            handshake_headers: Vec::new(),
            inbound_buffer_size: 65535,
            outbound_buffer_size: 65535,
            max_queued_packets: 4096,
        }
    }
}

/// Time from accept or dial until the peer is connected: TCP, upgrade and the id. Default: 3 s.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time that the other side has to answer a close frame, and to end the TCP connection after the
/// closing handshake. Then the socket is closed from here. RFC 6455, section 7.1.1, asks for a
/// limit without naming one.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes that one socket read takes at most. All connections share one buffer of this size.
pub const READ_SIZE: usize = 64 * 1024;

/// Bytes waiting for the kernel from which on a connection writes at once and does not wait for
/// the end of the frame.
pub const FLUSH_THRESHOLD: usize = 64 * 1024;

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
    /// How much of the time newcomers may take: accepting, TLS, upgrade. A handshake takes 0.1 ms
    /// with a P-256 key, 0.6 ms with an RSA key of 2048 bits. At least one step is made. Default:
    /// 1.5 ms.
    pub handshakes: Duration,
    /// When the time is up, once the poll has found something to do.
    until: Option<Instant>,
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
            until: None,
            has_taken_in: false,
        }
    }
}

impl PollBudget {
    /// Starts the clock, unless it runs.
    pub(crate) fn begin(&mut self) {
        if self.until.is_none() {
            self.until = Instant::now().checked_add(self.time);
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

    /// Whether nothing more may be read.
    pub(crate) fn is_used_up(&self) -> bool {
        self.frames == 0 || self.bytes == 0
    }

    /// Whether the time is up.
    pub(crate) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Packets received and not taken by the game, over all peers, from which on nothing more is read
/// from the sockets. A game that stops polling, or polls without taking packets, finds them when it
/// comes back; the senders wait.
pub const MAX_WAITING_PACKETS: usize = 1 << 18;

/// Payload bytes received and not taken by the game from which on nothing more is read.
pub const MAX_WAITING_BYTES: usize = 256 << 20;
