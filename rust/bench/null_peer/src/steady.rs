//! The same number of packets in each poll.

use crate::load::Load;

/// Clients that take turns and number their packets.
pub(crate) struct Steady {
    clients: u32,
    each_poll: u32,
    /// It is all packets: only the number in front changes.
    packet: Vec<u8>,
    /// Packets that have been taken, of all clients together.
    taken: u32,
    waiting: u32,
}

impl Steady {
    /// So many packets a poll, of `size` bytes.
    pub(crate) fn new(clients: u32, each_poll: u32, size: usize) -> Self {
        let packet = (0..size).map(|index| (index * 31 + 7) as u8).collect();
        Self { clients, each_poll, packet, taken: 0, waiting: 0 }
    }
}

impl Load for Steady {
    fn poll(&mut self) {
        self.waiting = self.each_poll;
    }

    fn available(&self) -> usize {
        self.waiting as usize
    }

    fn sender(&self) -> usize {
        (self.taken % self.clients) as usize
    }

    fn take(&mut self) -> Option<&[u8]> {
        self.waiting = self.waiting.checked_sub(1)?;
        if let Some(number) = self.packet.first_chunk_mut() {
            *number = (self.taken / self.clients).to_le_bytes();
        }
        self.taken = self.taken.wrapping_add(1);
        Some(&self.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns_and_number_their_packets() {
        let mut load = Steady::new(2, 3, 6);
        assert_eq!((load.available(), load.take()), (0, None));
        load.poll();
        let mut seen = Vec::new();
        while load.available() > 0 {
            let sender = load.sender();
            seen.push((sender, load.take().expect("it is available").to_vec()));
        }
        let packet = |number| vec![number, 0, 0, 0, 131, 162];
        assert_eq!(seen, [(0, packet(0)), (1, packet(0)), (0, packet(1))]);
    }
}
