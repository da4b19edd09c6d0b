//! The client's side: makes the request (RFC 6455 section 4.1), reads and judges the answer.

use tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::body::Body;
use super::head::{AnswerHead, HeadError, HeadFinder};
use super::{
    ACCEPT, CONNECTION, EXTENSIONS, HOST, KEY, PROTOCOL, UPGRADE, VERSION, has_token, push_header,
    push_line, single, values,
};
use crate::config::{ConnectionConfig, MAX_HEAD_SIZE};
use crate::url::Url;

/// A fresh `Sec-WebSocket-Key`: 16 random bytes in base64.
pub fn new_key() -> String {
    generate_key()
}

/// The bytes that ask for the upgrade.
///
/// The config's sub-protocols and header lines were checked when they were set, by
/// [`check_config`](super::check_config).
pub fn request(url: &Url, key: &str, config: &ConnectionConfig) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    push_line(&mut head, &format!("GET {} HTTP/1.1", url.target));
    push_header(&mut head, HOST, &url.host_header());
    push_header(&mut head, UPGRADE, "websocket");
    push_header(&mut head, CONNECTION, "Upgrade");
    push_header(&mut head, KEY, key);
    push_header(&mut head, VERSION, "13");
    if !config.supported_protocols.is_empty() {
        push_header(&mut head, PROTOCOL, &config.supported_protocols.join(","));
    }
    for line in &config.handshake_headers {
        push_line(&mut head, line);
    }
    push_line(&mut head, "");
    head
}

/// What the server agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The sub-protocol, or an empty string if none was asked for.
    pub protocol: String,
}

impl Answer {
    /// Judges a complete head.
    fn from_head(head: &AnswerHead, key: &str, protocols: &[String]) -> Result<Self, AnswerError> {
        let headers = &head.headers;
        // Redirects and requests for credentials are not followed; RFC 6455 section 4.1 leaves the
        // choice to the client.
        if head.status != 101 {
            return Err(AnswerError::Status(head.status));
        }
        if head.minor_version != 1 {
            return Err(AnswerError::Version);
        }
        // One value here, but a list in Connection: RFC 6455 section 4.1.
        match single(headers, UPGRADE) {
            Ok(Some(value)) if value.eq_ignore_ascii_case("websocket") => {}
            _ => return Err(AnswerError::Upgrade),
        }
        if !has_token(headers, CONNECTION, "upgrade") {
            return Err(AnswerError::Connection);
        }
        match single(headers, ACCEPT) {
            Ok(Some(value)) if value == derive_accept_key(key.as_bytes()) => {}
            _ => return Err(AnswerError::Accept),
        }
        if values(headers, EXTENSIONS).next().is_some() {
            return Err(AnswerError::Extensions);
        }
        let protocol = match single(headers, PROTOCOL) {
            Ok(None) if protocols.is_empty() => String::new(),
            Ok(None) => return Err(AnswerError::NoProtocol),
            // An empty name is no sub-protocol, even if it was asked for.
            Ok(Some(name)) if !name.is_empty() && protocols.iter().any(|asked| asked == name) => {
                name.to_owned()
            }
            _ => return Err(AnswerError::Protocol),
        };
        Ok(Self { protocol })
    }
}

/// Reads the answer from bytes that trickle in.
#[derive(Debug, Default)]
pub struct AnswerReader {
    finder: HeadFinder,
    /// Bytes of answers before the one that counts.
    skipped: usize,
    refusal: Option<(Body, usize)>,
}

impl AnswerReader {
    /// Looks at `buf`, which is everything received so far and only grows from call to call. `key`
    /// and `protocols` are those of the request.
    ///
    /// `Ok(None)`: more bytes are needed. Otherwise the answer and the length of its head; the
    /// bytes behind it are frames already.
    pub fn read(
        &mut self,
        buf: &[u8],
        key: &str,
        protocols: &[String],
    ) -> Result<Option<(Answer, usize)>, AnswerError> {
        let (head, len) = loop {
            let Some(len) = self.finder.find(&buf[self.skipped..])? else {
                return Ok(None);
            };
            let end = self.skipped + len;
            let head = AnswerHead::parse(&buf[self.skipped..end])?;
            if !is_interim(&head) {
                break (head, end);
            }
            self.skipped = end;
            self.finder = HeadFinder::new(MAX_HEAD_SIZE.saturating_sub(end));
        };
        let answer = Answer::from_head(&head, key, protocols);
        if let Err(AnswerError::Status(_)) = answer {
            self.refusal = Some((Body::of(&head), len));
        }
        Ok(Some((answer?, len)))
    }

