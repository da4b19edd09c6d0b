//! Packets that may be lost, held back while their peer reads too slowly.
//!
//! A packet sent in an unreliable mode is out of date soon. In the queue of a peer that cannot keep
//! up it would arrive late and make everything behind it later. So it is dropped, or, where only
//! the newest counts, held outside the queue, where a newer one can take its place.

use crate::memory::Charge;

/// Most channels of which a packet is held for one peer. Games use a few; a packet of another
/// channel is dropped.
const MAX_CHANNELS: usize = 64;

/// What may become of a packet: the engine's `MultiplayerPeer.TransferMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives, in order, unless `put_packet` says that it was refused or the connection ends.
    #[default]
    Reliable,
    /// It may be dropped.
    Unreliable,
    /// It may be replaced by a newer one of the same channel.
    UnreliableOrdered {
        /// The engine's transfer channel.
        channel: i32,
    },
}

/// The newest packet of each channel, for one peer.
#[derive(Debug, Default)]
pub(super) struct Stale {
    held: Vec<Held>,
    bytes: usize,
    dropped: u64,
    charge: Charge,
}

#[derive(Debug)]
struct Held {
    channel: i32,
    data: Vec<u8>,
}

impl Stale {
    /// Holds `data` in place of an older packet of its channel if so many packets and bytes in all
    /// fit; else drops it.
    pub(super) fn hold(
        &mut self,
        channel: i32,
        data: &[u8],
        fits: impl FnOnce(usize, usize) -> bool,
    ) {
        let older = self.held.iter().position(|held| held.channel == channel);
        let older_size = older.map_or(0, |index| self.held[index].data.len());
        let packets = self.held.len() + usize::from(older.is_none());
        let bytes = self.bytes - older_size + data.len();
        let has_memory = bytes <= self.bytes + self.charge.room(self.bytes);
        if packets > MAX_CHANNELS || !has_memory || !fits(packets, bytes) {
            return self.drop_one();
        }
        match older {
            Some(index) => {
                self.drop_one();
                self.held[index].data.clear();
                self.held[index].data.extend_from_slice(data);
            }
            None => self.held.push(Held { channel, data: data.to_vec() }),
        }
        self.resize(bytes);
    }

    /// Counts a packet that is not held.
    pub(super) fn drop_one(&mut self) {
        self.dropped += 1;
    }

    /// Drops the packet of the channel that has been held longest; false if none is held.
    pub(super) fn drop_oldest(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let oldest = self.held.remove(0);
        self.drop_one();
        self.resize(self.bytes - oldest.data.len());
        true
    }

    /// Drops everything: the connection ends.
    pub(super) fn clear(&mut self) {
        self.dropped += self.held.len() as u64;
        self.held.clear();
        self.resize(0);
    }

    /// Gives out what is held, to be sent.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.resize(0);
        std::mem::take(&mut self.held).into_iter().map(|held| held.data)
    }

    /// Packets held, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.held.len(), self.bytes)
    }

    /// What [`Stale::take_dropped`] would give out.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Packets dropped and replaced since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn resize(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.charge.follow(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(stale: &mut Stale) -> Vec<Vec<u8>> {
        stale.take().collect()
    }

    #[test]
    fn the_newest_of_each_channel_is_held() {
        let mut stale = Stale::default();
        for (channel, data) in [(1, "a"), (-7, "b"), (1, "newer"), (1, "newest")] {
            stale.hold(channel, data.as_bytes(), |_, _| true);
        }
        assert_eq!(stale.size(), (2, 7));
        assert_eq!(stale.take_dropped(), 2);
        assert_eq!(taken(&mut stale), [b"newest".to_vec(), b"b".to_vec()]);
        assert_eq!((stale.size(), stale.take_dropped()), ((0, 0), 0));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_the_older_stays() {
        let mut stale = Stale::default();
        let fits = |packets: usize, bytes: usize| packets <= 2 && bytes <= 10;
        stale.hold(1, &[1; 4], fits);
        stale.hold(2, &[2; 6], fits);
        stale.hold(3, &[3; 0], fits);
        stale.hold(1, &[4; 5], fits);
        assert_eq!((stale.size(), stale.take_dropped()), ((2, 10), 2));
        stale.hold(2, &[5; 3], fits);
        assert_eq!((stale.size(), stale.take_dropped()), ((2, 7), 1));
        assert_eq!(taken(&mut stale), [vec![1; 4], vec![5; 3]]);
    }

    #[test]
    fn channels_are_bounded() {
        let mut stale = Stale::default();
        for channel in 0..100 {
            stale.hold(channel, b"x", |_, _| true);
        }
        assert_eq!((stale.size(), stale.take_dropped()), ((64, 64), 36));
    }

    #[test]
    fn room_is_made_from_the_oldest_on_and_an_end_drops_the_rest() {
        let mut stale = Stale::default();
        for channel in 0..3 {
            stale.hold(channel, &[9; 10], |_, _| true);
        }
        assert!(stale.drop_oldest());
        assert_eq!((stale.size(), stale.take_dropped()), ((2, 20), 1));
        stale.clear();
        assert_eq!((stale.size(), stale.take_dropped()), ((0, 0), 2));
        assert!(!stale.drop_oldest());
    }
}
