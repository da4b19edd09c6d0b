//! The way out: what fits into the queue, what is held back, and from the queue to the kernel.

use std::io;

use super::stale::Delivery;
use super::{Connection, Stage, State};
use crate::config::{ConnectionConfig, OverflowPolicy};
use crate::error::{Error, Failure};
use crate::memory;
use crate::outbox::Outbox;
use crate::transport::Transport;
use crate::websocket::{self, Kind};

impl Connection {
    /// Queues a message. It leaves with the next [`Connection::flush`], or at once when
    /// `flush_threshold` bytes wait.
    ///
    /// # Errors
    /// [`Error::NotOpen`]; [`Error::OutOfMemory`] when `outbound_buffer_size` or
    /// `max_queued_packets`, or [`Error::MemoryLimit`] when the memory limit, leaves no room even
    /// after the kernel has taken what it can. With [`OverflowPolicy::Disconnect`] a connection
    /// without room is closed and so not open; but not for a message that would never fit.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        let queued = self.queue(kind, payload);
        let disconnects = self.config.overflow_policy == OverflowPolicy::Disconnect;
        if disconnects && is_full(&queued) && self.is_congested() && self.can_hold(payload.len()) {
            self.failure.get_or_insert(Failure::Overflow);
            self.close(i32::from(websocket::close::TRY_AGAIN_LATER), "Reads too slowly");
            return Err(Error::NotOpen);
        }
        queued
    }

    /// Queues a packet, as [`Connection::send`] does; but with `drop_stale_packets` one that need
    /// not be delivered is dropped or held back while the other side reads too slowly, which is no
    /// error. [`Connection::take_dropped`] tells how many that were.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_as(&mut self, delivery: Delivery, payload: &[u8]) -> Result<(), Error> {
        if delivery == Delivery::Reliable || !self.config.drop_stale_packets {
            return self.send(Kind::Binary, payload);
        }
        if self.state() != State::Open {
            return Err(Error::NotOpen);
        }
        if !self.is_congested() {
            let queued = self.queue(Kind::Binary, payload);
            // Queueing has found out that the kernel takes nothing any more.
            if !(is_full(&queued) && self.is_congested() && self.can_hold(payload.len())) {
                return queued;
            }
        }
        let stale = self.stale.get_or_insert_default();
        match delivery {
            Delivery::UnreliableOrdered { channel } => {
                let (outbox, config) = (&self.outbox, &self.config);
                stale.hold(channel, payload, |count, size| fits(outbox, config, count, size));
            }
            _ => stale.drop_one(),
        }
        Ok(())
    }

    /// Queues a client's id. The limits do not count it, since nothing works without it.
    pub(crate) fn send_id(&mut self, id: i32) {
        self.push(Kind::Binary, &id.to_le_bytes());
        if let Some(greeting) = &mut self.greeting {
            greeting.end = self.outbox.end();
        }
    }

    /// Packets that [`Connection::send_as`] accepted and that have been dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        let dropped = self.stale.as_mut().map_or(0, |stale| stale.take_dropped());
        self.numbers.packets_dropped += dropped;
        dropped
    }

    /// Hands what waits to the kernel, as far as it takes it.
    pub fn flush(&mut self) {
        // TLS may still hold bytes; to fail with them again and again would be noted each time.
        if self.broken.is_some() {
            return;
        }
        while let (Some(transport), false) = (&mut self.transport, self.outbox.is_empty()) {
            let written = transport.write(self.outbox.bytes());
            let was_blocked = std::mem::replace(&mut self.write_blocked, written.is_err());
            match written {
                Ok(count) => {
                    // There is room because something has arrived on the other side.
                    self.heard |= was_blocked;
                    self.outbox.written(count);
                    let position = self.outbox.position();
                    self.greeting.take_if(|greeting| position >= greeting.end);
                    if let (true, Stage::Open(socket)) = (self.outbox.is_empty(), &mut self.stage) {
                        socket.resume(&mut self.outbox);
                        for packet in self.stale.iter_mut().flat_map(|stale| stale.take()) {
                            socket.send(Kind::Binary, &packet, &mut self.outbox);
                            self.numbers.count_sent(packet.len());
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.break_off(&error),
            }
        }
        match self.transport.as_mut().map(Transport::write_out) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
            Some(Err(error)) => return self.break_off(&error),
            _ => {}
        }
        match (&self.stage, &mut self.transport) {
            // It has no half that could be ended alone.
            (Stage::Ending, Some(transport)) if transport.is_foreign() => self.drop_stream(),
            (Stage::Ending, Some(transport)) => transport.end_writing(),
            _ => {}
        }
    }

    /// Asks the reactor to flush this connection when it flushes next.
    pub fn flush_later(&mut self) {
        let tls_waits = self.transport.as_ref().is_some_and(Transport::wants_write);
        if !self.outbox.is_empty() || tls_waits {
            self.call_attention();
        }
    }

    /// Payload bytes of messages that are not completely written, and of packets held back; 0
    /// unless open.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.queued().bytes
    }

    fn queue(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        if self.state() != State::Open {
            return Err(Error::NotOpen);
        }
        if self.refusal(payload.len()).is_some() {
            self.flush();
            if self.state() != State::Open {
                return Err(Error::NotOpen);
            }
            let can_hold = self.can_hold(payload.len());
            while let Some(refusal) = self.refusal(payload.len()) {
                // What may be lost makes room for what may not.
                let stale = self.stale.as_mut().filter(|_| can_hold);
                if !stale.is_some_and(|stale| stale.drop_oldest()) {
                    return Err(refusal);
                }
            }
        }
        self.push(kind, payload);
        self.numbers.count_sent(payload.len());
        Ok(())
    }

    fn push(&mut self, kind: Kind, payload: &[u8]) {
        if let Stage::Open(socket) = &self.stage {
            socket.send(kind, payload, &mut self.outbox);
        }
        if self.outbox.bytes().len() >= self.config.flush_threshold && !self.write_blocked {
            self.flush();
        }
    }

    /// Why a message of `payload` bytes does not fit into the queue.
    fn refusal(&self, payload: usize) -> Option<Error> {
        let (packets, bytes) = self.held();
        if !fits(&self.outbox, &self.config, packets + 1, bytes + payload) {
            Some(Error::OutOfMemory { size: payload, peers: "the peer".to_owned() })
        } else if payload > self.outbox.memory_room() {
            let (used, limit) = (memory::used(), memory::limit());
            Some(Error::MemoryLimit { size: payload, used, limit })
        } else {
            None
        }
    }

    /// Whether a message of `payload` bytes fits into an empty queue.
    fn can_hold(&self, payload: usize) -> bool {
        let size = usize::try_from(self.config.outbound_buffer_size).unwrap_or(0);
        size == 0 || payload <= size
    }

    /// Packets that are held back, and their bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        self.stale.as_ref().map_or((0, 0), |stale| stale.size())
    }

    /// Whether the kernel takes nothing at present and bytes wait.
    fn is_congested(&self) -> bool {
        self.write_blocked && !self.outbox.is_empty()
    }
}

/// Whether so many messages more, with `payload` bytes together, fit into the queue.
fn fits(outbox: &Outbox, config: &ConnectionConfig, messages: usize, payload: usize) -> bool {
    outbox.has_room(messages, payload, config.max_queued_packets, config.outbound_buffer_size)
}

/// Whether a message was refused for want of room.
fn is_full(queued: &Result<(), Error>) -> bool {
    matches!(queued, Err(Error::OutOfMemory { .. } | Error::MemoryLimit { .. }))
}
