//! The URL of a server: `[ws://|wss://][user@]host[:port][/path][?query][#fragment]`.
//!
//! The grammar is that of the engine's own classes, not the one of browsers: the scheme may be
//! absent, a query needs a `/` before it, and a host is only cut out, never rewritten. What could
//! change the meaning of the upgrade request (control characters, blanks) is refused or
//! percent-encoded.

use std::net::{IpAddr, Ipv6Addr};

/// Where to connect, and what to ask for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether the scheme is `wss`.
    pub secure: bool,
    /// Name or address, lower-cased; an IPv6 address stands here without brackets.
    pub host: String,
    /// The port given, or 80 for `ws` and 443 for `wss`.
    pub port: u16,
    /// Path and query as they stand on the request line; `/` if the URL has none.
    pub target: String,
}

impl Url {
    /// Reads a URL. User-info and fragment are dropped, they are not for the wire.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.contains(char::is_control) {
            return Err(UrlError::ControlCharacter);
        }

        // A "://" further back, as in "host/?next=http://a/", does not end a scheme.
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(is_scheme_byte) => {
                (scheme_is_secure(scheme)?, rest)
            }
            _ => (false, text),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, target) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let authority = match authority.split_once('@') {
            // Others would end the host there, and look for it before the '@'.
            Some((user, _)) if user.contains(['?', '\\']) => return Err(UrlError::Host),
            Some((_, after)) => after,
            None => authority,
        };
        let (host, port) = split_port(authority)?;

        Ok(Self {
            secure,
            host: host.to_lowercase(),
            port: match port {
                Some(digits) => parse_port(digits)?,
                None => default_port(secure),
            },
            target: encode_target(target),
        })
    }

    /// Value of the `Host` header: no port if it is the scheme's default, IPv6 in brackets
    /// (RFC 9110 section 7.2).
    pub fn host_header(&self) -> String {
        let mut value =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port != default_port(self.secure) {
            value.push_str(&format!(":{}", self.port));
        }
        value
    }

    /// The host's address if it is a literal, which needs no resolver.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Why a URL cannot be used. The messages never repeat the URL, it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// CR, LF, NUL or another control character, anywhere.
    #[error("the url contains a control character")]
    ControlCharacter,
    /// A scheme other than `ws` and `wss`.
    #[error("the url's scheme is not \"ws\" or \"wss\"")]
    Scheme,
    /// Nothing where the host should be.
    #[error("the url has no host")]
    NoHost,
    /// Characters that no host has, or brackets around something that is not an IPv6 address.
    #[error("the url's host is invalid")]
    Host,
    /// More than one `:` without brackets.
    #[error("the url's host contains more than one \":\" (an IPv6 address needs brackets)")]
    Colons,
    /// Anything but a number from 1 to 65535 after the host's `:`.
    #[error("the url's port is not a number from 1 to 65535")]
    Port,
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

fn scheme_is_secure(scheme: &str) -> Result<bool, UrlError> {
    if scheme.eq_ignore_ascii_case("ws") {
        Ok(false)
    } else if scheme.eq_ignore_ascii_case("wss") {
        Ok(true)
    } else {
        Err(UrlError::Scheme)
    }
}

/// Splits `host[:port]` and checks the host.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(literal) = authority.strip_prefix('[') {
        let (host, after) = literal.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlError::Host),
        };
    }

    let (host, port) = match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => return Err(UrlError::Colons),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    // The "forbidden host code points" of the WHATWG URL standard that can still be here. A '?'
    // is a query without a path.
    if host.contains(|c: char| c.is_whitespace() || "<>?@[\\]^|".contains(c)) {
        return Err(UrlError::Host);
    }
    Ok((host, port))
}

fn parse_port(digits: &str) -> Result<u16, UrlError> {
    // u16's own parser would let a sign pass.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok(port),
    }
}

