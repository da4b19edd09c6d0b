//! The server's side: reads and judges the request (RFC 6455 section 4.2), makes the answer.

use std::time::Duration;

use tungstenite::handshake::derive_accept_key;

use super::head::{HeadError, HeadFinder, RequestHead, whole_url};
use super::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, KEY, PROTOCOL, RETRY_AFTER, TRANSFER_ENCODING,
    UPGRADE, VERSION, has_token, push_header, push_line, single, tokens, values,
};

/// An upgrade request that is well-formed and asks for the version spoken here. Its sub-protocols
/// are still to be judged, by [`choose_protocol`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The request line's second word: path and query.
    pub target: String,
    /// Value of the `Host` header; one that was read is never empty.
    pub host: String,
    /// All header lines, names as sent. Bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// Sub-protocols offered, in the client's order of preference.
    pub protocols: Vec<String>,
    key: String,
}

impl Request {
    /// Value of the first header line of that name; the case of the name does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next()
    }

    /// Values of all header lines of that name, in order; the case of the name does not matter.
    pub fn header_values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        values(&self.headers, name)
    }

    /// The target without its query, as it was sent.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The URL that the client asked for, as far as a server can know it.
    pub fn requested_url(&self, secure: bool) -> String {
        let scheme = if secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.host, self.target)
    }

    /// Judges a complete head.
    fn from_head(head: RequestHead) -> Result<Self, Refusal> {
        let RequestHead { method, target, minor_version, headers } = head;

        if method != "GET" {
            return Err(Refusal::new(405, "the method must be GET"));
        }
        // Not 505: that is for a major version not spoken here (RFC 9110 section 15.6.6).
        if minor_version != 1 {
            return Err(Refusal::new(400, "the version must be HTTP/1.1"));
        }
        let host = match single(&headers, HOST) {
            Ok(Some(host)) if !host.is_empty() => host.to_owned(),
            _ => return Err(Refusal::new(400, "one Host header is needed")),
        };
        let Some((host, target)) = origin_form(host, target) else {
            return Err(Refusal::new(400, "the target must be a path"));
        };
        // Whoever counts bytes as a body would see other frames behind the head.
        let has_body = values(&headers, TRANSFER_ENCODING).next().is_some()
            || values(&headers, CONTENT_LENGTH).any(|length| length != "0");
        if has_body {
            return Err(Refusal::new(400, "an upgrade request has no body"));
        }
        if !has_token(&headers, UPGRADE, "websocket") {
            return Err(Refusal::new(426, "this is a WebSocket server"));
        }
        if !has_token(&headers, CONNECTION, "upgrade") {
            return Err(Refusal::new(400, "the Connection header lacks \"Upgrade\""));
        }
        match single(&headers, VERSION) {
            Ok(Some("13")) => {}
            // RFC 6455 section 4.4: say which version would do.
            Ok(_) => return Err(Refusal::new(426, "the WebSocket version must be 13")),
            Err(_) => return Err(Refusal::new(400, "repeated Sec-WebSocket-Version header")),
        }
        let key = match single(&headers, KEY) {
            Ok(Some(key)) if is_key(key) => key.to_owned(),
            Ok(_) => return Err(Refusal::new(400, "invalid Sec-WebSocket-Key header")),
            Err(_) => return Err(Refusal::new(400, "repeated Sec-WebSocket-Key header")),
        };
        let protocols = tokens(&headers, PROTOCOL).map(str::to_owned).collect();

        Ok(Self { target, host, headers, protocols, key })
    }
}

/// Reads one upgrade request from bytes that trickle in.
#[derive(Debug, Default)]
pub struct RequestReader {
    finder: HeadFinder,
}

impl RequestReader {
    /// For a request whose head has up to `max_size` bytes. Default: [`MAX_HEAD_SIZE`].
    ///
    /// [`MAX_HEAD_SIZE`]: crate::config::MAX_HEAD_SIZE
    pub fn new(max_size: usize) -> Self {
        Self { finder: HeadFinder::new(max_size) }
    }

