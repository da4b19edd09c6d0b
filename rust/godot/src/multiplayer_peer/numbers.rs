//! The peer and its connections in numbers.

use std::time::Instant;

use godot::prelude::*;
use mio_websocket_core::stats::{RoundTrips, Traffic};

use super::MioWebSocketMultiplayerPeer;
use super::heartbeat::seconds;
use crate::convert::{number, peer_id};

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// This peer in numbers.
    ///
    /// What has happened since this object was made never goes down, also not when it is closed and
    /// created anew: `accepted` TCP connections, clients that `joined`; clients that were
    /// `refused_full` (see [member max_clients]), `refused_draining` (see [method begin_drain]),
    /// `refused_rate` (see [member connections_per_second_per_address]), `refused_proxy` (see
    /// [member proxy_protocol]), `refused_path`, `refused_origin`, `refused_admission` (see
    /// [member admission_callback]), or `refused_request` for anything else in their request;
    /// `failed_tls`, `handshake_timeouts` and `handshakes_displaced` (see
    /// [member max_pending_handshakes]); `accept_errors`, how often the system had no descriptors or
    /// memory left for a connection; connections that were `closed_too_big`, `closed_fragments`,
    /// `closed_rate`, `closed_protocol`, `closed_overflow` or `closed_memory`; `packets_refused` and
    /// `packets_dropped` for want of room; `packets_sent`, `packets_received`, `bytes_sent`,
    /// `bytes_received`, `wire_bytes_sent` and `wire_bytes_received` as in [method get_peer_stats],
    /// of all connections there ever were; `polls`, of which `busy_polls` found something to do, for
    /// which they took `poll_seconds`.
    /// `closes` is a dictionary of its own: how many peers have gone with which close code, where
    /// 1005 stands for a close frame without a code, 1006 for an end without a frame, and 0 for
    /// codes beyond the first 16 of those that are not in the standard's registry.
    ///
    /// How it is now: `peers` that are connected, `pending_handshakes` of clients that are not in
    /// yet, `queued_packets` and `queued_bytes` that the operating system has not taken yet,
    /// `waiting_packets` and `waiting_bytes` that the game has not taken yet, and `rtt`, the mean of
    /// the peers' round-trip times in seconds, -1.0 while none is known.
    /// ```gdscript
    /// var stats := peer.get_stats()
    /// print("%d players, %d left without a word" % [stats.peers, stats.closes.get(1006, 0)])
    /// ```
    #[func]
    fn get_stats(&self) -> VarDictionary {
        let snapshot = self.peer.borrow().snapshot();
        let mut stats = VarDictionary::new();
        let mut count = |name: &str, value: u64| stats.set(name, number(value));
        snapshot.counts.entries().for_each(|(name, value)| count(name, value));
        traffic(&snapshot.traffic).into_iter().for_each(|(name, value)| count(name, value));
        for (name, value) in [
            ("peers", snapshot.peers),
            ("pending_handshakes", snapshot.pending_handshakes),
            ("queued_packets", snapshot.queued.packets),
            ("queued_bytes", snapshot.queued.bytes),
            ("waiting_packets", snapshot.waiting_packets),
            ("waiting_bytes", snapshot.waiting_bytes),
        ] {
            count(name, value as u64);
        }
        count("polls", snapshot.polls.polls());
        count("busy_polls", snapshot.polls.timed());
        stats.set("poll_seconds", snapshot.polls.time().as_secs_f64());
        stats.set("rtt", snapshot.rtt.map_or(-1.0, |times: RoundTrips| times.mean().as_secs_f64()));
        let mut closes = VarDictionary::new();
        for (code, count) in snapshot.counts.closes.entries() {
            closes.set(i64::from(code), number(count));
        }
        stats.set("closes", &closes);
        stats
    }

    /// A peer in numbers, as long as it is connected; empty, with an error in the log, for an id
    /// that is not.
    ///
    /// `packets_sent` and `bytes_sent` count packets that [method PacketPeer.put_packet] has
    /// accepted, and their bytes; `packets_received` and `bytes_received` those that have arrived.
    /// The id that a server sends first is none of them. `wire_bytes_sent` and
    /// `wire_bytes_received` are the bytes that went through the socket, with everything around the
    /// packets: TLS, the upgrade, frame headers, pings.
    /// `queued_packets` and `queued_bytes` wait for the operating system to take them, as they count
    /// for [member max_queued_packets] and [member outbound_buffer_size]; `packets_refused` and
    /// `packets_dropped` had no room (see [member overflow_policy] and [member drop_stale_packets]).
    /// `rtt` is the round-trip time in seconds and `rtt_jitter` how much it varies, both smoothed
    /// and -1.0 while not known. `connected_seconds` is the time since the upgrade.
    /// ```gdscript
    /// for id in peer.get_peer_ids():
    ///     var stats := peer.get_peer_stats(id)
    ///     if stats.queued_bytes > 30000:
    ///         print("%d reads slowly: %.0f bytes/s" % [id, stats.bytes_sent / stats.connected_seconds])
    /// ```
    #[func]
    fn get_peer_stats(&mut self, id: i64) -> VarDictionary {
        let id = peer_id(id);
        let stats = match self.peer.get_mut().peer_stats(id, Instant::now()) {
            Ok(stats) => stats,
            Err(error) => {
                self.answer_to("get_peer_stats", Err(error));
                return VarDictionary::new();
            }
        };
        let mut result = VarDictionary::new();
        for (name, value) in traffic(&stats.traffic) {
            result.set(name, number(value));
        }
        result.set("queued_packets", number(stats.queued.packets));
        result.set("queued_bytes", number(stats.queued.bytes));
        result.set("packets_refused", number(stats.packets_refused));
        result.set("packets_dropped", number(stats.packets_dropped));
        let (rtt, jitter) = seconds(stats.round_trip);
        result.set("rtt", rtt);
        result.set("rtt_jitter", jitter);
        result.set("connected_seconds", stats.connected.as_secs_f64());
        result
    }
}

/// The counts with their names.
fn traffic(traffic: &Traffic) -> [(&'static str, u64); 6] {
    [
        ("packets_sent", traffic.packets_sent),
        ("packets_received", traffic.packets_received),
        ("bytes_sent", traffic.bytes_sent),
        ("bytes_received", traffic.bytes_received),
        ("wire_bytes_sent", traffic.wire_bytes_sent),
        ("wire_bytes_received", traffic.wire_bytes_received),
    ]
}
