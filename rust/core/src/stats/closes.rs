//! How often connections have ended with which close code.

/// The codes of RFC 6455 and its registry: each has a count of its own.
const REGISTERED: std::ops::RangeInclusive<u16> = 1000..=1015;
/// Other codes that are counted by themselves, those that come first. Anybody can send any code, so
/// there must be an end to them.
const OTHERS: usize = 16;

/// Ends by close code, as [`Ending`](crate::connection::Ending) has it; 1005 is a frame without a
/// code, 1006 an end without a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closes {
    registered: [u64; 16],
    /// Codes, 0 where there is none yet, and their counts.
    others: [(u16, u64); OTHERS],
    rest: u64,
}

impl Closes {
    /// Counts an end.
    pub fn count(&mut self, code: u16) {
        let count = if REGISTERED.contains(&code) {
            &mut self.registered[usize::from(code - REGISTERED.start())]
        } else {
            let place = self.others.iter_mut().find(|(known, _)| *known == code || *known == 0);
            match place {
                Some((known, count)) => {
                    *known = code;
                    count
                }
                None => &mut self.rest,
            }
        };
        *count += 1;
    }

    /// The codes that have occurred, with their counts; code 0 stands for all that came when there
    /// was no place for more.
    pub fn entries(&self) -> impl Iterator<Item = (u16, u64)> {
        let registered = REGISTERED.zip(self.registered);
        registered.chain(self.others).chain([(0, self.rest)]).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_count_and_there_is_an_end_to_them() {
        let mut closes = Closes::default();
        for code in [1000, 1015, 4000, 1000, 4000, 4000] {
            closes.count(code);
        }
        let expected = [(1000, 2), (1015, 1), (4000, 3)];
        assert_eq!(closes.entries().collect::<Vec<_>>(), expected);
        for code in 4001..5000 {
            closes.count(code);
        }
        assert_eq!(closes.entries().count(), 2 + OTHERS + 1);
        assert_eq!(closes.entries().last(), Some((0, 999 - 15)));
        let sum: u64 = closes.entries().map(|(_, count)| count).sum();
        assert_eq!(sum, 6 + 999);
    }
}