    /// What follows the head of an answer with another status than 101, and that head's length.
    pub(crate) fn take_refusal(&mut self) -> Option<(Body, usize)> {
        self.refusal.take()
    }
}

/// Whether another answer follows: RFC 9110, section 15.2.
fn is_interim(head: &AnswerHead) -> bool {
    head.minor_version == 1 && head.status != 101 && (100..200).contains(&head.status)
}

/// Why an answer is not the one that was asked for. Nothing that the server sent is repeated in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not an HTTP/1.x head.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// More bytes than a head may have.
    #[error("the answer's head is too large")]
    TooLarge,
    /// More header lines than a head may have.
    #[error("the answer has too many header lines")]
    TooManyHeaders,
    /// The server refused the upgrade, or is not a WebSocket server.
    #[error("the server answered with HTTP status {0} instead of 101")]
    Status(u16),
    /// HTTP/1.0.
    #[error("the answer's version is not HTTP/1.1")]
    Version,
    /// No `Upgrade` header, or another value than `websocket`.
    #[error("the answer's Upgrade header is missing or not \"websocket\"")]
    Upgrade,
    /// No `Connection` header, or one that does not list `Upgrade`.
    #[error("the answer's Connection header is missing or lacks \"Upgrade\"")]
    Connection,
    /// The server did not read this request's key; perhaps a cache answered.
    #[error("the answer's Sec-WebSocket-Accept header is missing, repeated or wrong")]
    Accept,
    /// An extension, though none was offered.
    #[error("the answer names an extension that was not asked for")]
    Extensions,
    /// No sub-protocol, though some were offered.
    #[error("the answer names no sub-protocol, but some were asked for")]
    NoProtocol,
    /// A sub-protocol that was not offered, or several.
    #[error("the answer names a sub-protocol that was not asked for")]
    Protocol,
}

impl AnswerError {
    /// HTTP status of an answer that refused the upgrade.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }
}

