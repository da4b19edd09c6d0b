//! Packets that can be told apart and checked: a number in front, then a pattern.

/// Where the number is.
const INDEX: std::ops::Range<usize> = 0..4;
/// Where the id of the client is, in packets that are for it alone.
const ID: std::ops::Range<usize> = 4..8;

/// Packets of one size that differ in their numbers.
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    /// The pattern that `scenario.gd` makes too.
    pub(crate) fn new(size: usize) -> Self {
        Self((0..size).map(|index| (index * 31 + 7) as u8).collect())
    }

    /// The packet with a number.
    pub(crate) fn packet(&mut self, index: u32) -> &[u8] {
        self.0[INDEX].copy_from_slice(&index.to_le_bytes());
        &self.0
    }

    /// The packet with a number and the id of a client.
    pub(crate) fn owned(&mut self, index: u32, client: u32) -> &[u8] {
        self.0[ID].copy_from_slice(&client.to_le_bytes());
        self.packet(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_differ_in_number_and_id() {
        let mut pattern = Pattern::new(10);
        assert_eq!(pattern.packet(258), [2, 1, 0, 0, 131, 162, 193, 224, 255, 30]);
        assert_eq!(pattern.owned(1, 3), [1, 0, 0, 0, 3, 0, 0, 0, 255, 30]);
    }
}
