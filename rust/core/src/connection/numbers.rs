//! What has gone over a connection, in numbers. Counted where the bytes pass, one addition each.

use std::time::Instant;

use super::{Connection, State};
use crate::stats::{ConnectionStats, Queued, Traffic};
use crate::transport::{Transport, WireBytes};

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) packets_sent: u64,
    pub(super) packets_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// Of a stream that has ended.
    pub(super) wire: WireBytes,
    pub(super) packets_refused: u64,
    /// Those that [`Connection::take_dropped`] has given out.
    pub(super) packets_dropped: u64,
    /// When the upgrade was done.
    pub(super) opened: Option<Instant>,
    /// The first message that is received is no packet, but the id: its size.
    pub(super) id_size: Option<u64>,
}

impl Numbers {
    /// Counts a message that has been queued.
    pub(super) fn count_sent(&mut self, payload: usize) {
        self.packets_sent += 1;
        self.bytes_sent += payload as u64;
    }
}

impl Connection {
    /// The first message that arrives is not to be counted, if it has the `size` of an id.
    pub(crate) fn expect_id(&mut self, size: usize) {
        self.numbers.id_size = Some(size as u64);
    }

    /// What has gone over the connection so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let numbers = &self.numbers;
        let wire = self.transport.as_ref().map_or(numbers.wire, Transport::wire_bytes);
        let (ids, id_bytes) = match numbers.id_size {
            Some(size) if numbers.packets_received > 0 => (1, size.min(numbers.bytes_received)),
            _ => (0, 0),
        };
        Traffic {
            packets_sent: numbers.packets_sent,
            packets_received: numbers.packets_received - ids,
            bytes_sent: numbers.bytes_sent,
            bytes_received: numbers.bytes_received - id_bytes,
            wire_bytes_sent: wire.sent,
            wire_bytes_received: wire.received,
        }
    }

    /// What waits to be sent; nothing unless open.
    #[must_use]
    pub fn queued(&self) -> Queued {
        if self.state() != State::Open {
            return Queued::default();
        }
        let (packets, bytes) = self.held();
        Queued { packets: self.outbox.messages() + packets, bytes: self.outbox.payload() + bytes }
    }

    /// The connection in numbers.
    #[must_use]
    pub fn stats(&self, now: Instant) -> ConnectionStats {
        let not_given_out = self.stale.as_ref().map_or(0, |stale| stale.dropped());
        let opened = self.numbers.opened;
        ConnectionStats {
            traffic: self.traffic(),
            queued: self.queued(),
            packets_refused: self.numbers.packets_refused,
            packets_dropped: self.numbers.packets_dropped + not_given_out,
            round_trip: self.round_trip(),
            connected: opened.map(|then| now.saturating_duration_since(then)).unwrap_or_default(),
        }
    }
}
