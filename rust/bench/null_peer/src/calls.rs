//! Clients that call an @rpc method through SceneMultiplayer, as those of `rust/bench` do.
//!
//! The first byte of a packet has the command in its lower half, and in the upper how long the
//! names in it are. Until both sides have agreed on a number for a node, calls carry its path.

use crate::load::Load;
use crate::queue::Queue;

/// A call of method 0 of a node named in full behind it, with one argument, an integer of 32 bits
/// that follows.
const FULL_CALL: &[u8] = &[0x20, 12, 0, 0, 0x80, 0, 1, 0x82];
const PATH: &[u8] = b"Game\0";
/// The same for the node with number 1.
const SHORT_CALL: &[u8] = &[0x00, 1, 0, 1, 0x82];
/// Agrees on number 1 for the node of the server's packet.
const CONFIRM_PATH: &[u8] = &[2, 1, 1, 0, 0, 0];
const COMMAND: u8 = 0x0f;
/// A number with which the engine needs all 32 bits.
const FIRST: u32 = 1_000_000;
/// Between two calls of a client.
const PERIOD_USEC: u32 = 23_700;
/// Between two polls.
const FRAME_USEC: u32 = 16_667;

/// Callers that take turns.
pub(crate) struct Calls {
    queue: Queue,
    callers: Vec<Caller>,
    /// Who calls next.
    next: usize,
    /// The time of all callers that has not yet become calls.
    usec: u32,
}

#[derive(Clone, Default)]
struct Caller {
    calls: u32,
    /// The server knows the node by its number.
    is_short: bool,
}

impl Calls {
    /// So many callers.
    pub(crate) fn new(clients: u32) -> Self {
        let callers = vec![Caller::default(); clients as usize];
        Self { queue: Queue::default(), callers, next: 0, usec: 0 }
    }

    fn call(&mut self) {
        let caller = &mut self.callers[self.next];
        let number = (FIRST + caller.calls).to_le_bytes();
        let (head, tail) = if caller.is_short { (SHORT_CALL, &[][..]) } else { (FULL_CALL, PATH) };
        self.queue.push(self.next, &[head, &number, tail].concat());
        caller.calls += 1;
        self.next = (self.next + 1) % self.callers.len();
    }
}

impl Load for Calls {
    fn poll(&mut self) {
        self.usec += FRAME_USEC * self.callers.len() as u32;
        while let Some(rest) = self.usec.checked_sub(PERIOD_USEC) {
            self.usec = rest;
            self.call();
        }
    }

    fn available(&self) -> usize {
        self.queue.available()
    }

    fn sender(&self) -> usize {
        self.queue.sender()
    }

    fn take(&mut self) -> Option<&[u8]> {
        self.queue.take()
    }

    fn answered(&mut self, client: usize, packet: &[u8]) {
        match packet.first().map(|first| first & COMMAND) {
            // The server's number for the node. With the same packet the client names it too.
            Some(1) => {
                self.queue.push(client, CONFIRM_PATH);
                self.queue.push(client, packet);
            }
            Some(2) => {
                if let Some(caller) = self.callers.get_mut(client) {
                    caller.is_short = true;
                }
            }
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_call_as_often_as_their_period_says() {
        let mut load = Calls::new(100);
        (0..3).for_each(|_| load.poll());
        assert_eq!(load.available(), 210);
    }

    #[test]
    fn calls_are_short_when_the_node_has_a_number() {
        let mut load = Calls::new(1);
        load.call();
        assert_eq!(load.take().map(<[u8]>::len), Some(17));
        load.answered(0, &[0x21, 7]);
        assert_eq!(load.take(), Some(CONFIRM_PATH));
        assert_eq!(load.take(), Some(&[0x21, 7][..]));
        load.answered(0, &[2]);
        load.call();
        assert_eq!(load.take().map(<[u8]>::len), Some(9));
    }
}
