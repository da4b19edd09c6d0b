//! Packets that wait to be taken and events that wait to be signalled, in the order of the engine.
//!
//! The engine's class signals `peer_connected` before it fetches the messages that came with the
//! connection, and `peer_disconnected` after it has queued those of all others. So the packets of a
//! poll are hidden until the last new peer has been signalled.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::memory::Charge;

/// Something to be signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer is there and can be sent to.
    PeerConnected(i32),
    /// A client's request waits for a decision; [`take_request`] gives it out by this number.
    ///
    /// [`take_request`]: super::MultiplayerPeer::take_request
    ClientRequest(u64),
    /// The peer has gone. It is still known while this is signalled.
    PeerDisconnected(i32),
    /// A server that drains has nobody left.
    Drained,
}

/// A received packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The id of its sender.
    pub peer: i32,
    /// Its bytes; never empty.
    pub data: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    packets: VecDeque<Packet>,
    /// Packets at the end of the queue that cannot be taken yet.
    hidden: usize,
    bytes: usize,
    charge: Charge,
    /// Events of new peers in `events`.
    new_peers: usize,
    events: VecDeque<Event>,
}

impl Inbox {
    /// Queues a packet; an empty one is dropped, as the engine's class does.
    pub(super) fn push(&mut self, peer: i32, data: Bytes) {
        if data.is_empty() {
            return;
        }
        if self.new_peers > 0 {
            self.hidden += 1;
        }
        self.bytes += data.len();
        self.packets.push_back(Packet { peer, data });
        self.charge.follow(self.memory());
    }

    /// Queues an event. Those of new peers come before the packets of a poll, the others behind.
    pub(super) fn push_event(&mut self, event: Event) {
        if let Event::PeerConnected(_) = event {
            self.new_peers += 1;
        }
        self.events.push_back(event);
    }

    /// The next event to signal.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        match event {
            Some(Event::PeerConnected(_)) => self.new_peers -= 1,
            // Behind an event of an earlier poll new peers may wait, when a handler has polled.
            _ if self.new_peers == 0 => self.hidden = 0,
            _ => {}
        }
        event
    }

    /// Whether an event waits, or packets for the last one to have been signalled.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty() || self.hidden > 0
    }

    /// The packet that [`Inbox::take`] will return.
    pub(super) fn peek(&self) -> Option<&Packet> {
        if self.available() == 0 { None } else { self.packets.front() }
    }

    pub(super) fn take(&mut self) -> Option<Packet> {
        if self.available() == 0 {
            return None;
        }
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.data.len();
        self.charge.follow(self.memory());
        if self.packets.is_empty() && self.packets.capacity() > 4096 {
            self.packets = VecDeque::new();
        }
        Some(packet)
    }

    /// Packets that can be taken.
    pub(super) fn available(&self) -> usize {
        self.packets.len() - self.hidden
    }

    /// All packets, also those that cannot be taken yet.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Payload bytes of all packets.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes by which the queue may grow within the memory limit of the process.
    pub(super) fn memory_room(&self) -> usize {
        self.charge.room(self.memory())
    }

    /// What the packets take, without what the allocator adds.
    fn memory(&self) -> usize {
        self.bytes + self.packets.len() * size_of::<Packet>()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_hidden_until_the_last_new_peer_has_been_signalled() {
        let mut inbox = Inbox::default();
        inbox.push(5, Bytes::from_static(b"old"));
        inbox.push_event(Event::PeerConnected(2));
        inbox.push_event(Event::PeerConnected(3));
        inbox.push(2, Bytes::from_static(b"early"));
        inbox.push_event(Event::PeerDisconnected(5));
        assert_eq!(inbox.next_event(), Some(Event::PeerConnected(2)));
        assert_eq!(inbox.available(), 1);
        assert_eq!(inbox.next_event(), Some(Event::PeerConnected(3)));
        assert_eq!(inbox.available(), 1);
        assert_eq!(inbox.next_event(), Some(Event::PeerDisconnected(5)));
        assert_eq!(inbox.available(), 2);
        assert_eq!(inbox.next_event(), None);
    }

    #[test]
    fn packets_stay_hidden_behind_an_event_of_an_earlier_poll() {
        let mut inbox = Inbox::default();
        inbox.push_event(Event::PeerDisconnected(5));
        inbox.push_event(Event::PeerConnected(2));
        inbox.push(2, Bytes::from_static(b"early"));
        assert_eq!(inbox.next_event(), Some(Event::PeerDisconnected(5)));
        assert_eq!(inbox.available(), 0);
        assert_eq!(inbox.next_event(), Some(Event::PeerConnected(2)));
        assert_eq!(inbox.next_event(), None);
        assert_eq!(inbox.available(), 1);
    }

    #[test]
    fn empty_packets_are_never_queued() {
        let mut inbox = Inbox::default();
        inbox.push(2, Bytes::new());
        assert_eq!((inbox.available(), inbox.peek()), (0, None));
    }
}
