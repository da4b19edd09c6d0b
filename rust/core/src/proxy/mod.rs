//! Who a player is when a proxy stands in between: which proxies are believed, and what they say, in
//! front of everything ([`header`]) or in the request ([`forwarded`]).
//!
//! Bytes and requests in, addresses out: no sockets and no clocks are known here. Nobody is believed
//! whose own address is not known to be a proxy's.

pub mod forwarded;
pub mod header;

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::config::{ProxyConfig, ProxyProtocol};

/// Why a setting cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyConfigError {
    /// An entry is neither an address nor a network.
    #[error(
        "entry {index} of trusted_proxies is neither an address nor a network such as `10.0.0.0/8`"
    )]
    Network {
        /// Position in the list, from 0.
        index: usize,
    },
    /// No header can have this name.
    #[error("proxy_header is not the name of a header")]
    Header,
    /// A PROXY header is expected and nobody may send one.
    #[error("proxy_protocol needs the proxy's address in trusted_proxies")]
    NobodyTrusted,
}

/// Why a connection was ended for what it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFailure {
    /// The header is required.
    #[error("there is no PROXY header")]
    Missing,
    /// The address is nobody's whose word counts.
    #[error("only an address in trusted_proxies may send a PROXY header")]
    Untrusted,
    /// The header cannot be read.
    #[error("the PROXY header {0}")]
    Malformed(#[from] header::Malformed),
}

/// Sets the proxies whose word counts: addresses, and networks as an address and the number of bits
/// that its members share.
///
/// # Errors
/// The first entry that is neither; the setting is kept.
pub fn set_trusted(config: &mut ProxyConfig, entries: &[String]) -> Result<(), ProxyConfigError> {
    let read = |(index, entry): (usize, &String)| {
        network(entry).ok_or(ProxyConfigError::Network { index })
    };
    config.trusted = entries.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(())
}

/// The proxies whose word counts, as [`set_trusted`] takes them.
#[must_use]
pub fn trusted(config: &ProxyConfig) -> Vec<String> {
    let text = |network: &IpNet| {
        let is_one = network.prefix_len() == network.max_prefix_len();
        if is_one { network.addr().to_string() } else { network.to_string() }
    };
    config.trusted.iter().map(text).collect()
}

/// Sets the header that tells the player's address; with an empty name none is read.
///
/// # Errors
/// When no header can have that name; the setting is kept.
pub fn set_header(config: &mut ProxyConfig, name: &str) -> Result<(), ProxyConfigError> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_part) {
        return Err(ProxyConfigError::Header);
    }
    name.clone_into(&mut config.header);
    Ok(())
}

/// Checks the settings together, before a server uses them.
///
/// # Errors
/// When a PROXY header is expected and nobody may send one: each player could name any address, or
/// nobody could join.
pub fn check_config(config: &ProxyConfig) -> Result<(), ProxyConfigError> {
    if config.protocol != ProxyProtocol::Off && config.trusted.is_empty() {
        return Err(ProxyConfigError::NobodyTrusted);
    }
    Ok(())
}

/// Whether `address` is a proxy's whose word counts.
#[must_use]
pub fn is_trusted(config: &ProxyConfig, address: IpAddr) -> bool {
    let address = address.to_canonical();
    config.trusted.iter().any(|network| network.contains(&address))
}

/// The network of `text`; IPv4 addresses in the clothes of IPv6 ones are IPv4 addresses.
fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse::<IpNet>().ok()?,
    };
    let mapped = match network {
        IpNet::V6(network) => {
            network.addr().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96))
        }
        IpNet::V4(_) => None,
    };
    let network = match mapped {
        Some((address, bits)) => Ipv4Net::new(address, bits).ok()?.into(),
        None => network,
    };
    Some(network.trunc())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn trusting(entries: &[&str]) -> ProxyConfig {
        let mut config = ProxyConfig::default();
        set_trusted(&mut config, &strings(entries)).unwrap();
        config
    }

    #[test]
    fn addresses_and_networks_of_both_families_are_trusted() {
        let config = trusting(&["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "::1"]);
        for yes in ["192.0.2.1", "10.0.0.0", "10.255.255.255", "2001:db8:ffff::1", "::1"] {
            assert!(is_trusted(&config, yes.parse().unwrap()), "{yes}");
        }
        for yes in ["::ffff:192.0.2.1", "::ffff:10.1.2.3"] {
            assert!(is_trusted(&config, yes.parse().unwrap()), "{yes}");
        }
        for no in ["192.0.2.2", "11.0.0.0", "9.255.255.255", "2001:db9::1", "::2", "::a00:1"] {
            assert!(!is_trusted(&config, no.parse().unwrap()), "{no}");
        }
        assert!(!is_trusted(&ProxyConfig::default(), "127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn all_of_a_family_can_be_trusted() {
        let config = trusting(&["0.0.0.0/0"]);
        assert!(is_trusted(&config, "203.0.113.9".parse().unwrap()));
        assert!(!is_trusted(&config, "2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn what_was_set_reads_back_in_its_shortest_form() {
        let entries = ["127.0.0.1", "10.1.2.3/8", "192.0.2.7/32", "::ffff:172.16.0.0/108", "::1"];
        let texts = trusted(&trusting(&entries));
        assert_eq!(texts, ["127.0.0.1", "10.0.0.0/8", "192.0.2.7", "172.16.0.0/12", "::1"]);
        assert_eq!(trusted(&trusting(&["::/0", "fe80::/10"])), ["::/0", "fe80::/10"]);
    }

    #[test]
    fn a_bad_entry_is_refused_and_nothing_changes() {
        let mut config = trusting(&["10.0.0.0/8"]);
        for bad in [
            "",
            "*",
            "localhost",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/255.0.0.0",
            "::/129",
            "[::1]",
            "fe80::1%eth0",
            "10.0.0.1:80",
            " 10.0.0.1",
            "10.0.0.1\n",
            "unix:",
        ] {
            let set = set_trusted(&mut config, &strings(&["127.0.0.1", bad]));
            assert_eq!(set, Err(ProxyConfigError::Network { index: 1 }), "{bad:?}");
        }
        assert_eq!(config, trusting(&["10.0.0.0/8"]));
    }

    #[test]
    fn a_header_has_a_name_that_can_be_sent() {
        let mut config = ProxyConfig::default();
        assert_eq!(config.header, "X-Forwarded-For");
        for good in ["CF-Connecting-IP", "x_real~ip", ""] {
            set_header(&mut config, good).unwrap();
            assert_eq!(config.header, good);
        }
        for bad in ["X Real IP", "X-Real-IP:", "X\r\nY", "é", "a\0"] {
            assert_eq!(set_header(&mut config, bad), Err(ProxyConfigError::Header), "{bad:?}");
        }
        assert_eq!(config.header, "");
    }

    #[test]
    fn a_header_in_front_needs_somebody_who_may_send_it() {
        for protocol in [ProxyProtocol::Optional, ProxyProtocol::Required] {
            let config = ProxyConfig { protocol, ..ProxyConfig::default() };
            assert_eq!(check_config(&config), Err(ProxyConfigError::NobodyTrusted));
            let config = ProxyConfig { protocol, ..trusting(&["::1"]) };
            assert_eq!(check_config(&config), Ok(()));
        }
        assert_eq!(check_config(&ProxyConfig::default()), Ok(()));
    }
}
