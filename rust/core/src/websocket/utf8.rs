//! UTF-8 checked while it arrives, so that bad text is refused at the first wrong byte.

/// Text that is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8;

/// The state between two pieces of a text: the bytes of a character that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Utf8Check {
    partial: [u8; 4],
    len: usize,
}

impl Utf8Check {
    /// Checks the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((first, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.partial[self.len] = *first;
            self.len += 1;
            match std::str::from_utf8(&self.partial[..self.len]) {
                Ok(_) => self.len = 0,
                // A wrong start is refused below four bytes, so `partial` never overflows.
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(piece) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let tail = &piece[error.valid_up_to()..];
        self.partial[..tail.len()].copy_from_slice(tail);
        self.len = tail.len();
        Ok(())
    }

    /// Checks that the text does not end inside a character.
    pub(super) fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pieces: &[&[u8]]) -> Result<(), InvalidUtf8> {
        let mut utf8 = Utf8Check::default();
        for piece in pieces {
            utf8.feed(piece)?;
        }
        utf8.finish()
    }

    #[test]
    fn a_split_character_is_valid() {
        assert_eq!(check(&[&[0xc3], &[0xa9]]), Ok(()));
        assert_eq!(check(&[&[0xf0], &[0x9f], &[0x98], &[0x80]]), Ok(()));
    }

    #[test]
    fn the_first_wrong_byte_is_refused() {
        let mut utf8 = Utf8Check::default();
        assert_eq!(utf8.feed(&[0xf4]), Ok(()));
        assert_eq!(utf8.feed(&[0x90]), Err(InvalidUtf8));
    }

    #[test]
    fn an_unfinished_character_is_refused_at_the_end() {
        assert_eq!(check(&[b"a", &[0xe2, 0x82]]), Err(InvalidUtf8));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_answer_of_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..24),
            text in ".{0,8}",
            use_text in any::<bool>(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let bytes = if use_text { text.into_bytes() } else { bytes };
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(check(&pieces).is_ok(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