    /// Looks at `buf`, which is everything received so far and only grows from call to call.
    ///
    /// `Ok(None)`: more bytes are needed. Otherwise the request and the length of its head; the
    /// bytes behind it are frames already.
    pub fn read(&mut self, buf: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
        let Some(len) = self.finder.find(buf)? else {
            return Ok(None);
        };
        let head = RequestHead::parse(&buf[..len])?;
        Ok(Some((Request::from_head(head)?, len)))
    }
}

/// The first sub-protocol of the client's list that is `supported`.
///
/// `Ok(None)` only if neither side named any. If one did, the other has to agree: a game that
/// wants a sub-protocol cannot talk to one that does not know it. A header with an empty list
/// names something, too.
pub fn choose_protocol(request: &Request, supported: &[String]) -> Result<Option<String>, Refusal> {
    if supported.is_empty() && request.header(PROTOCOL).is_none() {
        return Ok(None);
    }
    match request.protocols.iter().find(|offered| supported.contains(offered)) {
        Some(chosen) => Ok(Some(chosen.clone())),
        None => Err(Refusal { silent: true, ..Refusal::new(400, "no common sub-protocol") }),
    }
}

/// The bytes that accept a request (RFC 6455 section 4.2.2). Extensions are never accepted.
///
/// `headers` are extra lines, checked by [`check_config`](super::check_config) when they were
/// set.
pub fn answer(request: &Request, protocol: Option<&str>, headers: &[String]) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    push_line(&mut head, "HTTP/1.1 101 Switching Protocols");
    push_header(&mut head, UPGRADE, "websocket");
    push_header(&mut head, CONNECTION, "Upgrade");
    push_header(&mut head, ACCEPT, &derive_accept_key(request.key.as_bytes()));
    if let Some(protocol) = protocol {
        push_header(&mut head, PROTOCOL, protocol);
    }
    for line in headers {
        push_line(&mut head, line);
    }
    push_line(&mut head, "");
    head
}

/// Why a request is not accepted. Nothing that the client sent is repeated in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (HTTP status {status})")]
pub struct Refusal {
    /// HTTP status of the answer.
    pub status: u16,
    /// What was wrong, in a few words, for the answer's body and the log.
    pub reason: String,
    /// Not worth an error line in the log: both sides are sound, they just do not fit.
    pub silent: bool,
    /// The server is going, in so many seconds.
    pub departure: Option<u64>,
}

impl Refusal {
    /// A refusal that is logged.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), silent: false, departure: None }
    }

    /// By a server that is going when `time_left` is over.
    pub fn departure(time_left: Duration) -> Self {
        // Not sooner than another one can be there; 0 would make them come again at once.
        let seconds = time_left.as_secs() + u64::from(time_left.subsec_nanos() > 0);
        let departure = Some(seconds.max(1));
        Self { departure, ..Self::new(503, "the server is going down") }
    }

    /// The whole HTTP answer. The connection is to be closed behind it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = if self.reason.is_empty() { reason_phrase(self.status) } else { &self.reason };
        let body = format!("{text}\n");
        let mut bytes = Vec::with_capacity(256);
        let status_line = format!("HTTP/1.1 {} {}", self.status, reason_phrase(self.status));
        push_line(&mut bytes, &status_line);
        match self.status {
            // RFC 9110 section 15.5.2
            401 => push_header(&mut bytes, "WWW-Authenticate", "Bearer"),
            405 => push_header(&mut bytes, "Allow", "GET"),
            // RFC 9110 section 15.5.22 and RFC 6455 section 4.4
            426 => {
                push_header(&mut bytes, UPGRADE, "websocket");
                push_header(&mut bytes, VERSION, "13");
            }
            // A connection more is allowed within a second.
            429 => push_header(&mut bytes, RETRY_AFTER, "1"),
            // A place is free when somebody leaves: nobody who waits for one minds 5 seconds, and
            // a crowd that asks so seldom costs next to nothing.
            503 => {
                let seconds = self.departure.unwrap_or(5);
                push_header(&mut bytes, RETRY_AFTER, &seconds.to_string());
            }
            _ => {}
        }
        // Who sends Upgrade has to name it in Connection (RFC 9110 section 7.8).
        let connection = if self.status == 426 { "Upgrade, close" } else { "close" };
        push_header(&mut bytes, CONNECTION, connection);
        push_header(&mut bytes, "Content-Type", "text/plain; charset=utf-8");
        push_header(&mut bytes, CONTENT_LENGTH, &body.len().to_string());
        push_line(&mut bytes, "");
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed(what) => Self::new(400, what),
            HeadError::TooLarge => Self::new(431, "the head is too large"),
            HeadError::TooManyHeaders => Self::new(431, "too many header lines"),
        }
    }
}

