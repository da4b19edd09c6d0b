//! Packets one by one.

use std::collections::VecDeque;

use crate::load::Load;

/// Packets that wait, with the clients that sent them.
#[derive(Default)]
pub(crate) struct Queue {
    packets: VecDeque<(usize, Vec<u8>)>,
    /// What has been taken last.
    current: Vec<u8>,
}

impl Queue {
    /// Adds a packet behind the others.
    pub(crate) fn push(&mut self, client: usize, packet: &[u8]) {
        self.packets.push_back((client, packet.to_vec()));
    }
}

impl Load for Queue {
    fn poll(&mut self) {}

    fn available(&self) -> usize {
        self.packets.len()
    }

    fn sender(&self) -> usize {
        self.packets.front().map_or(0, |(client, _)| *client)
    }

    fn take(&mut self) -> Option<&[u8]> {
        (_, self.current) = self.packets.pop_front()?;
        Some(&self.current)
    }
}
