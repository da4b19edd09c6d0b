//! The packets of a soak, as `tests/bench/soak/packets.gd` makes them too: what is in one follows
//! from its kind, its sender and its number, so that each byte can be checked.
//!
//! Byte 0 is the kind and the low bits of the number, then come the number and the sender, then a
//! part of a pattern. A packet that is shorter than that is the beginning of it.

/// Bytes of a packet, at most.
pub(super) const LARGEST: usize = 64 * 1024;
/// The sender of what the server makes.
pub(super) const SERVER: u32 = 0;

const HEAD: usize = 9;
/// Parts of the pattern start at one of so many places.
const PLACES: usize = 251;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Goes back to its sender as it is.
    Echo,
    /// Is counted and checked, no more.
    Sink,
    /// From the server to all.
    Broadcast,
    /// Says something about the run.
    Control,
}

impl Kind {
    /// The kind of a packet; an empty one has none.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let kinds = [Self::Echo, Self::Sink, Self::Broadcast, Self::Control];
        packet.first().map(|first| kinds[usize::from(first >> 6)])
    }
}

/// What a control packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Word {
    /// To the server: the client's key.
    Hello,
    /// To the server: how many packets have been sent. The answer: how many came, how many went
    /// back, and the number of the next broadcast.
    Check,
    /// From the server: the number of the next broadcast.
    Welcome,
    /// To the server: the client stops reading.
    Slow,
    /// To the server: the client has read everything.
    Fast,
    /// To the server: the client falls silent.
    Vanish,
}

/// A control packet.
pub(super) fn control(word: Word, numbers: &[u32]) -> Vec<u8> {
    let mut packet = vec![(Kind::Control as u8) << 6 | word as u8];
    numbers.iter().for_each(|number| packet.extend_from_slice(&number.to_le_bytes()));
    packet
}

/// The numbers of a control packet, if it says `word`.
pub(super) fn numbers<const N: usize>(packet: &[u8], word: Word) -> Option<[u32; N]> {
    let (first, rest) = packet.split_first()?;
    let (numbers, rest) = rest.as_chunks();
    let is_word = *first == control(word, &[])[0] && rest.is_empty();
    let numbers: [[u8; 4]; N] = numbers.try_into().ok()?;
    is_word.then(|| numbers.map(u32::from_le_bytes))
}

/// What is in packets behind their head.
pub(super) struct Pattern(Vec<u8>);

impl Pattern {
    pub(super) fn new() -> Self {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        Self(std::iter::repeat_with(next).take(LARGEST + PLACES).collect())
    }

    /// Puts a packet in place of what is in `out`.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        kind: Kind,
        sender: u32,
        number: u32,
        size: usize,
    ) {
        out.clear();
        out.extend_from_slice(&head(kind, sender, number));
        out.extend_from_slice(self.body(sender, number, size));
        out.truncate(size);
    }

    /// Whether `packet` is this one, in its own size.
    pub(super) fn is(&self, packet: &[u8], kind: Kind, sender: u32, number: u32) -> bool {
        let head = head(kind, sender, number);
        match packet.split_at_checked(HEAD) {
            Some((own, body)) => own == head && body == self.body(sender, number, packet.len()),
            None => packet == &head[..packet.len()],
        }
    }

    fn body(&self, sender: u32, number: u32, size: usize) -> &[u8] {
        let place = (sender as usize * 7 + number as usize * 13) % PLACES;
        &self.0[place..place + size.saturating_sub(HEAD)]
    }
}

fn head(kind: Kind, sender: u32, number: u32) -> [u8; HEAD] {
    let mut head = [(kind as u8) << 6 | (number & 63) as u8; HEAD];
    head[1..5].copy_from_slice(&number.to_le_bytes());
    head[5..].copy_from_slice(&sender.to_le_bytes());
    head
}

/// What a packet says of itself.
pub(super) fn describe(packet: &[u8]) -> String {
    match packet.split_at_checked(HEAD) {
        Some(([_, n0, n1, n2, n3, s0, s1, s2, s3], _)) => format!(
            "{} bytes, {:?}, number {} of sender {}",
            packet.len(),
            Kind::of(packet),
            u32::from_le_bytes([*n0, *n1, *n2, *n3]),
            u32::from_le_bytes([*s0, *s1, *s2, *s3]),
        ),
        _ => format!("{packet:02x?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_sizes_are_told_apart() {
        let pattern = Pattern::new();
        let mut packet = Vec::new();
        for size in [1, 5, 9, 10, 300, LARGEST] {
            pattern.write(&mut packet, Kind::Echo, 7, 12, size);
            assert_eq!((packet.len(), Kind::of(&packet)), (size, Some(Kind::Echo)));
            assert!(pattern.is(&packet, Kind::Echo, 7, 12));
            assert!(!pattern.is(&packet, Kind::Echo, 7, 13));
            assert!(!pattern.is(&packet, Kind::Sink, 7, 12));
            *packet.last_mut().expect("a byte") ^= 1;
            assert!(!pattern.is(&packet, Kind::Echo, 7, 12));
        }
    }

    #[test]
    fn control_packets_are_read_as_they_are_made() {
        let packet = control(Word::Check, &[1, 70_000, 3]);
        assert_eq!(packet, [0xc1, 1, 0, 0, 0, 0x70, 0x11, 1, 0, 3, 0, 0, 0]);
        assert_eq!(numbers(&packet, Word::Check), Some([1, 70_000, 3]));
        assert_eq!(numbers::<1>(&packet, Word::Check), None);
        assert_eq!(numbers::<3>(&packet, Word::Welcome), None);
    }
}
