//! Monitors of the engine's `Performance`, which the editor draws.

use std::time::Instant;

use godot::classes::Performance;
use godot::obj::Singleton;
use godot::prelude::*;
use mio_websocket_core::multiplayer::{MultiplayerPeer, Status};
use mio_websocket_core::stats::PerSecond;

use super::{MioWebSocketMultiplayerPeer, accessors};

accessors!(
    get_monitors_enabled, set_monitors_enabled;
);

/// What all names begin with.
const GROUP: &str = "Mio WebSocket";
/// Peers with monitors at a time: nobody looks at more.
const MOST: usize = 64;

type Value = fn(&MultiplayerPeer, &PerSecond) -> f64;

/// What is monitored: the name, and its value.
const MONITORS: [(&str, Value); 9] = [
    ("peers", |peer, _| peer.peers() as f64),
    ("packets_in_per_second", |_, rates| rates.packets_received),
    ("packets_out_per_second", |_, rates| rates.packets_sent),
    ("bytes_in_per_second", |_, rates| rates.bytes_received),
    ("bytes_out_per_second", |_, rates| rates.bytes_sent),
    ("queued_bytes", |peer, _| peer.queued().bytes as f64),
    ("waiting_packets", |peer, _| peer.waiting_packets() as f64),
    ("rtt_milliseconds", |peer, _| {
        peer.round_trips().map_or(0.0, |times| times.mean().as_secs_f64() * 1e3)
    }),
    ("poll_milliseconds_per_second", |_, rates| rates.polling * 1e3),
];

/// The monitors of one peer, which are there as long as this is.
pub(super) struct Monitors {
    group: String,
    rates: PerSecond,
}

impl Monitors {
    /// Monitors that call `_monitor` of `peer`, which they do not keep alive. None when there are
    /// too many already.
    fn add(peer: &Gd<MioWebSocketMultiplayerPeer>) -> Option<Self> {
        let mut performance = Performance::singleton();
        let group = (1..=MOST).map(group).find(|group| {
            MONITORS.iter().all(|(name, _)| !performance.has_custom_monitor(&id(group, name)))
        })?;
        // By name: what Rust would have to be called for could be gone when the engine calls.
        let callable = Callable::from_object_method(peer, "_monitor");
        for (index, (name, _)) in MONITORS.iter().enumerate() {
            let arguments = varray![index as i64];
            performance
                .add_custom_monitor_ex(&id(&group, name), &callable)
                .arguments(&arguments)
                .done();
        }
        Some(Self { group, rates: PerSecond::default() })
    }

    fn value(&mut self, index: i64, peer: &MultiplayerPeer) -> f64 {
        let now = Instant::now();
        if self.rates.is_due(now) {
            self.rates.update(now, peer.traffic(), peer.poll_time());
        }
        let monitor = usize::try_from(index).ok().and_then(|index| MONITORS.get(index));
        monitor.map_or(0.0, |(_, value)| value(peer, &self.rates))
    }
}

impl Drop for Monitors {
    fn drop(&mut self) {
        let mut performance = Performance::singleton();
        for (name, _) in MONITORS {
            let id = id(&self.group, name);
            // Somebody else may have removed it.
            if performance.has_custom_monitor(&id) {
                performance.remove_custom_monitor(&id);
            }
        }
    }
}

/// The name of the peer with this number.
fn group(number: usize) -> String {
    if number == 1 { GROUP.to_owned() } else { format!("{GROUP} {number}") }
}

fn id(group: &str, name: &str) -> StringName {
    StringName::from(&format!("{group}/{name}"))
}

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    #[func]
    pub(super) fn get_monitors_enabled(&self) -> bool {
        self.monitors_wanted
    }

    #[func]
    pub(super) fn set_monitors_enabled(&mut self, enable: bool) {
        self.monitors_wanted = enable;
        self.update_monitors();
    }

    /// For [Performance]; not for scripts.
    #[func]
    fn _monitor(&mut self, index: i64) -> f64 {
        let peer = self.peer.get_mut();
        self.monitors.as_mut().map_or(0.0, |monitors| monitors.value(index, peer))
    }
}

impl MioWebSocketMultiplayerPeer {
    /// Monitors are there while they are wanted and this is a server or client.
    pub(super) fn update_monitors(&mut self) {
        let is_active = self.peer.get_mut().status() != Status::Disconnected;
        if !(self.monitors_wanted && is_active) {
            self.monitors = None;
        } else if self.monitors.is_none() {
            self.monitors = Monitors::add(&self.to_gd());
        }
    }

    /// At the end of a poll, which may have been that of the session.
    pub(super) fn drop_monitors(&mut self) {
        if self.monitors.is_some() {
            self.update_monitors();
        }
    }
}
