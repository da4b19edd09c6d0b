//! What has gone over a connection, or over many.

use std::ops::AddAssign;
use std::time::Duration;

use super::RoundTrip;

/// Packets and bytes, both ways. A message counts as received when it has arrived completely, and
/// as sent when it has been queued. The id that a server sends first is no packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages queued for the other side.
    pub packets_sent: u64,
    /// Messages that have arrived.
    pub packets_received: u64,
    /// Their payload.
    pub bytes_sent: u64,
    /// Their payload.
    pub bytes_received: u64,
    /// Bytes that the socket has taken, of whatever kind: TLS, the upgrade, frames. On a stream of
    /// somebody else's, what that stream has taken.
    pub wire_bytes_sent: u64,
    /// Bytes read from the socket.
    pub wire_bytes_received: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets_sent += other.packets_sent;
        self.packets_received += other.packets_received;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.wire_bytes_sent += other.wire_bytes_sent;
        self.wire_bytes_received += other.wire_bytes_received;
    }
}

/// What waits to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Messages that the kernel has not completely taken, control frames included, and packets that
    /// are held back.
    pub packets: usize,
    /// Their payload.
    pub bytes: usize,
}

impl AddAssign for Queued {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// One connection in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConnectionStats {
    /// What has gone over it.
    pub traffic: Traffic,
    /// What waits to go.
    pub queued: Queued,
    /// Packets refused for want of room.
    pub packets_refused: u64,
    /// Packets sent in an unreliable mode and dropped, or replaced by newer ones.
    pub packets_dropped: u64,
    /// The round-trip time, once it has been measured.
    pub round_trip: Option<RoundTrip>,
    /// Time since the upgrade.
    pub connected: Duration,
}
