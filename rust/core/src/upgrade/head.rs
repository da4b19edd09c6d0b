//! Where an HTTP/1.1 head ends, and what it says.

use crate::config::{MAX_HEAD_SIZE, MAX_HEADERS};

/// Finds the end of a head in bytes that trickle in.
///
/// It comes before the parser for two reasons: a parser would start from the first byte again
/// with every piece that arrives, and it is more lenient about line ends than both sides of a
/// connection should be (RFC 9112 section 2.2 lets a recipient take a bare LF for a line end).
#[derive(Debug)]
pub(crate) struct HeadFinder {
    /// Most bytes that the head may have.
    max_size: usize,
    /// Bytes that need no second look.
    scanned: usize,
    /// Where the line that is being scanned begins.
    line_start: usize,
    /// Complete lines, the start line included.
    lines: usize,
}

impl Default for HeadFinder {
    fn default() -> Self {
        Self::new(MAX_HEAD_SIZE)
    }
}

impl HeadFinder {
    /// For a head of up to `max_size` bytes.
    pub(crate) fn new(max_size: usize) -> Self {
        Self { max_size, scanned: 0, line_start: 0, lines: 0 }
    }

    /// Length of the head with its empty line, or `None` if it does not end in `buf` yet. `buf` is
    /// everything received so far. The outcome does not depend on the pieces it came in.
    pub(crate) fn find(&mut self, buf: &[u8]) -> Result<Option<usize>, HeadError> {
        let limit = buf.len().min(self.max_size);
        while self.scanned < limit {
            let at = self.scanned;
            let after_cr = at > 0 && buf[at - 1] == b'\r';
            match buf[at] {
                b'\n' if after_cr => {
                    if at == self.line_start + 1 {
                        return match self.lines {
                            0 => Err(HeadError::Malformed("empty line before the head")),
                            _ => Ok(Some(at + 1)),
                        };
                    }
                    self.lines += 1;
                    self.line_start = at + 1;
                    if self.lines > 1 + MAX_HEADERS {
                        return Err(HeadError::TooManyHeaders);
                    }
                }
                _ if after_cr => return Err(HeadError::Malformed("CR without LF")),
                b'\n' => return Err(HeadError::Malformed("LF without CR")),
                b'\r' | b'\t' | b' '..=b'~' | 0x80.. => {}
                // The types of TLS records: RFC 8446, section 5.1.
                20..=23 if at == 0 => return Err(HeadError::Malformed("this is TLS, not HTTP")),
                // Not HTTP at all. Nothing that follows could repair it.
                _ => return Err(HeadError::Malformed("control character in the head")),
            }
            self.scanned += 1;
        }
        if limit == self.max_size {
            return Err(HeadError::TooLarge);
        }
        Ok(None)
    }
}

/// What makes a head unusable, whatever its headers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    Malformed(&'static str),
    TooLarge,
    TooManyHeaders,
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            httparse::Error::HeaderName => Self::Malformed("invalid header name"),
            httparse::Error::HeaderValue => Self::Malformed("invalid header value"),
            _ => Self::Malformed("invalid start line"),
        }
    }
}

/// Scheme, host, and path with query of a target that is a whole URL: RFC 9112, section 3.2.2.
pub(crate) fn whole_url(target: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = target.split_once("://").filter(|_| !target.starts_with('/'))?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Some((scheme, host, path))
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) target: String,
    /// The 1 of HTTP/1.1; the major version is always 1.
    pub(crate) minor_version: u8,
    pub(crate) headers: Vec<(String, String)>,
}

impl RequestHead {
    /// `head` ends with its empty line.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let status = request.parse(head)?;
        let (true, Some(method), Some(target), Some(minor_version)) = (
            status == httparse::Status::Complete(head.len()),
            request.method,
            request.path,
            request.version,
        ) else {
            return Err(HeadError::Malformed("incomplete head"));
        };
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            minor_version,
            headers: owned(request.headers),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    /// The 1 of HTTP/1.1; the major version is always 1.
    pub(super) minor_version: u8,
    pub(super) headers: Vec<(String, String)>,
}

