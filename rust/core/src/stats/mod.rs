//! What has happened to a server or client since it was made, in numbers. Plain data.

mod closes;
mod per_second;
mod poll_times;
mod round_trip;
mod snapshot;
mod traffic;

pub use self::closes::Closes;
pub use self::per_second::PerSecond;
pub use self::poll_times::PollTimes;
pub use self::round_trip::RoundTrip;
pub use self::snapshot::{RoundTrips, Snapshot};
pub use self::traffic::{ConnectionStats, Queued, Traffic};

/// Counts. None of them ever goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// TCP connections accepted.
    pub accepted: u64,
    /// Clients that became peers.
    pub joined: u64,
    /// Clients refused because `max_clients` were in: HTTP status 503.
    pub refused_full: u64,
    /// Clients refused because the server was draining: HTTP status 503.
    pub refused_draining: u64,
    /// Clients refused because their address came too often: HTTP status 429, or with TLS nothing.
    pub refused_rate: u64,
    /// Connections ended for their PROXY header: missing where it is required, malformed, or from an
    /// address that is not trusted.
    pub refused_proxy: u64,
    /// Clients refused for a path that is not allowed: HTTP status 404.
    pub refused_path: u64,
    /// Clients refused for an origin that is not allowed: HTTP status 403.
    pub refused_origin: u64,
    /// Clients refused for another reason: requests that are malformed, too large, or not for a
    /// WebSocket; no common sub-protocol.
    pub refused_request: u64,
    /// Clients that the owner of the server rejected, whatever the HTTP status was.
    pub refused_admission: u64,
    /// TLS handshakes that failed.
    pub failed_tls: u64,
    /// Handshakes that took longer than `handshake_timeout`, those included that the owner of the
    /// server has not decided about.
    pub handshake_timeouts: u64,
    /// Handshakes given up for newer ones: there were more than `max_pending_handshakes`, or the
    /// system had no descriptors left.
    pub handshakes_displaced: u64,
    /// Times that the system could not accept: no descriptors or no memory left.
    pub accept_errors: u64,
    /// Connections closed for a message over `inbound_buffer_size`: close code 1009.
    pub closed_too_big: u64,
    /// Connections closed for a message of more than `max_fragments` frames: close code 1008.
    pub closed_fragments: u64,
    /// Connections closed for more than `inbound_packets_per_second` or `inbound_bytes_per_second`:
    /// close code 1008.
    pub closed_rate: u64,
    /// Connections closed for breaking the protocol otherwise: close codes 1002 and 1007.
    pub closed_protocol: u64,
    /// Connections closed because they read too slowly: close code 1013.
    pub closed_overflow: u64,
    /// Connections closed because they held most of an incomplete message when the memory limit was
    /// reached: close code 1013.
    pub closed_memory: u64,
    /// Packets that `put_packet` refused because a queue had no room; a broadcast counts for each
    /// peer without room.
    pub packets_refused: u64,
    /// Packets sent in an unreliable mode that were dropped, or replaced by newer ones, because the
    /// peer read too slowly; a broadcast counts for each such peer.
    pub packets_dropped: u64,
    /// Peers that have gone, by close code; those that `joined` are these and those that are in.
    pub closes: Closes,
}

impl Stats {
    /// All single counts with their names, in the order of the fields.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        // Taken apart without `..`, so that no field can be forgotten here.
        let Self {
            accepted,
            joined,
            refused_full,
            refused_draining,
            refused_rate,
            refused_proxy,
            refused_path,
            refused_origin,
            refused_request,
            refused_admission,
            failed_tls,
            handshake_timeouts,
            handshakes_displaced,
            accept_errors,
            closed_too_big,
            closed_fragments,
            closed_rate,
            closed_protocol,
            closed_overflow,
            closed_memory,
            packets_refused,
            packets_dropped,
            closes: _,
        } = *self;
        [
            ("accepted", accepted),
            ("joined", joined),
            ("refused_full", refused_full),
            ("refused_draining", refused_draining),
            ("refused_rate", refused_rate),
            ("refused_proxy", refused_proxy),
            ("refused_path", refused_path),
            ("refused_origin", refused_origin),
            ("refused_request", refused_request),
            ("refused_admission", refused_admission),
            ("failed_tls", failed_tls),
            ("handshake_timeouts", handshake_timeouts),
            ("handshakes_displaced", handshakes_displaced),
            ("accept_errors", accept_errors),
            ("closed_too_big", closed_too_big),
            ("closed_fragments", closed_fragments),
            ("closed_rate", closed_rate),
            ("closed_protocol", closed_protocol),
            ("closed_overflow", closed_overflow),
            ("closed_memory", closed_memory),
            ("packets_refused", packets_refused),
            ("packets_dropped", packets_dropped),
        ]
        .into_iter()
    }
}
