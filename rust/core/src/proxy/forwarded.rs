//! The headers in which proxies write down whose request they pass on: `X-Forwarded-For`,
//! `Forwarded` (RFC 7239), or one of their own with a single address.
//!
//! Of a list only the right end is worth anything. Each proxy appends the address that it saw, so
//! whoever sent the request can have written everything further left. The walk goes from the right
//! as long as the addresses are those of trusted proxies; the first other one is the player's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::is_trusted;
use crate::config::ProxyConfig;
use crate::transport::plain;
use crate::upgrade::Request;

/// The address of whoever sent `request`, which came from `peer`; the port is 0 where a proxy does
/// not tell it. What cannot be read ends the walk, and the last address known stands.
#[must_use]
pub fn player(request: &Request, config: &ProxyConfig, peer: SocketAddr) -> SocketAddr {
    let name = &config.header;
    if name.is_empty() || !is_trusted(config, peer.ip()) {
        return peer;
    }
    let mut values = request.header_values(name);
    if name.eq_ignore_ascii_case("X-Forwarded-For") {
        walk(config, peer, values.rev().flat_map(|value| value.rsplit(',')).map(node))
    } else if name.eq_ignore_ascii_case("Forwarded") {
        walk(config, peer, values.rev().flat_map(|value| split(value, b',')).map(forwarded_node))
    } else {
        match (values.next(), values.next()) {
            (Some(value), None) => node(value).unwrap_or(peer),
            // Of two, nobody knows which is the proxy's.
            _ => peer,
        }
    }
}

/// Goes from `peer` to the one that it names, and on while those are trusted.
fn walk(
    config: &ProxyConfig,
    peer: SocketAddr,
    hops: impl Iterator<Item = Option<SocketAddr>>,
) -> SocketAddr {
    let mut known = peer;
    for hop in hops {
        match hop {
            Some(hop) if is_trusted(config, known.ip()) => known = hop,
            _ => break,
        }
    }
    known
}

/// The parts of `text` between separators that are not within quotes, the last one first.
///
/// Quotes are paired from the right, so that one which is left open further left, where the player
/// has written, cannot swallow what the proxy appended.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let mut end = text.len();
    let mut is_quoted = false;
    for (at, byte) in bytes.iter().enumerate().rev() {
        let backslashes = || bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if *byte == b'"' && backslashes() % 2 == 0 {
            is_quoted = !is_quoted;
        } else if *byte == separator && !is_quoted {
            parts.push(&text[at + 1..end]);
            end = at;
        }
    }
    parts.push(&text[..end]);
    parts
}

/// The address of the `for` parameter of an element of `Forwarded`, if there is one such parameter.
fn forwarded_node(element: &str) -> Option<SocketAddr> {
    let pairs = split(element, b';').into_iter().filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| trim(name).eq_ignore_ascii_case("for"));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => node(&unquote(trim(value))?),
        _ => None,
    }
}

/// The text of a token or of a quoted string.
fn unquote(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let mut chars = rest.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(char) = chars.next() {
        text.push(if char == '\\' { chars.next()? } else { char });
    }
    Some(text)
}

/// An address with or without a port; an IPv6 address with a port in brackets, else with or without.
/// `unknown` and names that hide the address are none.
fn node(text: &str) -> Option<SocketAddr> {
    let text = trim(text);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(plain(SocketAddr::new(address, 0)));
    }
    let (address, port): (IpAddr, _) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { "0" } else { rest.strip_prefix(':')? };
            (address.parse::<Ipv6Addr>().ok()?.into(), port)
        }
        None => {
            let (address, port) = text.split_once(':')?;
            (address.parse::<Ipv4Addr>().ok()?.into(), port)
        }
    };
    // A port may be hidden behind a name, too (RFC 7239, section 6).
    let port = if port.starts_with('_') { 0 } else { digits(port)?.parse().ok()? };
    Some(plain(SocketAddr::new(address, port)))
}

fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::proxy::{set_header, set_trusted};
    use crate::upgrade::RequestReader;

    /// The proxy that connections come from.
    const PROXY: &str = "10.0.0.1:4000";

    fn request(lines: &[&str]) -> Request {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
        );
        RequestReader::default().read(head.as_bytes()).unwrap().unwrap().0
    }

    /// Who the player is for a server that reads `header` and trusts 10.0.0.0/8 and fd00::/8.
    fn read(header: &str, lines: &[&str], peer: &str) -> String {
        let mut config = ProxyConfig::default();
        let trusted = ["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()];
        set_trusted(&mut config, &trusted).unwrap();
        set_header(&mut config, header).unwrap();
        player(&request(lines), &config, peer.parse().unwrap()).to_string()
    }

    #[track_caller]
    fn check(header: &str, cases: &[(&str, &str)]) {
        for (value, expected) in cases {
            let line = format!("{header}: {value}");
            assert_eq!(read(header, &[&line], PROXY), *expected, "{value}");
        }
    }

    #[test]
    fn a_list_is_read_from_the_right_while_the_hops_are_trusted() {
        check(
            "X-Forwarded-For",
            &[
                ("192.0.2.1", "192.0.2.1:0"),
                ("192.0.2.1, 10.9.9.9", "192.0.2.1:0"),
                ("192.0.2.1,10.9.9.9 ,\t10.8.8.8", "192.0.2.1:0"),
                // What the player wrote does not count.
                ("192.0.2.66, 192.0.2.1", "192.0.2.1:0"),
                ("10.0.0.7, 192.0.2.1", "192.0.2.1:0"),
                ("192.0.2.66, 192.0.2.1, 10.9.9.9", "192.0.2.1:0"),
                // All trusted: who came first.
                ("10.0.0.7, 10.9.9.9", "10.0.0.7:0"),
                ("2001:db8::1", "[2001:db8::1]:0"),
                ("2001:db8::1, fd00::1", "[2001:db8::1]:0"),
                ("::ffff:192.0.2.1", "192.0.2.1:0"),
                ("192.0.2.1, ::ffff:10.9.9.9", "192.0.2.1:0"),
            ],
        );
    }

    #[test]
    fn several_lines_make_one_list() {
        let lines = ["X-Forwarded-For: 192.0.2.66", "x-forwarded-for: 192.0.2.1, 10.9.9.9"];
        assert_eq!(read("X-Forwarded-For", &lines, PROXY), "192.0.2.1:0");
        let lines = ["X-Forwarded-For: 192.0.2.66, 192.0.2.1", "X-FORWARDED-FOR: 10.9.9.9"];
        assert_eq!(read("x-forwarded-for", &lines, PROXY), "192.0.2.1:0");
    }

    #[test]
    fn an_address_may_have_a_port() {
        check(
            "X-Forwarded-For",
            &[
                ("192.0.2.1:1234", "192.0.2.1:1234"),
                ("[2001:db8::1]", "[2001:db8::1]:0"),
                ("[2001:db8::1]:1234", "[2001:db8::1]:1234"),
                ("[::ffff:192.0.2.1]:1234", "192.0.2.1:1234"),
                ("192.0.2.1:1234, 10.9.9.9:80", "192.0.2.1:1234"),
            ],
        );
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk() {
        for bad in [
            "",
            "unknown",
            "_hidden",
            "example.com",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:+80",
            "192.0.2.1:65536",
            "192.0.2.1 192.0.2.2",
            "\"192.0.2.1\"",
            "[2001:db8::1",
            "[2001:db8::1]80",
            "[192.0.2.1]:80",
            "2001:db8::1]:80",
            "fe80::1%eth0",
            "é",
        ] {
            let line = format!("X-Forwarded-For: {bad}");
            let header = "X-Forwarded-For";
            assert_eq!(read(header, &[&line], PROXY), PROXY, "{bad}");
            let line = format!("X-Forwarded-For: 192.0.2.66, {bad}, 10.9.9.9");
            assert_eq!(read(header, &[&line], PROXY), "10.9.9.9:0", "{bad}");
            let line = format!("X-Forwarded-For: {bad}, 192.0.2.1, 10.9.9.9");
            assert_eq!(read(header, &[&line], PROXY), "192.0.2.1:0", "{bad}");
        }
        assert_eq!(read("X-Forwarded-For", &[], PROXY), PROXY);
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_and_brackets() {
        check(
            "Forwarded",
            &[
                ("for=192.0.2.1", "192.0.2.1:0"),
                ("For=\"192.0.2.1\"", "192.0.2.1:0"),
                ("for=192.0.2.1;proto=https;by=203.0.113.43", "192.0.2.1:0"),
                ("proto=https ; FOR=192.0.2.1", "192.0.2.1:0"),
                ("by=\"x;for=192.0.2.66\";for=192.0.2.1", "192.0.2.1:0"),
                ("by=\"x,for=192.0.2.66\";for=192.0.2.1", "192.0.2.1:0"),
                ("for=192.0.2.66, for=192.0.2.1", "192.0.2.1:0"),
                ("for=192.0.2.1, for=10.9.9.9", "192.0.2.1:0"),
                ("for=\"[2001:db8::1]\"", "[2001:db8::1]:0"),
                ("for=\"[2001:db8::1]:4711\"", "[2001:db8::1]:4711"),
                ("for=\"192.0.2.1:4711\", for=\"[fd00::1]:80\"", "192.0.2.1:4711"),
                ("for=\"192.0.2.1:_port\"", "192.0.2.1:0"),
                ("for=\"19\\2.0.2.1\"", "192.0.2.1:0"),
                ("for=192.0.2.1;host=\"a\\\"b,c\"", "192.0.2.1:0"),
            ],
        );
    }

    #[test]
    fn forwarded_without_an_address_ends_the_walk() {
        for bad in [
            "",
            "for=",
            "for=unknown",
            "for=_hidden",
            "for=\"_hidden:80\"",
            "proto=https",
            "for",
            "for=192.0.2.66;for=192.0.2.67",
            "for=\"192.0.2.66",
            "for=192.0.2.66\"",
            "for=\"192.0.2.66\\\"",
            "fo r=192.0.2.66",
            "for=\"for=192.0.2.66\"",
        ] {
            let line = format!("Forwarded: {bad}");
            assert_eq!(read("Forwarded", &[&line], PROXY), PROXY, "{bad}");
        }
        let line = "Forwarded: for=192.0.2.66, for=_hidden, for=10.9.9.9";
        assert_eq!(read("Forwarded", &[line], PROXY), "10.9.9.9:0");
    }

    #[test]
    fn a_quote_that_the_player_leaves_open_hides_nothing() {
        for written in
            ["for=\"", "for=192.0.2.66;by=\"", "\"", "for=\"\\", "\\", "\\\"", "a=\"b\"\""]
        {
            for appended in
                ["for=192.0.2.1", "for=\"192.0.2.1\"", "by=\"10.0.0.1\";for=\"192.0.2.1\""]
            {
                let line = format!("Forwarded: {written}, {appended}");
                assert_eq!(read("Forwarded", &[&line], PROXY), "192.0.2.1:0", "{line}");
            }
        }
    }

    #[test]
    fn any_other_header_has_one_address() {
        check(
            "CF-Connecting-IP",
            &[
                ("192.0.2.1", "192.0.2.1:0"),
                ("2001:db8::1", "[2001:db8::1]:0"),
                ("10.9.9.9", "10.9.9.9:0"),
                ("192.0.2.66, 192.0.2.1", PROXY),
                ("unknown", PROXY),
            ],
        );
        let twice = ["X-Real-IP: 192.0.2.66", "X-Real-IP: 192.0.2.1"];
        assert_eq!(read("X-Real-IP", &twice, PROXY), PROXY);
        // Others say nothing.
        assert_eq!(read("X-Real-IP", &["X-Forwarded-For: 192.0.2.1"], PROXY), PROXY);
        assert_eq!(read("", &["X-Forwarded-For: 192.0.2.1"], PROXY), PROXY);
    }

    #[test]
    fn nobody_else_is_believed() {
        for peer in ["192.0.2.9:4000", "[2001:db8::9]:4000", "127.0.0.1:4000", "11.0.0.1:4000"] {
            for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
                let lines = [
                    "X-Forwarded-For: 192.0.2.66, 10.0.0.1",
                    "Forwarded: for=192.0.2.66",
                    "X-Real-IP: 192.0.2.66",
                ];
                assert_eq!(read(header, &lines, peer), peer, "{header}");
            }
        }
    }
}