impl AnswerHead {
    /// `head` ends with its empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Self, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let status = answer.parse(head)?;
        let (true, Some(code), Some(minor_version)) =
            (status == httparse::Status::Complete(head.len()), answer.code, answer.version)
        else {
            return Err(HeadError::Malformed("incomplete head"));
        };
        Ok(Self { status: code, minor_version, headers: owned(answer.headers) })
    }
}

/// Names are ASCII by grammar, values may hold any byte from 0x80 on (RFC 9110 section 5.5).
fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_owned(), value)
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        HeadFinder::default().find(bytes)
    }

    /// Feeds `bytes` in pieces that end at `cuts`, up to the first outcome.
    fn find_in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Option<usize>, HeadError> {
        let mut finder = HeadFinder::default();
        for &cut in cuts {
            match finder.find(&bytes[..cut]) {
                Ok(None) => {}
                outcome => return outcome,
            }
        }
        finder.find(bytes)
    }

    fn malformed(what: &'static str) -> Result<Option<usize>, HeadError> {
        Err(HeadError::Malformed(what))
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(find(b"A b\r\nC: d\r\n\r\n"), Ok(Some(13)));
        assert_eq!(find(b"A b\r\n\r\n\n\0frames"), Ok(Some(7)));
        for partial in [&b""[..], b"A", b"A b\r", b"A b\r\n", b"A b\r\n\r"] {
            assert_eq!(find(partial), Ok(None), "{partial:?}");
        }
    }

    #[test]
    fn bad_bytes_are_refused_before_the_head_ends() {
        assert_eq!(find(b"A b\n"), malformed("LF without CR"));
        assert_eq!(find(b"\n"), malformed("LF without CR"));
        assert_eq!(find(b"A\rb"), malformed("CR without LF"));
        assert_eq!(find(b"A\r\r\n"), malformed("CR without LF"));
        assert_eq!(find(b"\r\n"), malformed("empty line before the head"));
        for byte in [0, 1, 0x0b, 0x16, 0x1f, 0x7f] {
            assert_eq!(find(&[b'A', byte]), malformed("control character in the head"));
        }
        assert_eq!(find(b"A\tb \x80\xff~"), Ok(None));
    }

    #[test]
    fn a_head_may_be_as_large_as_the_limit() {
        let mut head = b"A b\r\n".to_vec();
        head.resize(MAX_HEAD_SIZE - 4, b'x');
        assert_eq!(find(&head), Ok(None));
        head.extend_from_slice(b"\r\n\r\n");
        assert_eq!(find(&head), Ok(Some(MAX_HEAD_SIZE)));
        // Frames behind it do not count.
        head.extend_from_slice(&[0; 100]);
        assert_eq!(find(&head), Ok(Some(MAX_HEAD_SIZE)));

        head[MAX_HEAD_SIZE - 4..MAX_HEAD_SIZE].copy_from_slice(b"x\r\n\r");
        head[MAX_HEAD_SIZE] = b'\n';
        assert_eq!(find(&head), Err(HeadError::TooLarge));
        assert_eq!(find(&[b'x'; MAX_HEAD_SIZE]), Err(HeadError::TooLarge));
        assert_eq!(find(&[b'x'; MAX_HEAD_SIZE - 1]), Ok(None));
    }

    #[test]
    fn a_head_may_have_as_many_lines_as_the_limit() {
        let head = |headers: usize| format!("A b\r\n{}\r\n", "C: d\r\n".repeat(headers));
        let most = head(MAX_HEADERS);
        assert_eq!(find(most.as_bytes()), Ok(Some(most.len())));
        assert_eq!(find(head(MAX_HEADERS + 1).as_bytes()), Err(HeadError::TooManyHeaders));

        let most = format!("GET / HTTP/1.1\r\n{}\r\n", "C: d\r\n".repeat(MAX_HEADERS));
        let parsed = RequestHead::parse(most.as_bytes()).unwrap();
        assert_eq!(parsed.headers.len(), MAX_HEADERS);
    }

    #[test]
    fn what_was_scanned_is_not_scanned_again() {
        let mut finder = HeadFinder::default();
        assert_eq!(finder.find(b"A b\r\nC: d"), Ok(None));
        // If it looked again, it would see the bare LF.
        assert_eq!(finder.find(b"A\nb\r\nC: d\r\n\r\n"), Ok(Some(13)));
    }

    #[test]
    fn a_request_head_is_read() {
        let head = b"GET /\xc3\xa9?x HTTP/1.1\r\nHost:h\r\nX-Empty:\r\nX: \t a\xff b \r\n\r\n";
        let parsed = RequestHead::parse(head).unwrap();
        assert_eq!(parsed.method, "GET");
        assert_eq!(parsed.target, "/é?x");
        assert_eq!(parsed.minor_version, 1);
        let headers = [("Host", "h"), ("X-Empty", ""), ("X", "a\u{fffd} b")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed.headers, headers);
    }

    #[test]
    fn an_answer_head_is_read() {
        for line in ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 \u{e9} b"] {
            let parsed = AnswerHead::parse(format!("{line}\r\n\r\n").as_bytes()).unwrap();
            assert_eq!((parsed.status, parsed.minor_version), (101, 1), "{line}");
        }
    }

    #[test]
    fn a_start_line_has_exactly_three_words() {
        let start_line = Err(HeadError::Malformed("invalid start line"));
        for line in [
            "GET",
            "GET /",
            "GET ",
            " ",
            " / HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/1.1 x",
            "GET /a b HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET / HTTP/2.0",
            "GET / http/1.1",
            "GET / HTTP/1.10",
            "G\u{e9}T / HTTP/1.1",
        ] {
            let head = format!("{line}\r\nA: b\r\n\r\n");
            assert_eq!(RequestHead::parse(head.as_bytes()), start_line, "{line:?}");
        }
    }

    #[test]
    fn a_status_line_is_taken_literally() {
        for line in [
            "hello",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1  101",
            "HTTP/1.1 10",
            "HTTP/1.1 1010",
            "HTTP/1.1 abc",
            "HTTP/2.0 101",
            "http/1.1 101",
            " HTTP/1.1 101",
        ] {
            let head = format!("{line}\r\nA: b\r\n\r\n");
            let parsed = AnswerHead::parse(head.as_bytes());
            assert!(matches!(parsed, Err(HeadError::Malformed(_))), "{line:?}");
        }
    }

    #[test]
    fn a_header_line_is_taken_literally() {
        for line in
            ["garbage", "A : b", " A: b", "\tfolded", ": b", "X-\u{e9}: b", "A B: c", "A@: b"]
        {
            let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n");
            let parsed = RequestHead::parse(head.as_bytes());
            assert!(matches!(parsed, Err(HeadError::Malformed(_))), "{line:?}");
            let head = format!("HTTP/1.1 101 S\r\nA: b\r\n{line}\r\n\r\n");
            let parsed = AnswerHead::parse(head.as_bytes());
            assert!(matches!(parsed, Err(HeadError::Malformed(_))), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = find(&bytes);
            let _ = RequestHead::parse(&bytes);
            let _ = AnswerHead::parse(&bytes);
        }

        #[test]
        fn pieces_do_not_matter(
            text in "[A-C\r\n]{0,6}(A\r\n){0,2}(\r\n)?[A\r\n\0]{0,4}",
            mut cuts in prop::collection::vec(0..20usize, 0..6),
        ) {
            let bytes = text.as_bytes();
            cuts.retain(|&cut| cut <= bytes.len());
            cuts.sort_unstable();
            prop_assert_eq!(find_in_pieces(bytes, &cuts), find(bytes));
        }
    }
}