/// Host and path of what is asked for. The target mostly is a path with a query; where it is a whole
/// URL, its host counts (RFC 9112, section 3.2.2).
fn origin_form(host: String, target: String) -> Option<(String, String)> {
    if target.starts_with('/') {
        return Some((host, target));
    }
    let (scheme, host, path) = whole_url(&target)?;
    let is_web = ["http", "https", "ws", "wss"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let slash = if path.starts_with('/') { "" } else { "/" };
    (is_web && !host.is_empty()).then(|| (host.to_owned(), format!("{slash}{path}")))
}

/// Whether a key is the base64 form of 16 bytes (RFC 6455 section 4.2.1): 22 digits and padding.
/// The last digit's unused bits may be anything (RFC 4648 section 3.5).
fn is_key(key: &str) -> bool {
    let digits = key.strip_suffix("==").unwrap_or_default().as_bytes();
    digits.len() == 22
        && digits.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// The words of a status, for the eye.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        426 => "Upgrade Required",
        // RFC 6585, as 431.
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Refused",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{MAX_HEAD_SIZE, MAX_HEADERS};

    const START: &str = "GET / HTTP/1.1";
    const BASE: [&str; 5] = [
        "Host: 127.0.0.1:9001",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn head(start: &str, lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_line(&mut bytes, start);
        lines.iter().for_each(|line| push_line(&mut bytes, line));
        push_line(&mut bytes, "");
        bytes
    }

    /// The standard request with one line less.
    fn without(index: usize) -> Vec<u8> {
        let mut lines = BASE.to_vec();
        lines.remove(index);
        head(START, &lines)
    }

    /// The standard request with one line exchanged.
    fn with(index: usize, line: &str) -> Vec<u8> {
        let mut lines = BASE.to_vec();
        lines[index] = line;
        head(START, &lines)
    }

    /// The standard request with one line more.
    fn plus(line: &str) -> Vec<u8> {
        head(START, &[&BASE[..], &[line]].concat())
    }

    fn start(line: &str) -> Vec<u8> {
        head(line, &BASE)
    }

    fn read(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
        RequestReader::default().read(bytes)
    }

    fn accepted(bytes: &[u8]) -> Request {
        let (request, len) = read(bytes).unwrap().unwrap();
        assert_eq!(len, bytes.len());
        request
    }

    /// Status of the answer to a request without extra headers, and to a server without
    /// sub-protocols.
    fn status(bytes: &[u8]) -> u16 {
        match read(bytes) {
            Ok(Some(_)) => 101,
            Ok(None) => 0,
            Err(refusal) => {
                assert!(!refusal.silent);
                refusal.status
            }
        }
    }

    #[test]
    #[rustfmt::skip] // one case per line
    fn requests_that_are_accepted() {
        let large = format!("X: {}", "a".repeat(3800));
        let larger = format!("X: {}", "a".repeat(5000));
        for (name, bytes) in [
            ("ok", start(START)),
            ("upgrade_case", with(1, "UPGRADE: WebSocket")),
            ("upgrade_list", with(1, "Upgrade: websocket, h2c")),
            ("upgrade_list_last", with(1, "Upgrade: foo, websocket")),
            ("upgrade_two_lines", plus("Upgrade: h2c")),
            ("connection_list", with(2, "Connection: keep-alive, Upgrade")),
            ("connection_two_lines", plus("Connection: keep-alive")),
            ("path_query", start("GET /a/b?c=d HTTP/1.1")),
            ("raw_utf8_path", start("GET /\u{e9} HTTP/1.1")),
            ("host_ipv6_without_brackets", with(0, "Host: ::1:9001")),
            ("whole_url", start("GET http://other/ HTTP/1.1")),
            ("no_body", plus("Content-Length: 0")),
            ("origin_any", plus("Origin: http://evil.example")),
            ("extensions_offered", plus("Sec-WebSocket-Extensions: permessage-deflate")),
            ("header_empty_value", plus("X:")),
            ("header_blank_value", plus("X: ")),
            ("header_utf8_value", plus("X: \u{fc}")),
            ("header_4000", plus(&large)),
            ("header_5000", plus(&larger)),
        ] {
            let request = accepted(&bytes);
            let answer = answer(&request, None, &[]);
            assert_eq!(answer, format!("{SWITCHING}\r\n").as_bytes(), "{name}");
        }
    }

    #[test]
    fn a_whole_url_stands_for_its_host_and_path() {
        for (target, host, path) in [
            ("HTTP://Game.example:80/a?b", "Game.example:80", "/a?b"),
            ("wss://[::1]", "[::1]", "/"),
            ("http://h?a=/b", "h", "/?a=/b"),
        ] {
            let request = accepted(&start(&format!("GET {target} HTTP/1.1")));
            assert_eq!((request.host.as_str(), request.target.as_str()), (host, path));
        }
    }

    #[test]
    #[rustfmt::skip] // one case per line
    fn requests_that_are_refused() {
        let huge = format!("X: {}", "a".repeat(MAX_HEAD_SIZE));
        let many = head(START, &[&BASE[..], &["X: y"; MAX_HEADERS][..]].concat());
        for (name, bytes, expected) in [
            ("no_host", without(0), 400),
            ("host_empty", with(0, "Host:"), 400),
            ("host_dup", plus("Host: other"), 400),
            ("no_upgrade", without(1), 426),
            ("upgrade_other", with(1, "Upgrade: h2c"), 426),
            ("upgrade_part_of_a_word", with(1, "Upgrade: websockets"), 426),
            ("plain_get", head(START, &["Host: h"]), 426),
            ("no_connection", without(2), 400),
            ("connection_keepalive_only", with(2, "Connection: keep-alive"), 400),
            ("connection_close", with(2, "Connection: close"), 400),
            ("no_key", without(3), 400),
            ("key_empty", with(3, "Sec-WebSocket-Key:"), 400),
            ("key_blank", with(3, "Sec-WebSocket-Key: "), 400),
            ("key_short", with(3, "Sec-WebSocket-Key: abc"), 400),
            ("key_dup", plus("Sec-WebSocket-Key: other"), 400),
            ("key_twice_the_same", plus(BASE[3]), 400),
            ("no_version", without(4), 426),
            ("version_8", with(4, "Sec-WebSocket-Version: 8"), 426),
            ("version_list", with(4, "Sec-WebSocket-Version: 13, 8"), 426),
            ("version_dup", plus("Sec-WebSocket-Version: 8"), 400),
            ("post", start("POST / HTTP/1.1"), 405),
            ("head", start("HEAD / HTTP/1.1"), 405),
            ("lower_get", start("get / HTTP/1.1"), 405),
            ("http10", start("GET / HTTP/1.0"), 400),
            ("http2", start("GET / HTTP/2.0"), 400),
            ("one_word", head("GET", &["A: b"]), 400),
            ("two_words", head("GET /", &["A: b"]), 400),
            ("four_tokens", start("GET / HTTP/1.1 x"), 400),
            ("star", start("GET * HTTP/1.1"), 400),
            ("no_path", start("GET .evil.example/ HTTP/1.1"), 400),
            ("user", start("GET @evil.example/ HTTP/1.1"), 400),
            ("other_scheme", start("GET ftp://h/ HTTP/1.1"), 400),
            ("url_without_host", start("GET http:///a HTTP/1.1"), 400),
            ("body", plus("Content-Length: 5"), 400),
            ("body_in_pieces", plus("Transfer-Encoding: chunked"), 400),
            ("blank_in_path", start("GET /a b HTTP/1.1"), 400),
            ("double_space", start("GET  /  HTTP/1.1"), 400),
            ("header_no_colon", plus("garbage"), 400),
            ("header_space_before_colon", with(1, "Upgrade : websocket"), 400),
            ("header_folded", plus(" folded: x"), 400),
            ("utf8_header", plus("X-\u{e9}: \u{fc}"), 400),
            ("nul_in_value", plus("X: a\0b"), 400),
            ("cr_in_value", plus("X: a\rb"), 400),
            ("header_huge", plus(&huge), 431),
            ("many_headers", many, 431),
            ("leading_crlf", [b"\r\n", &start(START)[..]].concat(), 400),
            ("short_head", head(START, &["A: b"]), 400),
            ("garbage_binary", b"\x01\x02\x03\r\n\r\n".to_vec(), 400),
            ("tls", b"\x16\x03\x01\x02\x00\x01".to_vec(), 400),
        ] {
            assert_eq!(status(&bytes), expected, "{name}");
        }
    }

    #[test]
    fn a_bare_lf_is_refused_at_once() {
        assert_eq!(status(b"GET / HTTP/1.1\r"), 0);
        assert_eq!(status(b"GET / HTTP/1.1\n"), 400);
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        for key in ["AAAAAAAAAAAAAAAAAAAAAA==", "+/09azAZ+/09azAZ+/09az=="] {
            assert!(is_key(key), "{key}");
        }
        for key in [
            "",
            "==",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAA===",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAA AAAAAAAAAAA==",
            "AAAAAAAAAA-AAAAAAAAAA_==",
            "AAAAAAAAAAAAAAAAAAAA\u{e9}==",
        ] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn frames_may_follow_the_head() {
        let head = start(START);
        let mut bytes = head.clone();
        bytes.extend_from_slice(&[0x82, 0x80, 0, 0, 0, 0]);
        let (_, len) = read(&bytes).unwrap().unwrap();
        assert_eq!(len, head.len());
    }

    #[test]
    fn what_the_client_sent_can_be_read() {
        let mut bytes = start("GET /a?b HTTP/1.1");
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(b"x-forwarded-for: 1\r\nX-Forwarded-For: 2\r\nX: \xff\r\n\r\n");
        let request = accepted(&bytes);
        assert_eq!(request.requested_url(false), "ws://127.0.0.1:9001/a?b");
        assert_eq!(request.requested_url(true), "wss://127.0.0.1:9001/a?b");
        assert_eq!(request.header("X-FORWARDED-FOR"), Some("1"));
        assert_eq!(request.header("x"), Some("\u{fffd}"));
        assert_eq!(request.header("y"), None);
        assert_eq!(request.headers[5].0, "x-forwarded-for");
        assert_eq!(request.protocols, [""; 0]);
    }

    #[test]
    #[rustfmt::skip] // one case per line
    fn sub_protocols() {
        let two = ["alpha", "beta"].map(str::to_owned);
        for (name, supported, lines, expected) in [
            ("srv0.none_offered", &[][..], &[][..], Ok(None)),
            ("srv0.offered", &[], &["alpha"], Err(400)),
            ("srv0.empty_value", &[], &[""], Err(400)),
            ("srv2.none_offered", &two, &[], Err(400)),
            ("srv2.beta", &two, &["beta"], Ok(Some("beta"))),
            ("srv2.client_order_wins", &two, &["gamma, beta, alpha"], Ok(Some("beta"))),
            ("srv2.no_blanks", &two, &["gamma,alpha"], Ok(Some("alpha"))),
            ("srv2.two_headers", &two, &["gamma", "alpha"], Ok(Some("alpha"))),
            ("srv2.unknown", &two, &["gamma"], Err(400)),
            ("srv2.case", &two, &["ALPHA"], Err(400)),
            ("srv2.empty_value", &two, &[""], Err(400)),
            ("empty_name", &[String::new()], &[""], Err(400)),
        ] {
            let mut bytes = start(START);
            bytes.truncate(bytes.len() - 2);
            for value in lines {
                push_header(&mut bytes, "sec-websocket-protocol", value);
            }
            push_line(&mut bytes, "");

            let chosen = choose_protocol(&accepted(&bytes), supported);
            if let Err(refusal) = &chosen {
                assert!(refusal.silent, "{name}");
            }
            let chosen = chosen.map_err(|refusal| refusal.status);
            assert_eq!(
                chosen,
                expected.map(|name| name.map(str::to_owned)),
                "{name}"
            );
        }
    }

    #[test]
    fn the_answer_names_the_sub_protocol_and_extra_headers() {
        let headers = ["X-Srv: 1", "Server: probe"].map(str::to_owned);
        let bytes = answer(&accepted(&start(START)), Some("beta"), &headers);
        let expected =
            format!("{SWITCHING}Sec-WebSocket-Protocol: beta\r\nX-Srv: 1\r\nServer: probe\r\n\r\n");
        assert_eq!(bytes, expected.as_bytes());
    }

    #[test]
    fn a_refusal_is_a_complete_http_answer() {
        let text = |status, reason: &str| {
            String::from_utf8(Refusal::new(status, reason).to_bytes()).unwrap()
        };
        assert_eq!(
            text(400, "no good"),
            "HTTP/1.1 400 Bad Request\r\n\
             Connection: close\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 8\r\n\r\nno good\n"
        );
        assert_eq!(
            text(426, "x"),
            "HTTP/1.1 426 Upgrade Required\r\n\
             Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Connection: Upgrade, close\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 2\r\n\r\nx\n"
        );
        assert!(text(405, "x").contains("\r\nAllow: GET\r\n"));
        assert!(text(431, "x").starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        let busy = text(503, "x");
        assert!(busy.starts_with("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"));
        let often = text(429, "x");
        assert!(often.starts_with("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n"));
        assert!(text(404, "x").starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(text(403, "x").starts_with("HTTP/1.1 403 Forbidden\r\n"));
    }

    #[test]
    fn a_refusal_repeats_nothing_of_the_request() {
        for bytes in
            [start("POST /secret HTTP/1.1"), plus("secret"), with(3, "Sec-WebSocket-Key: secret")]
        {
            let refusal = read(&bytes).unwrap_err();
            assert!(!refusal.to_string().contains("secret"), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_change_of_a_request_panics(at in 0..180usize, bytes in any::<Vec<u8>>()) {
            let mut request = start(START);
            let at = at.min(request.len());
            request.splice(at..(at + bytes.len()).min(request.len()), bytes);
            let _ = read(&request);
        }

        #[test]
        fn pieces_do_not_matter(mut cuts in prop::collection::vec(0..200usize, 0..8)) {
            let bytes = plus("Sec-WebSocket-Protocol: a, b");
            cuts.retain(|&cut| cut < bytes.len());
            cuts.sort_unstable();
            let mut reader = RequestReader::default();
            for cut in cuts {
                prop_assert_eq!(reader.read(&bytes[..cut]), Ok(None));
            }
            prop_assert_eq!(reader.read(&bytes), read(&bytes));
        }
    }
}
