//! Which requests and answers make a WebSocket: RFC 6455, section 4.

use super::head::{self, Head, trim};

/// What becomes of a request or an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate<T> {
    /// More bytes are needed.
    More,
    /// There will be no WebSocket.
    Refused,
    /// Frames follow.
    Accepted {
        /// Size of the head.
        len: usize,
        /// What was agreed on.
        terms: T,
    },
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query.
    pub target: String,
    /// The `Host` header.
    pub host: String,
    /// The key, to which the answer must fit.
    pub key: String,
    /// The sub-protocols offered; none if there is no such header.
    pub protocols: Option<Vec<String>>,
}

/// Judges a request, but for its sub-protocols.
#[must_use]
pub fn request(bytes: &[u8]) -> Fate<Request> {
    match head::read(bytes) {
        Head::More => Fate::More,
        Head::Bad => Fate::Refused,
        Head::Whole { len, start, fields } => match request_terms(start, &Fields(fields)) {
            Some(terms) => Fate::Accepted { len, terms },
            None => Fate::Refused,
        },
    }
}

fn request_terms(start: &[u8], fields: &Fields<'_>) -> Option<Request> {
    let target = start.strip_prefix(b"GET ")?.strip_suffix(b" HTTP/1.1")?;
    if target.is_empty() || target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return None;
    }
    let host = fields.only("Host")?;
    let has_body = fields.all("Transfer-Encoding").next().is_some()
        || fields.all("Content-Length").any(|length| length != b"0");
    if host.is_empty() || has_body {
        return None;
    }
    let (host, target) = whole_url(str::from_utf8(target).ok()?)
        .unwrap_or_else(|| (text(host), str::from_utf8(target).unwrap_or_default().to_owned()));
    if !target.starts_with('/') {
        return None;
    }
    let key = fields.only("Sec-WebSocket-Key")?;
    let is_good = fields.lists("Upgrade", "websocket")
        && fields.lists("Connection", "upgrade")
        && fields.only("Sec-WebSocket-Version")? == b"13"
        && is_key(key);
    let offers = fields.all("Sec-WebSocket-Protocol").next().is_some();
    if !is_good {
        return None;
    }
    Some(Request {
        target,
        host,
        key: text(key),
        protocols: offers.then(|| fields.list("Sec-WebSocket-Protocol").map(text).collect()),
    })
}

/// Host and path of a target that is a URL of the web.
fn whole_url(target: &str) -> Option<(String, String)> {
    let lower = target.to_ascii_lowercase();
    let schemes = ["http://", "https://", "ws://", "wss://"];
    let scheme = schemes.into_iter().find(|scheme| lower.starts_with(scheme))?;
    let rest = &target[scheme.len()..];
    let end = rest.bytes().position(|byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    let path = if rest[end..].starts_with('/') {
        rest[end..].into()
    } else {
        format!("/{}", &rest[end..])
    };
    (end > 0).then(|| (rest[..end].to_owned(), path))
}

/// The sub-protocol that a server which knows `supported` agrees to: an empty one where neither side
/// names any. `None` if it must not agree.
#[must_use]
pub fn choose<'a>(request: &'a Request, supported: &[String]) -> Option<&'a str> {
    match &request.protocols {
        None if supported.is_empty() => Some(""),
        None => None,
        Some(offered) => offered.iter().find(|name| supported.contains(name)).map(String::as_str),
    }
}

/// Judges the answer to a request whose key leads to `accept` and that offered `protocols`. What was
/// agreed on is the sub-protocol.
#[must_use]
pub fn answer(bytes: &[u8], accept: &str, protocols: &[String]) -> Fate<String> {
    let mut at = 0;
    loop {
        return match head::read_behind(bytes, at) {
            Head::More => Fate::More,
            Head::Bad => Fate::Refused,
            Head::Whole { len, start, .. } if is_interim(start) => {
                at += len;
                continue;
            }
            Head::Whole { len, start, fields } => {
                match answer_terms(start, &Fields(fields), accept, protocols) {
                    Some(terms) => Fate::Accepted { len: at + len, terms },
                    None => Fate::Refused,
                }
            }
        };
    }
}

/// Whether a status line is that of an answer before the one that counts.
fn is_interim(start: &[u8]) -> bool {
    let Some(rest) = start.strip_prefix(b"HTTP/1.1 1") else { return false };
    let (digits, reason) = rest.split_at(rest.len().min(2));
    digits.len() == 2
        && digits.iter().all(u8::is_ascii_digit)
        && digits != b"01"
        && (reason.is_empty() || reason.starts_with(b" "))
}

fn answer_terms(
    start: &[u8],
    fields: &Fields<'_>,
    accept: &str,
    protocols: &[String],
) -> Option<String> {
    let reason = start.strip_prefix(b"HTTP/1.1 101")?;
    let is_good = (reason.is_empty() || reason.starts_with(b" "))
        && fields.only("Upgrade")?.eq_ignore_ascii_case(b"websocket")
        && fields.lists("Connection", "upgrade")
        && fields.only("Sec-WebSocket-Accept")? == accept.as_bytes()
        && fields.all("Sec-WebSocket-Extensions").next().is_none();
    let named: Vec<&[u8]> = fields.all("Sec-WebSocket-Protocol").collect();
    match named.as_slice() {
        _ if !is_good => None,
        [] if protocols.is_empty() => Some(String::new()),
        [name] if !name.is_empty() => protocols.iter().find(|p| p.as_bytes() == *name).cloned(),
        _ => None,
    }
}

/// Header lines.
struct Fields<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Fields<'a> {
    /// The values of a header, line by line.
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|field| field.1)
    }

    /// The value of a header that must stand there once.
    fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// The elements of a header that is a list.
    fn list(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let elements = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        elements.map(trim).filter(|element| !element.is_empty())
    }

    fn lists(&self, name: &str, element: &str) -> bool {
        self.list(name).any(|other| other.eq_ignore_ascii_case(element.as_bytes()))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a key is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key[..22].iter().all(is_digit) && &key[22..] == b"=="
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\n";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    /// The examples of RFC 6455, section 1.2.
    #[test]
    fn the_examples_of_the_rfc_are_accepted() {
        let Fate::Accepted { len, terms } = request(REQUEST.as_bytes()) else { panic!() };
        assert_eq!((len, terms.target.as_str()), (REQUEST.len(), "/chat"));
        assert_eq!(terms.host, "server.example.com");
        let chat = ["chat".to_owned()];
        assert_eq!(choose(&terms, &chat), Some("chat"));
        assert_eq!(choose(&terms, &[]), None);
        let fate = answer(ANSWER.as_bytes(), ACCEPT, &chat);
        assert_eq!(fate, Fate::Accepted { len: ANSWER.len(), terms: "chat".to_owned() });
        assert_eq!(answer(ANSWER.as_bytes(), ACCEPT, &[]), Fate::Refused);
        assert_eq!(answer(ANSWER.as_bytes(), "x", &chat), Fate::Refused);
    }

    #[test]
    fn a_part_is_not_enough_and_a_wrong_byte_too_much() {
        for at in 0..REQUEST.len() {
            assert_eq!(request(&REQUEST.as_bytes()[..at]), Fate::More, "{at}");
            let mut wrong = REQUEST.as_bytes().to_vec();
            wrong[at] = 0;
            assert_eq!(request(&wrong), Fate::Refused, "{at}");
        }
    }
}
