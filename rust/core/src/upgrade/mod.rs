//! The HTTP/1.1 upgrade to a WebSocket (RFC 6455 section 4): [`server`] judges requests and answers
//! them, [`client`] asks and judges the answer.
//!
//! Bytes in, values or bytes out: no sockets and no clocks are known here. Both readers want
//! everything received so far and scan each byte once, however small the pieces are in which it
//! arrives. Heads are taken strictly as RFC 9112 writes them: leniency towards line ends, folded
//! lines or blanks is what makes two parties of one connection see different requests.

mod allowed;
mod body;
pub mod client;
pub(crate) mod head;
mod request;
pub mod server;

pub use allowed::{check as check_allowed, set_origins, set_paths};
pub(crate) use body::Body;
pub use body::MAX_BODY;
pub use client::{Answer, AnswerError, AnswerReader};
pub use server::{Refusal, Request, RequestReader};

use crate::config::ConnectionConfig;

const HOST: &str = "Host";
const UPGRADE: &str = "Upgrade";
const CONNECTION: &str = "Connection";
const CONTENT_LENGTH: &str = "Content-Length";
const TRANSFER_ENCODING: &str = "Transfer-Encoding";
const KEY: &str = "Sec-WebSocket-Key";
const ACCEPT: &str = "Sec-WebSocket-Accept";
const VERSION: &str = "Sec-WebSocket-Version";
const PROTOCOL: &str = "Sec-WebSocket-Protocol";
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const ORIGIN: &str = "Origin";
const COOKIE: &str = "Cookie";
const RETRY_AFTER: &str = "Retry-After";

/// Sets the extra header lines, unless one of them would end its line early.
///
/// # Errors
/// The first entry that cannot be sent; the setting is kept.
pub fn set_headers(config: &mut ConnectionConfig, lines: Vec<String>) -> Result<(), HeaderError> {
    check_lines("handshake_headers", &lines)?;
    config.handshake_headers = lines;
    Ok(())
}

/// Sets the sub-protocols, without the white space around each, unless one of them would end its
/// line early. An empty one is let through: it can never be agreed upon, which the other side will
/// say.
///
/// # Errors
/// The first entry that cannot be sent; the setting is kept.
pub fn set_protocols(config: &mut ConnectionConfig, names: &[String]) -> Result<(), HeaderError> {
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    check_lines("supported_protocols", &names)?;
    config.supported_protocols = names;
    Ok(())
}

/// Checks the settings that become part of a head before they are used.
///
/// # Errors
/// The first entry that would end its line, or the head, early.
pub fn check_config(config: &ConnectionConfig) -> Result<(), HeaderError> {
    check_headers("handshake_headers", &config.handshake_headers)?;
    check_lines("supported_protocols", &config.supported_protocols)
}

/// Checks header lines that are about to be used; `property` is what the caller calls them.
///
/// # Errors
/// The first entry that would end its line, or the head, early.
pub(crate) fn check_headers(property: &'static str, lines: &[String]) -> Result<(), HeaderError> {
    check_lines(property, lines)?;
    match lines.iter().position(String::is_empty) {
        Some(index) => Err(HeaderError::Empty { property, index }),
        None => Ok(()),
    }
}

fn check_lines(property: &'static str, lines: &[String]) -> Result<(), HeaderError> {
    match lines.iter().position(|line| line.contains(['\r', '\n', '\0'])) {
        Some(index) => Err(HeaderError::LineBreak { property, index }),
        None => Ok(()),
    }
}

/// Why an entry of a setting cannot be part of a head. Its text is not shown, it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It would end its line early, so that the rest of it becomes a line of its own.
    #[error("entry {index} of {property} contains CR, LF or NUL")]
    LineBreak {
        /// The list.
        property: &'static str,
        /// Position in the list, from 0.
        index: usize,
    },
    /// It would end the head early.
    #[error("entry {index} of {property} is empty")]
    Empty {
        /// The list.
        property: &'static str,
        /// Position in the list, from 0.
        index: usize,
    },
    /// It is no path.
    #[error("entry {index} of allowed_paths must begin with `/` and have no query and no blank")]
    Path {
        /// Position in the list, from 0.
        index: usize,
    },
    /// It is no origin.
    #[error(
        "entry {index} of allowed_origins must be `scheme://host` or `scheme://host:port`, with \
         no slash at the end, or `null`"
    )]
    Origin {
        /// Position in the list, from 0.
        index: usize,
    },
}