impl From<HeadError> for AnswerError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed(what) => Self::Malformed(what),
            HeadError::TooLarge => Self::TooLarge,
            HeadError::TooManyHeaders => Self::TooManyHeaders,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::MAX_HEADERS;

    const START: &str = "HTTP/1.1 101 Switching Protocols";
    const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const UP: &str = "Upgrade: websocket";
    const CON: &str = "Connection: Upgrade";
    const ACC: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn head(start: &str, lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_line(&mut bytes, start);
        lines.iter().for_each(|line| push_line(&mut bytes, line));
        push_line(&mut bytes, "");
        bytes
    }

    /// Reads an answer that a frame follows.
    fn read(head: &[u8], protocols: &[&str]) -> Result<String, AnswerError> {
        let bytes = [head, &[0x82, 0x04, 7, 0, 0, 0]].concat();
        let outcome = AnswerReader::default().read(&bytes, SAMPLE_KEY, &strings(protocols));
        let (answer, len) = outcome?.unwrap();
        assert_eq!(len, head.len());
        Ok(answer.protocol)
    }

    fn request_text(url: &str, config: &ConnectionConfig) -> String {
        let url = Url::parse(url).unwrap();
        String::from_utf8(request(&url, SAMPLE_KEY, config)).unwrap()
    }

    #[test]
    fn the_request_is_sent_in_this_order() {
        let text = request_text("ws://127.0.0.1:9001", &ConnectionConfig::default());
        assert_eq!(
            text,
            "GET / HTTP/1.1\r\n\
             Host: 127.0.0.1:9001\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
    }

    #[test]
    fn the_request_ends_with_protocols_and_extra_headers() {
        let config = ConnectionConfig {
            supported_protocols: strings(&["alpha", "beta"]),
            handshake_headers: strings(&["X-One: 1", "User-Agent: probe", "X-ü: é"]),
            ..ConnectionConfig::default()
        };
        assert_eq!(
            request_text("ws://127.0.0.1:9001/p?q=1", &config),
            "GET /p?q=1 HTTP/1.1\r\n\
             Host: 127.0.0.1:9001\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: alpha,beta\r\n\
             X-One: 1\r\n\
             User-Agent: probe\r\n\
             X-ü: é\r\n\r\n"
        );
    }

    #[test]
    fn an_ipv6_host_has_brackets() {
        let text = request_text("ws://[::1]:9001/x", &ConnectionConfig::default());
        assert!(text.starts_with("GET /x HTTP/1.1\r\nHost: [::1]:9001\r\nUpgrade:"));
    }

    #[test]
    fn every_key_is_new() {
        let (a, b) = (new_key(), new_key());
        assert_ne!(a, b);
        // 16 bytes in base64
        assert_eq!((a.len(), a.find('=')), (24, Some(22)));
    }

    #[test]
    #[rustfmt::skip] // one case per line
    fn answers_that_are_accepted() {
        let connection = |line| head(START, &[UP, line, ACC]);
        let large = format!("X: {}", "a".repeat(5000));
        let two: &[&str] = &["a", "b"];
        for (name, bytes, protocols, agreed) in [
            ("ok", head(START, &[UP, CON, ACC]), &[][..], ""),
            ("reason_absent", head("HTTP/1.1 101", &[UP, CON, ACC]), &[], ""),
            ("reason_empty", head("HTTP/1.1 101 ", &[UP, CON, ACC]), &[], ""),
            ("case", head(START, &["UPGRADE: WebSocket", "connection: upgrade", ACC]), &[], ""),
            ("connection_list", connection("Connection: Upgrade, keep-alive"), &[], ""),
            ("connection_list_last", connection("Connection: keep-alive, Upgrade"), &[], ""),
            ("header_5000", head(START, &[UP, CON, ACC, &large]), &[], ""),
            ("header_empty_value", head(START, &["X:", UP, CON, ACC]), &[], ""),
            ("protocol_b", head(START, &[UP, CON, ACC, "Sec-WebSocket-Protocol: b"]), two, "b"),
        ] {
            assert_eq!(read(&bytes, protocols).as_deref(), Ok(agreed), "{name}");
        }
    }

    #[test]
    #[rustfmt::skip] // one case per line
    fn answers_that_are_refused() {
        use AnswerError::*;

        let all = [UP, CON, ACC];
        let plus = |line| head(START, &[UP, CON, ACC, line]);
        let huge = format!("X: {}", "a".repeat(MAX_HEAD_SIZE));
        let many = head(START, &[&all[..], &["X: y"; MAX_HEADERS][..]].concat());
        let bad_accept = "Sec-WebSocket-Accept: AAAA";
        let extension = "Sec-WebSocket-Extensions: permessage-deflate";
        let a = "Sec-WebSocket-Protocol: a";
        let two: &[&str] = &["a", "b"];
        for (name, bytes, protocols, error) in [
            ("status_200", head("HTTP/1.1 200 OK", &all), &[][..], Status(200)),
            ("status_301", head("HTTP/1.1 301 Moved", &["Location: ws://h/"]), &[], Status(301)),
            ("status_426", head("HTTP/1.1 426 Upgrade Required", &[]), &[], Status(426)),
            ("http10", head("HTTP/1.0 101 S", &all), &[], Version),
            ("no_upgrade", head(START, &["X: y", CON, ACC]), &[], Upgrade),
            ("upgrade_list", head(START, &["Upgrade: websocket, h2c", CON, ACC]), &[], Upgrade),
            ("upgrade_dup", plus(UP), &[], Upgrade),
            ("no_connection", head(START, &[UP, "X: y", ACC]), &[], Connection),
            ("connection_close", head(START, &[UP, "Connection: close", ACC]), &[], Connection),
            ("bad_accept", head(START, &[UP, CON, bad_accept]), &[], Accept),
            ("no_accept", head(START, &[UP, CON, "X: y"]), &[], Accept),
            ("accept_dup", plus(ACC), &[], Accept),
            ("two_lines_only", head(START, &[UP]), &[], Connection),
            ("extension_forced", plus(extension), &[], Extensions),
            ("unrequested_protocol", plus(a), &[], Protocol),
            ("unrequested_empty_protocol", plus("Sec-WebSocket-Protocol:"), &[], Protocol),
            ("protocol_missing", head(START, &all), two, NoProtocol),
            ("protocol_other", plus("Sec-WebSocket-Protocol: c"), two, Protocol),
            ("protocol_case", plus("Sec-WebSocket-Protocol: B"), two, Protocol),
            ("protocol_list", plus("Sec-WebSocket-Protocol: a, b"), two, Protocol),
            ("protocol_dup", head(START, &[UP, CON, ACC, a, a]), two, Protocol),
            ("protocol_empty", plus("Sec-WebSocket-Protocol:"), &[""], Protocol),
            ("header_no_colon", plus("garbage"), &[], Malformed("invalid header name")),
            ("garbage", b"hello\r\n\r\n".to_vec(), &[], Malformed("invalid start line")),
            ("header_huge", plus(&huge), &[], TooLarge),
            ("many_headers", many, &[], TooManyHeaders),
        ] {
            assert_eq!(read(&bytes, protocols), Err(error), "{name}");
        }
    }

    #[test]
    fn a_bare_lf_is_refused_at_once() {
        let read = |bytes: &[u8]| AnswerReader::default().read(bytes, SAMPLE_KEY, &[]);
        assert_eq!(read(b"HTTP/1.1 101\r"), Ok(None));
        assert_eq!(read(b"HTTP/1.1 101\n"), Err(AnswerError::Malformed("LF without CR")));
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let early = head("HTTP/1.1 103 Early Hints", &["Link: </a>"]);
        let all = [UP, CON, ACC];
        let answer = [early.clone(), early.clone(), head(START, &all)].concat();
        assert_eq!(read(&answer, &[]), Ok(String::new()));
        let old = head("HTTP/1.0 103 Early Hints", &[]);
        assert_eq!(read(&[old, head(START, &all)].concat(), &[]), Err(AnswerError::Status(103)));
        // They count for the size of the head.
        let endless = early.repeat(MAX_HEAD_SIZE / early.len() + 1);
        assert_eq!(read(&endless, &[]), Err(AnswerError::TooLarge));
        // A refusal behind one has its body where it is.
        let body = [early, head("HTTP/1.1 403 Forbidden", &["Content-Length: 2"])].concat();
        let mut reader = AnswerReader::default();
        let refused = reader.read(&[&body[..], b"no"].concat(), SAMPLE_KEY, &[]);
        assert_eq!(refused, Err(AnswerError::Status(403)));
        assert_eq!(reader.take_refusal(), Some((Body::Sized(2), body.len())));
    }

    #[test]
    fn the_status_of_a_refusal_is_known() {
        let refused = read(&head("HTTP/1.1 503 Busy", &[]), &[]).unwrap_err();
        assert_eq!(refused.status(), Some(503));
        assert_eq!(AnswerError::Accept.status(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = AnswerReader::default().read(&bytes, SAMPLE_KEY, &[]);
        }

        #[test]
        fn no_change_of_an_answer_panics(at in 0..140usize, bytes in any::<Vec<u8>>()) {
            let mut answer = head(START, &[UP, CON, ACC]);
            let at = at.min(answer.len());
            answer.splice(at..(at + bytes.len()).min(answer.len()), bytes);
            let _ = AnswerReader::default().read(&answer, SAMPLE_KEY, &[]);
        }

        #[test]
        fn pieces_do_not_matter(mut cuts in prop::collection::vec(0..180usize, 0..8)) {
            let bytes = head(START, &[UP, CON, ACC, "Sec-WebSocket-Protocol: b"]);
            let protocols = strings(&["a", "b"]);
            cuts.retain(|&cut| cut < bytes.len());
            cuts.sort_unstable();
            let mut reader = AnswerReader::default();
            for cut in cuts {
                prop_assert_eq!(reader.read(&bytes[..cut], SAMPLE_KEY, &protocols), Ok(None));
            }
            let whole = AnswerReader::default().read(&bytes, SAMPLE_KEY, &protocols);
            prop_assert!(matches!(whole, Ok(Some(_))));
            prop_assert_eq!(reader.read(&bytes, SAMPLE_KEY, &protocols), whole);
        }
    }
}
