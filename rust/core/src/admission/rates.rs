//! How often each address comes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// The time whose connections an address may open at once. With a rate of 5 these are 20: a family
/// or a school class whose server has started anew is back at once.
const BURST: Duration = Duration::from_secs(4);
/// Addresses remembered at most, in about 4 MiB. Of a crowd that is larger those who came first are
/// forgotten, so that some of them get a second burst.
const ADDRESSES: usize = 1 << 16;

/// How often each address comes: a token bucket for each, kept as the time at which it will be
/// full again. That is at most [`BURST`] away, so two tables that are exchanged once in that time
/// hold all that are not full, and nothing has to be searched for what has expired.
#[derive(Debug, Default)]
pub(super) struct Rates {
    recent: HashMap<Network, Instant>,
    older: HashMap<Network, Instant>,
    /// When `recent` was begun.
    begun: Option<Instant>,
}

/// What counts as one address.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    /// The first 64 bits: the rest of an IPv6 address is its owner's choice (RFC 4291, section
    /// 2.5.4).
    V6([u16; 4]),
}

impl Network {
    /// An IPv4 address that came through an IPv6 socket is an IPv4 address.
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Rates {
    /// Counts a connection from `address`; false if it is one too many. With a rate of 0 none is.
    pub(super) fn allows(&mut self, address: IpAddr, per_second: u32, now: Instant) -> bool {
        let Some(interval) = Duration::from_secs(1).checked_div(per_second) else {
            return true;
        };
        let is_due = self.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= BURST);
        if is_due || self.recent.len() >= ADDRESSES / 2 {
            self.older = std::mem::take(&mut self.recent);
            self.begun = Some(now);
        }
        let network = Network::of(address);
        let known = self.recent.get(&network).or_else(|| self.older.get(&network));
        let missing =
            known.map_or(Duration::ZERO, |full| full.saturating_duration_since(now)) + interval;
        let full = now.checked_add(missing).filter(|_| missing <= BURST);
        self.recent.extend(full.map(|full| (network, full)));
        full.is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of `count` connections from `from` are let in at `now`.
    fn let_in(rates: &mut Rates, from: &str, count: u32, now: Instant) -> u32 {
        (0..count).map(|_| u32::from(rates.allows(address(from), 5, now))).sum()
    }

    #[test]
    fn an_address_has_a_burst_and_then_its_rate() {
        let mut rates = Rates::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(let_in(&mut rates, "192.0.2.1", 100, start), 20);
        assert_eq!(let_in(&mut rates, "192.0.2.1", 100, at(199)), 0);
        assert_eq!(let_in(&mut rates, "192.0.2.1", 100, at(200)), 1);
        assert_eq!(let_in(&mut rates, "192.0.2.1", 100, at(1200)), 5);
        // What is refused does not count, so whoever goes on trying is not locked out.
        let mut total = 0;
        for ms in (1210..=11_200).step_by(10) {
            total += let_in(&mut rates, "192.0.2.1", 1, at(ms));
        }
        assert_eq!(total, 50);
        assert_eq!(let_in(&mut rates, "192.0.2.1", 100, at(15_200)), 20);
        assert_eq!(let_in(&mut rates, "192.0.2.1", 100, at(60_000)), 20);
    }

    #[test]
    fn addresses_are_counted_apart_and_networks_together() {
        let mut rates = Rates::default();
        let now = Instant::now();
        assert_eq!(let_in(&mut rates, "192.0.2.1", 30, now), 20);
        assert_eq!(let_in(&mut rates, "192.0.2.2", 30, now), 20);
        assert_eq!(let_in(&mut rates, "::ffff:192.0.2.1", 30, now), 0);
        assert_eq!(let_in(&mut rates, "2001:db8:0:1::1", 15, now), 15);
        assert_eq!(let_in(&mut rates, "2001:db8:0:1:ffff::2", 15, now), 5);
        assert_eq!(let_in(&mut rates, "2001:db8:0:2::1", 30, now), 20);
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut rates = Rates::default();
        let now = Instant::now();
        assert!((0..1000).all(|_| rates.allows(address("192.0.2.1"), 0, now)));
        assert!(rates.recent.is_empty());
    }

    #[test]
    fn a_bucket_is_remembered_until_it_is_full() {
        // Wherever in the life of the tables it was emptied.
        for offset in [0, 1, 1999, 3999, 4000, 4001] {
            let mut rates = Rates::default();
            let start = Instant::now();
            let at = |ms| start + Duration::from_millis(ms);
            rates.allows(address("192.0.2.2"), 5, start);
            assert_eq!(let_in(&mut rates, "192.0.2.1", 20, at(offset)), 20);
            // Something has to come for the tables to be exchanged.
            rates.allows(address("192.0.2.2"), 5, at(offset + 3000));
            rates.allows(address("192.0.2.2"), 5, at(offset + 3998));
            assert_eq!(let_in(&mut rates, "192.0.2.1", 20, at(offset + 3999)), 19, "{offset}");
        }
    }

    #[test]
    fn the_tables_do_not_grow_beyond_their_size() {
        let mut rates = Rates::default();
        let now = Instant::now();
        for number in 0..200_000_u32 {
            rates.allows(Ipv4Addr::from(number).into(), 5, now);
            assert!(rates.recent.len() + rates.older.len() <= ADDRESSES);
        }
        // The newest are known.
        let newest = IpAddr::from(Ipv4Addr::from(199_999));
        assert_eq!((0..30).filter(|_| rates.allows(newest, 5, now)).count(), 19);
        // When the crowd has gone, so have its addresses.
        for seconds in [4, 8] {
            rates.allows(address("::1"), 5, now + Duration::from_secs(seconds));
        }
        assert_eq!(rates.recent.len() + rates.older.len(), 2);
    }
}