/// Appends `text` and a line end to a head.
pub(crate) fn push_line(head: &mut Vec<u8>, text: &str) {
    head.extend_from_slice(text.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// Appends the line `name: value` to a head.
pub(crate) fn push_header(head: &mut Vec<u8>, name: &str, value: &str) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    push_line(head, value);
}

/// Values of all header lines of one name, in order.
fn values<'a>(
    headers: &'a [(String, String)],
    name: &str,
) -> impl DoubleEndedIterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// The value of a header that may stand in a head only once.
pub(crate) fn single<'a>(
    headers: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, Repeated> {
    let mut values = values(headers, name);
    let first = values.next();
    match values.next() {
        Some(_) => Err(Repeated),
        None => Ok(first),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

/// Elements of a header whose value is a list; several lines make one list and empty elements do
/// not count (RFC 9110 sections 5.3 and 5.6.1).
fn tokens<'a>(headers: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .map(|token| token.trim_matches([' ', '\t']))
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &[(String, String)], name: &str, token: &str) -> bool {
    tokens(headers, name).any(|other| other.eq_ignore_ascii_case(token))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::url::Url;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn check(headers: &[&str], protocols: &[&str]) -> Result<(), HeaderError> {
        check_config(&ConnectionConfig {
            handshake_headers: strings(headers),
            supported_protocols: strings(protocols),
            ..ConnectionConfig::default()
        })
    }

    #[test]
    fn header_lines_stay_one_line() {
        assert_eq!(check(&["A: b", "X-ü: é", "Cookie: a=b; c"], &[]), Ok(()));
        for bad in ["A: b\r\nC: d", "A: b\n", "A:\rb", "A: \0"] {
            let error = check(&["A: b", bad], &[]).unwrap_err();
            let property = "handshake_headers";
            assert_eq!(error, HeaderError::LineBreak { property, index: 1 }, "{bad:?}");
        }
        let property = "handshake_headers";
        assert_eq!(check(&["", "A: b"], &[]), Err(HeaderError::Empty { property, index: 0 }));
    }

    #[test]
    fn protocols_stay_on_their_line() {
        assert_eq!(check(&[], &["a", "", "graphql-ws"]), Ok(()));
        for bad in ["a\r\nC: d", "a\n", "\r", "a\0b"] {
            let error = check(&[], &["a", "b", bad]).unwrap_err();
            let property = "supported_protocols";
            assert_eq!(error, HeaderError::LineBreak { property, index: 2 }, "{bad:?}");
        }
    }

    #[test]
    fn an_error_shows_the_entry_but_not_its_text() {
        let error = check(&["Authorization: secret\n"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "entry 0 of handshake_headers contains CR, LF or NUL");
        assert!(!format!("{error:?}").contains("secret"));
    }

    #[test]
    fn several_lines_make_one_list() {
        let headers = [
            ("LIST".to_owned(), "a ,\tb".to_owned()),
            ("other".to_owned(), "x".to_owned()),
            ("list".to_owned(), ", ,c,".to_owned()),
        ];
        assert_eq!(tokens(&headers, "List").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(has_token(&headers, "List", "B"));
        assert!(!has_token(&headers, "List", "x"));
        assert_eq!(single(&headers, "List"), Err(Repeated));
        assert_eq!(single(&headers, "Other"), Ok(Some("x")));
        assert_eq!(single(&headers, "none"), Ok(None));
    }

    /// One client and one server, each with its sub-protocols: what both sides agree upon.
    fn pair(server: &[&str], client: &[&str]) -> Option<String> {
        let config = ConnectionConfig {
            supported_protocols: strings(client),
            ..ConnectionConfig::default()
        };
        let url = Url::parse("ws://[::1]:9001/x?y").unwrap();
        let key = client::new_key();
        let bytes = client::request(&url, &key, &config);

        let (request, len) = RequestReader::default().read(&bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        assert_eq!(request.requested_url(false), "ws://[::1]:9001/x?y");
        let chosen = server::choose_protocol(&request, &strings(server)).ok()?;

        let bytes = server::answer(&request, chosen.as_deref(), &[]);
        let (answer, len) = AnswerReader::default()
            .read(&bytes, &key, &config.supported_protocols)
            .unwrap()
            .unwrap();
        assert_eq!(len, bytes.len());
        assert_eq!(answer.protocol, chosen.unwrap_or_default());
        Some(answer.protocol)
    }

    #[test]
    fn both_sides_agree_on_the_sub_protocol() {
        for (server, client, agreed) in [
            (&[][..], &[][..], Some("")),
            (&["a"], &[], None),
            (&[], &["a"], None),
            (&["a"], &["a"], Some("a")),
            (&["a", "b"], &["b", "a"], Some("b")),
            (&["a"], &["b"], None),
            (&[""], &[""], None),
        ] {
            let result = pair(server, client);
            assert_eq!(result.as_deref(), agreed, "{server:?} {client:?}");
        }
    }
}
