//! Bytes that wait for the kernel, and how many messages and payload bytes they stand for.
//!
//! A message counts until its last byte has been written, as the engine's class counts it: what
//! the kernel has taken is no longer ours. Nothing is known here of what is in a message.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use crate::memory::Charge;

/// A buffer larger than this is given back when it has been written out. What games send to a peer
/// in a frame fits, so that memory for it is not taken anew each time.
const KEEP: usize = 32 * 1024;
/// As [`KEEP`], for the list of messages.
const KEEP_MESSAGES: usize = 256;

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: BytesMut,
    /// Stream position of the first byte of `bytes`.
    written: u64,
    /// The messages that are not completely written, oldest first.
    messages: VecDeque<Queued>,
    payload: usize,
    /// The memory of `bytes`, whose capacity is only that of the part not written yet.
    memory: usize,
    charge: Charge,
}

#[derive(Debug)]
struct Queued {
    /// Stream position after the message's last byte.
    end: u64,
    payload: usize,
}

impl Outbox {
    /// Whether `messages` more with `payload` bytes together fit: then at most `max_messages` wait,
    /// and their payload is at most `max_payload` (0 or less: no limit).
    #[must_use]
    pub fn has_room(
        &self,
        messages: usize,
        payload: usize,
        max_messages: i32,
        max_payload: i32,
    ) -> bool {
        // A negative count is "no limit", as the engine's class has it.
        if usize::try_from(max_messages).is_ok_and(|max| self.messages.len() + messages > max) {
            return false;
        }
        match usize::try_from(max_payload) {
            Ok(0) | Err(_) => true,
            Ok(max) => self.payload + payload <= max,
        }
    }

    /// Bytes by which the queue may grow within the memory limit of the process.
    #[must_use]
    pub fn memory_room(&self) -> usize {
        self.charge.room(self.bytes.len())
    }

    /// Appends bytes that are no message: an HTTP head.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.count_memory();
    }

    /// Appends a message; `encode` writes its frame to the end of the buffer.
    pub fn push_message(&mut self, payload: usize, encode: impl FnOnce(&mut BytesMut)) {
        encode(&mut self.bytes);
        self.count_memory();
        self.payload += payload;
        let end = self.end();
        self.messages.push_back(Queued { end, payload });
    }

    /// Position in the stream of the byte to write next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.written
    }

    /// Position in the stream behind everything that waits.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.written + self.bytes.len() as u64
    }

    /// The bytes to write next.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes `count` bytes off the front: the kernel has them.
    pub fn written(&mut self, count: usize) {
        self.bytes.advance(count);
        self.written += count as u64;
        while self.messages.front().is_some_and(|message| message.end <= self.written) {
            self.payload -= self.messages.pop_front().map_or(0, |message| message.payload);
        }
        self.charge.follow(self.bytes.len());
        if self.bytes.is_empty() {
            self.give_back();
        }
    }

    /// Drops everything: the connection has gone.
    pub fn clear(&mut self) {
        *self = Self { written: self.written, ..Self::default() };
    }

    /// Payload bytes of the messages that are not completely written.
    #[must_use]
    pub fn payload(&self) -> usize {
        self.payload
    }

    /// Messages that are not completely written.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Whether everything has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn count_memory(&mut self) {
        self.memory = self.memory.max(self.bytes.capacity());
        self.charge.follow(self.bytes.len());
    }

    fn give_back(&mut self) {
        if self.memory > KEEP {
            self.bytes = BytesMut::new();
            self.memory = 0;
        } else {
            // Starts at the front of the buffer again.
            self.bytes.clear();
        }
        if self.messages.capacity() > KEEP_MESSAGES {
            self.messages = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(payloads: &[usize]) -> Outbox {
        let mut outbox = Outbox::default();
        for payload in payloads {
            outbox.push_message(*payload, |bytes| bytes.resize(bytes.len() + payload + 2, 7));
        }
        outbox
    }

    #[test]
    fn a_message_counts_until_its_last_byte_is_written() {
        let mut outbox = outbox(&[10, 20]);
        assert_eq!(outbox.payload(), 30);
        outbox.written(11);
        assert_eq!(outbox.payload(), 30);
        outbox.written(1);
        assert_eq!(outbox.payload(), 20);
        outbox.written(22);
        assert_eq!(outbox.payload(), 0);
        assert!(outbox.is_empty());
    }

    #[test]
    fn room_is_a_count_of_messages_and_a_sum_of_payloads() {
        let outbox = outbox(&[10, 20]);
        assert!(outbox.has_room(1, 70, 3, 100));
        assert!(!outbox.has_room(1, 71, 3, 100));
        assert!(!outbox.has_room(1, 1, 2, 100));
        assert!(outbox.has_room(3, 70, 5, 100));
        assert!(!outbox.has_room(3, 70, 4, 100));
        assert!(outbox.has_room(1, 1 << 30, 3, 0));
        assert!(outbox.has_room(1, 1 << 30, -1, -1));
        assert!(!outbox.has_room(1, 1, 0, 0));
    }

    #[test]
    fn heads_do_not_count_and_positions_stay_right_behind_them() {
        let mut outbox = Outbox::default();
        outbox.push_bytes(b"HTTP");
        outbox.push_message(3, |bytes| bytes.extend_from_slice(b"12345"));
        assert_eq!(outbox.bytes(), b"HTTP12345");
        assert_eq!((outbox.position(), outbox.end()), (0, 9));
        outbox.written(8);
        assert_eq!((outbox.position(), outbox.end()), (8, 9));
        assert_eq!(outbox.payload(), 3);
        outbox.written(1);
        assert_eq!(outbox.payload(), 0);
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let mut outbox = outbox(&[100_000]);
        outbox.written(100_002);
        // What was kept would be used again from its front.
        outbox.push_bytes(b"x");
        assert!(outbox.bytes.capacity() < KEEP, "{}", outbox.bytes.capacity());
    }
}
