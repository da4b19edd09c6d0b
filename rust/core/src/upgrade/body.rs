//! The body of an answer that refuses the upgrade, which may say why.

use std::borrow::Cow;

use super::head::AnswerHead;
use super::{CONTENT_LENGTH, TRANSFER_ENCODING, has_token, single};

/// Most bytes of a body that are kept.
pub const MAX_BODY: usize = 4096;

/// Most bytes that are read for it: a chunk has a line of its own.
const MAX_READ: usize = 2 * MAX_BODY;

/// Finds the end of a body: RFC 9112, section 6.3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Sized(usize),
    /// Pieces, each with its size before it.
    Chunked,
    /// As long as the connection.
    ToTheEnd,
}

impl Body {
    /// The body that `head` announces.
    pub(super) fn of(head: &AnswerHead) -> Self {
        let headers = &head.headers;
        if matches!(head.status, 100..=199 | 204 | 304) {
            return Self::Sized(0);
        }
        if has_token(headers, TRANSFER_ENCODING, "chunked") {
            return Self::Chunked;
        }
        match single(headers, CONTENT_LENGTH) {
            Ok(Some(length)) => length.parse().map_or(Self::ToTheEnd, Self::Sized),
            _ => Self::ToTheEnd,
        }
    }

    /// Whether nothing more is wanted than `received`, which is everything behind the head so far.
    pub(crate) fn is_complete(&self, received: &[u8]) -> bool {
        let (body, is_whole) = self.split(received);
        is_whole || body.len() >= MAX_BODY || received.len() >= MAX_READ
    }

    /// The body as text, as far as it has come; what is not UTF-8 is replaced.
    pub(crate) fn text(&self, received: &[u8]) -> String {
        let (body, _) = self.split(received);
        let mut text = String::from_utf8_lossy(&body[..body.len().min(MAX_BODY)]).into_owned();
        let mut end = text.len().min(MAX_BODY);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }

    /// The body in `received`, and whether that is all of it.
    fn split<'a>(&self, received: &'a [u8]) -> (Cow<'a, [u8]>, bool) {
        match self {
            Self::Sized(size) => match received.get(..*size) {
                Some(body) => (body.into(), true),
                None => (received.into(), false),
            },
            Self::Chunked => {
                let (body, is_whole) = join_chunks(received);
                (body.into(), is_whole)
            }
            Self::ToTheEnd => (received.into(), false),
        }
    }
}

/// The chunks that have come, and whether the last one has, or something that is none.
fn join_chunks(mut received: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (line, size) = match httparse::parse_chunk_size(received) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return (body, false),
            Err(_) => return (body, true),
        };
        let rest = &received[line..];
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        // Each chunk has a line end of its own behind it.
        match size.checked_add(2).and_then(|len| rest.get(len..)) {
            Some(next) => received = next,
            None => return (body, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(status: u16, headers: &[(&str, &str)]) -> Body {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Body::of(&AnswerHead { status, minor_version: 1, headers: headers.collect() })
    }

    #[test]
    fn the_head_says_where_the_body_ends() {
        let length = ("Content-Length", "5");
        let chunked = ("Transfer-Encoding", "gzip, Chunked");
        assert_eq!(body(403, &[length]), Body::Sized(5));
        assert_eq!(body(403, &[length, chunked]), Body::Chunked);
        assert_eq!(body(403, &[]), Body::ToTheEnd);
        for bad in ["", "-1", "five", "99999999999999999999999"] {
            assert_eq!(body(403, &[("Content-Length", bad)]), Body::ToTheEnd, "{bad}");
        }
        for empty in [100, 204, 304] {
            assert_eq!(body(empty, &[chunked]), Body::Sized(0), "{empty}");
        }
    }

    #[test]
    fn nothing_is_awaited_behind_the_end() {
        assert!(Body::Sized(0).is_complete(b""));
        assert!(!Body::Sized(5).is_complete(b"full"));
        assert!(Body::Sized(5).is_complete(b"full!and more"));
        assert_eq!(Body::Sized(5).text(b"full!and more"), "full!");
        assert_eq!(Body::Sized(5).text(b"full"), "full");
        assert!(!Body::ToTheEnd.is_complete(b"anything"));
        assert_eq!(Body::ToTheEnd.text(b"anything"), "anything");
    }

    #[test]
    fn chunks_are_joined() {
        let bytes = b"4\r\nfull\r\n6;x=y\r\n house\r\n0\r\n\r\n";
        assert!(Body::Chunked.is_complete(bytes));
        assert_eq!(Body::Chunked.text(bytes), "full house");
        for (len, text) in [(0, ""), (2, ""), (5, "fu"), (8, "full"), (20, "full hou")] {
            assert!(!Body::Chunked.is_complete(&bytes[..len]), "{len}");
            assert_eq!(Body::Chunked.text(&bytes[..len]), text, "{len}");
        }
        // Not a chunk: nothing that follows could be one.
        assert!(Body::Chunked.is_complete(b"1\r\na\r\nnonsense\r\n"));
        assert_eq!(Body::Chunked.text(b"1\r\na\r\nnonsense\r\n"), "a");
    }

    #[test]
    fn a_body_is_cut() {
        let long = "é".repeat(MAX_BODY);
        assert!(Body::ToTheEnd.is_complete(long.as_bytes()));
        assert_eq!(Body::ToTheEnd.text(long.as_bytes()), "é".repeat(MAX_BODY / 2));
        // What replaces a byte is longer than it.
        assert_eq!(Body::ToTheEnd.text(&[0xff; MAX_BODY]).len(), MAX_BODY - 1);
        assert!(Body::Chunked.is_complete(&b"1\r\na\r\n".repeat(MAX_READ / 6 + 1)));
        let huge = [b"ffffffffffffffff\r\n".as_slice(), &[b'a'; 10]].concat();
        assert_eq!(Body::Chunked.text(&huge), "a".repeat(10));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>(), size in 0..300usize) {
            for body in [Body::Sized(size), Body::Chunked, Body::ToTheEnd] {
                let _ = body.is_complete(&bytes);
                prop_assert!(body.text(&bytes).len() <= MAX_BODY);
            }
        }
    }
}
