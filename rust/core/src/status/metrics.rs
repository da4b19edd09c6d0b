//! Numbers as the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::memory;
use crate::stats::{PollTimes, Snapshot};

/// Before every name.
const PREFIX: &str = "mio_websocket_";

/// The text that is written, one family after the other.
struct Text(String);

impl Text {
    /// What is said once of all samples of a name.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {PREFIX}{name} {help}"));
        self.line(format_args!("# TYPE {PREFIX}{name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: impl Display, value: impl Display) {
        self.line(format_args!("{PREFIX}{name}{labels} {value}"));
    }

    fn gauge(&mut self, name: &str, value: impl Display, help: &str) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// `name` ends in `_total`.
    fn counter(&mut self, name: &str, value: impl Display, help: &str) {
        self.family(name, "counter", help);
        self.sample(name, "", value);
    }

    /// One sample for each value of a label. The values are ours and need no escapes.
    fn counters<L: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (L, u64)>,
    ) {
        self.family(name, "counter", help);
        for (value, count) in counts {
            self.sample(name, format_args!("{{{label}=\"{value}\"}}"), count);
        }
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// All numbers of `snapshot`.
pub(super) fn text(snapshot: &Snapshot, is_ready: bool) -> String {
    let mut text = Text(String::with_capacity(8 * 1024));
    text.family("build_info", "gauge", "The version, as a label of the value 1.");
    text.sample("build_info", concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1);
    text.gauge("ready", u8::from(is_ready), "1 while players can join, else 0.");
    gauges(&mut text, snapshot);
    ways_in(&mut text, snapshot);
    ways_out(&mut text, snapshot);
    traffic(&mut text, snapshot);
    polls(&mut text, &snapshot.polls);
    text.0
}

fn gauges(text: &mut Text, snapshot: &Snapshot) {
    text.gauge("peers", snapshot.peers, "Peers that are connected.");
    text.gauge("max_clients", snapshot.max_clients, "Most clients that are let in; 0: no limit.");
    text.gauge(
        "pending_handshakes",
        snapshot.pending_handshakes,
        "Connections that have been accepted and are not in.",
    );
    text.gauge(
        "queued_packets",
        snapshot.queued.packets,
        "Packets and control frames that the system has not taken.",
    );
    text.gauge("queued_bytes", snapshot.queued.bytes, "Their payload.");
    text.gauge(
        "waiting_packets",
        snapshot.waiting_packets,
        "Packets that have been received and that the game has not taken.",
    );
    text.gauge("waiting_bytes", snapshot.waiting_bytes, "Their payload.");
    text.gauge(
        "memory_used_bytes",
        memory::used(),
        "What all queues of the process hold, those below 16 KiB left out.",
    );
    text.gauge("memory_limit_bytes", memory::limit(), "Most that all queues may hold.");
    if let Some(rtt) = snapshot.rtt {
        text.gauge(
            "rtt_mean_seconds",
            seconds(rtt.mean()),
            "Mean of the peers' round-trip times, each smoothed.",
        );
        text.gauge("rtt_max_seconds", seconds(rtt.longest), "Longest of these.");
    }
}

fn ways_in(text: &mut Text, snapshot: &Snapshot) {
    let counts = &snapshot.counts;
    text.counter("connections_accepted_total", counts.accepted, "TCP connections accepted.");
    text.counter(
        "accept_errors_total",
        counts.accept_errors,
        "Times that the system could not accept a connection.",
    );
    let results = [
        ("joined", counts.joined),
        ("tls", counts.failed_tls),
        ("timeout", counts.handshake_timeouts),
        ("displaced", counts.handshakes_displaced),
    ];
    let results = results.into_iter().chain(counts_named(snapshot, "refused_"));
    let help = "What connections that came in have come to.";
    text.counters("handshakes_total", help, "result", results);
}

fn ways_out(text: &mut Text, snapshot: &Snapshot) {
    let counts = &snapshot.counts;
    let help = "Peers that have gone, by close code; 0 stands for codes beyond the first few.";
    text.counters("closes_total", help, "code", counts.closes.entries());
    let help = "Connections that were closed for what the other side did.";
    text.counters("violations_total", help, "cause", counts_named(snapshot, "closed_"));
}

/// The counts whose names begin so, by the rest of their names.
fn counts_named(snapshot: &Snapshot, prefix: &str) -> impl Iterator<Item = (&'static str, u64)> {
    let entries = snapshot.counts.entries();
    entries.filter_map(move |(name, count)| Some((name.strip_prefix(prefix)?, count)))
}

fn traffic(text: &mut Text, snapshot: &Snapshot) {
    let (traffic, counts) = (&snapshot.traffic, &snapshot.counts);
    for (name, count, help) in [
        ("packets_sent_total", traffic.packets_sent, "Packets queued for peers."),
        ("packets_received_total", traffic.packets_received, "Packets received."),
        ("sent_bytes_total", traffic.bytes_sent, "Payload of the packets queued for peers."),
        ("received_bytes_total", traffic.bytes_received, "Payload of the packets received."),
        (
            "wire_sent_bytes_total",
            traffic.wire_bytes_sent,
            "Bytes that sockets have taken: TLS, HTTP, frames.",
        ),
        ("wire_received_bytes_total", traffic.wire_bytes_received, "Bytes read from sockets."),
        ("packets_refused_total", counts.packets_refused, "Packets refused for want of room."),
        (
            "packets_dropped_total",
            counts.packets_dropped,
            "Packets that may be lost and were, because their peer read too slowly.",
        ),
    ] {
        text.counter(name, count, help);
    }
}

fn polls(text: &mut Text, polls: &PollTimes) {
    text.counter("polls_total", polls.polls(), "Polls, also those that found nothing to do.");
    let name = "poll_duration_seconds";
    text.family(name, "histogram", "Time of the polls that found something to do.");
    let bucket = format!("{name}_bucket");
    for (bound, count) in polls.cumulative() {
        text.sample(&bucket, format_args!("{{le=\"{}\"}}", seconds(bound)), count);
    }
    text.sample(&bucket, "{le=\"+Inf\"}", polls.timed());
    text.sample(&format!("{name}_sum"), "", seconds(polls.time()));
    text.sample(&format!("{name}_count"), "", polls.timed());
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::stats::RoundTrips;

    fn busy() -> Snapshot {
        let mut snapshot = Snapshot { peers: 3, ..Snapshot::default() };
        snapshot.counts.joined = 5;
        snapshot.counts.closes.count(1000);
        snapshot.counts.closes.count(1006);
        snapshot.polls.count(None);
        snapshot.polls.count(Some(Duration::from_millis(3)));
        snapshot.polls.count(Some(Duration::from_millis(50)));
        let times = [100, 200].map(Duration::from_millis);
        snapshot.rtt = RoundTrips::of(times.into_iter());
        snapshot
    }

    #[test]
    fn each_sample_belongs_to_a_family_that_is_told_once() {
        for snapshot in [Snapshot::default(), busy()] {
            let text = text(&snapshot, true);
            let mut names = BTreeSet::new();
            let (mut name, mut kind) = ("", "");
            assert!(text.ends_with('\n'));
            for line in text.lines() {
                if let Some(help) = line.strip_prefix("# HELP ") {
                    let (new, words) = help.split_once(' ').unwrap();
                    assert!(names.insert(new), "{new} is there twice");
                    assert!(words.ends_with('.') && new.starts_with(PREFIX), "{line}");
                    name = new;
                } else if let Some(of) = line.strip_prefix("# TYPE ") {
                    kind = of.strip_prefix(name).unwrap().trim();
                    assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                } else {
                    let (sample, value) = line.rsplit_once(' ').unwrap();
                    let own = sample.split('{').next().unwrap();
                    let suffix = own.strip_prefix(name).unwrap();
                    let is_part =
                        kind == "histogram" && matches!(suffix, "_bucket" | "_sum" | "_count");
                    assert!(suffix.is_empty() || is_part, "{line}");
                    assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
                }
            }
        }
    }

    #[test]
    fn values_are_those_of_the_snapshot() {
        let text = text(&busy(), false);
        for line in [
            "mio_websocket_ready 0",
            "mio_websocket_peers 3",
            "mio_websocket_handshakes_total{result=\"joined\"} 5",
            "mio_websocket_closes_total{code=\"1006\"} 1",
            "mio_websocket_polls_total 3",
            "mio_websocket_poll_duration_seconds_bucket{le=\"0.002\"} 0",
            "mio_websocket_poll_duration_seconds_bucket{le=\"0.004\"} 1",
            "mio_websocket_poll_duration_seconds_bucket{le=\"+Inf\"} 2",
            "mio_websocket_poll_duration_seconds_sum 0.053",
            "mio_websocket_poll_duration_seconds_count 2",
            "mio_websocket_rtt_mean_seconds 0.15",
            "mio_websocket_rtt_max_seconds 0.2",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
    }
}