/// A blank would end the target on the request line, and bytes outside of ASCII have no place
/// in it (RFC 3986 section 2.1); everything else goes out as it was given.
fn encode_target(target: &str) -> String {
    let mut encoded = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_graphic() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The request target and Host header that a URL leads to.
    fn target_and_host(text: &str) -> Result<(String, String), UrlError> {
        Url::parse(text).map(|url| (url.target.clone(), url.host_header()))
    }

    #[test]
    fn urls_that_connect() {
        for (text, target, host) in [
            ("127.0.0.1:9001", "/", "127.0.0.1:9001"),
            ("127.0.0.1", "/", "127.0.0.1"),
            ("ws://127.0.0.1:9001", "/", "127.0.0.1:9001"),
            ("WS://127.0.0.1:9001", "/", "127.0.0.1:9001"),
            ("wS://127.0.0.1:9001/", "/", "127.0.0.1:9001"),
            ("ws://127.0.0.1:09001", "/", "127.0.0.1:9001"),
            ("ws://[::1]:9001", "/", "[::1]:9001"),
            ("ws://[::1]:9001/x", "/x", "[::1]:9001"),
            ("ws://[::1]", "/", "[::1]"),
            ("ws://[2001:DB8::A]/", "/", "[2001:db8::a]"),
            ("ws://user:pass@127.0.0.1:9001/p", "/p", "127.0.0.1:9001"),
            ("ws://user@127.0.0.1:9001/p", "/p", "127.0.0.1:9001"),
            ("ws://user:pass@[::1]:9001", "/", "[::1]:9001"),
            ("ws://127.0.0.1:9001/u@x/y", "/u@x/y", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001/path?x=1&y=%20#frag", "/path?x=1&y=%20", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001#frag", "/", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001#a/b", "/", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001/?x=http://a/b", "/?x=http://a/b", "127.0.0.1:9001"),
            ("127.0.0.1:9001/?x=http://a/b", "/?x=http://a/b", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001/a b", "/a%20b", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001/é", "/%C3%A9", "127.0.0.1:9001"),
            ("ws://127.0.0.1:9001//double", "//double", "127.0.0.1:9001"),
            ("ws://localhost:9001", "/", "localhost:9001"),
            ("ws://LocalHost:9001/", "/", "localhost:9001"),
            // Fine as text; only the resolver can tell that there is no such name.
            ("ws://a..b:9001", "/", "a..b:9001"),
            ("ws://müller.example", "/", "müller.example"),
        ] {
            assert_eq!(target_and_host(text), Ok((target.to_owned(), host.to_owned())), "{text}");
        }
    }

    #[test]
    fn urls_that_are_refused() {
        for (text, error) in [
            ("", UrlError::NoHost),
            ("ws://", UrlError::NoHost),
            ("ws:///path", UrlError::NoHost),
            ("ws://user@/path", UrlError::NoHost),
            ("//127.0.0.1:9001", UrlError::NoHost),
            ("ws://:9001", UrlError::NoHost),
            ("http://127.0.0.1:9001", UrlError::Scheme),
            ("https://127.0.0.1:9001", UrlError::Scheme),
            ("ftp://127.0.0.1:9001", UrlError::Scheme),
            ("://127.0.0.1:9001", UrlError::Scheme),
            ("ws:127.0.0.1:9001", UrlError::Colons),
            ("ws://::1:9001", UrlError::Colons),
            (" ws://127.0.0.1:9001", UrlError::Host),
            ("ws://127.0.0.1:0", UrlError::Port),
            ("ws://127.0.0.1:65536", UrlError::Port),
            ("ws://127.0.0.1:99999999999999999999", UrlError::Port),
            ("ws://127.0.0.1:-1", UrlError::Port),
            ("ws://127.0.0.1:+9001", UrlError::Port),
            ("ws://127.0.0.1:abc", UrlError::Port),
            ("ws://127.0.0.1:", UrlError::Port),
            ("ws://127.0.0.1:9001 ", UrlError::Port),
            ("ws://127.0.0.1:9001?x=1", UrlError::Port),
            ("ws://127.0.0.1?x=1", UrlError::Host),
            ("ws://good.example?@evil.example/", UrlError::Host),
            ("ws://good.example\\@evil.example/", UrlError::Host),
            ("ws://[::1]:", UrlError::Port),
            ("ws://[::1", UrlError::Host),
            ("ws://[]", UrlError::Host),
            ("ws://[::1]9001", UrlError::Host),
            ("ws://[127.0.0.1]:9001", UrlError::Host),
            ("ws://[a..b]:9001", UrlError::Host),
            ("ws://a b:9001", UrlError::Host),
            ("ws://127.0.0.1:9001/a\r\nX: y", UrlError::ControlCharacter),
            ("ws://127.0.0.1:9001/a\nb", UrlError::ControlCharacter),
            ("ws://127.0.0.1:9001/a\0", UrlError::ControlCharacter),
            ("ws://127.0.0.1:9001/\u{7f}", UrlError::ControlCharacter),
            ("ws://127.0.0.1:9001/#\t", UrlError::ControlCharacter),
            ("ws://a\rb@127.0.0.1:9001", UrlError::ControlCharacter),
            ("ws://a\nb:9001", UrlError::ControlCharacter),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_scheme_decides_the_default_port() {
        for (text, secure, port, header) in [
            ("ws://h", false, 80, "h"),
            ("h", false, 80, "h"),
            ("wss://h", true, 443, "h"),
            ("WSS://h:443", true, 443, "h"),
            ("ws://h:443", false, 443, "h:443"),
            ("wss://h:80", true, 80, "h:80"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.secure, url.port), (secure, port), "{text}");
            assert_eq!(url.host_header(), header, "{text}");
        }
    }

    #[test]
    fn only_a_literal_has_an_address() {
        let ip = |text| Url::parse(text).unwrap().ip();
        assert_eq!(ip("ws://127.0.0.1"), "127.0.0.1".parse().ok());
        assert_eq!(ip("ws://[::1]:9001"), "::1".parse().ok());
        assert_eq!(ip("ws://localhost"), None);
        assert_eq!(ip("ws://256.1.1.1"), None);
    }

    proptest! {
        #[test]
        fn no_text_gets_past_the_request_line(text in "(ws://)?[ -~é\r\n\0]{0,40}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert!(url.target.starts_with('/'));
                prop_assert!(url.target.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!url.host.is_empty() && url.port != 0);
                let host = url.host_header();
                prop_assert!(!host.contains(|c: char| c.is_control() || c.is_whitespace()));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Url::parse(&text);
        }
    }
}
