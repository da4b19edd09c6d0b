//! What a request says beyond what the upgrade needs: its query, cookies and headers, for whoever
//! decides about the client.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{COOKIE, ORIGIN, Request, values};

impl Request {
    /// The target behind the first `?`, as it was sent.
    pub fn query_string(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The query by name, decoded as HTML forms are: `%xx` is a byte of UTF-8, `+` a blank. A name
    /// without `=` has an empty value; of several with one name the last counts. NUL is replaced as
    /// bytes are that are no UTF-8: the engine's strings cannot hold it.
    pub fn query(&self) -> BTreeMap<String, String> {
        let pairs = form_urlencoded::parse(self.query_string().as_bytes());
        let text = |text: Cow<'_, str>| text.replace('\0', "\u{fffd}");
        pairs.map(|(name, value)| (text(name), text(value))).collect()
    }

    /// The cookies by name, as they were sent (RFC 6265, section 5.4): nothing is decoded and quotes
    /// stay. Of several with one name the first counts, which is the one for the longest path.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        let blank = [' ', '\t'];
        let pairs = values(&self.headers, COOKIE)
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim_matches(blank), value.trim_matches(blank)))
            .filter(|(name, _)| !name.is_empty());
        let mut cookies = BTreeMap::new();
        for (name, value) in pairs {
            cookies.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        cookies
    }

    /// All headers, with names in lower case; several lines of one name make one value.
    pub fn headers_by_name(&self) -> BTreeMap<String, String> {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            let glue = glue(&name);
            headers
                .entry(name)
                .and_modify(|joined| joined.extend([glue, value]))
                .or_insert_with(|| value.clone());
        }
        headers
    }

    /// The value of a header, `None` if there is none; the case of the name does not matter, and
    /// several lines make one value.
    pub fn joined_header(&self, name: &str) -> Option<Cow<'_, str>> {
        let joined = values(&self.headers, name).map(Cow::Borrowed);
        joined.reduce(|joined, value| joined + glue(name) + value)
    }

    /// The origin of the page that holds the client; empty for a client that is no browser.
    pub fn origin(&self) -> &str {
        self.header(ORIGIN).unwrap_or_default()
    }
}

/// What stands between the values of several lines (RFC 9110, section 5.3). A comma may be part of a
/// cookie.
fn glue(name: &str) -> &'static str {
    if name.eq_ignore_ascii_case(COOKIE) { "; " } else { ", " }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upgrade::RequestReader;

    fn request(target: &str, lines: &str) -> Request {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {lines}\r\n"
        );
        RequestReader::default().read(head.as_bytes()).unwrap().unwrap().0
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_query_is_decoded() {
        for (target, string, pairs) in [
            ("/", "", &[][..]),
            ("/?", "", &[]),
            ("/a?token=x", "token=x", &[("token", "x")]),
            ("/?a=1&b=2", "a=1&b=2", &[("a", "1"), ("b", "2")]),
            ("/?a=1+2%203", "a=1+2%203", &[("a", "1 2 3")]),
            ("/?a%3Db=c%26d", "a%3Db=c%26d", &[("a=b", "c&d")]),
            ("/?a=b=c==", "a=b=c==", &[("a", "b=c==")]),
            ("/?%C3%A9=%E2%82%AC", "%C3%A9=%E2%82%AC", &[("é", "€")]),
            ("/?é=€", "é=€", &[("é", "€")]),
            ("/?a", "a", &[("a", "")]),
            ("/?a=&=b", "a=&=b", &[("a", ""), ("", "b")]),
            ("/?&&a=1&", "&&a=1&", &[("a", "1")]),
            ("/?a=1&b=2&a=3", "a=1&b=2&a=3", &[("a", "3"), ("b", "2")]),
            ("/?a=1;b=2", "a=1;b=2", &[("a", "1;b=2")]),
            ("/?a=?b", "a=?b", &[("a", "?b")]),
            // What is no encoding stays; bytes that are no UTF-8 are replaced.
            ("/?a=%&b=%zz&c=%4", "a=%&b=%zz&c=%4", &[("a", "%"), ("b", "%zz"), ("c", "%4")]),
            ("/?a=%FF", "a=%FF", &[("a", "\u{fffd}")]),
            ("/?a=%00%0D%0A", "a=%00%0D%0A", &[("a", "\u{fffd}\r\n")]),
        ] {
            let request = request(target, "");
            assert_eq!(request.query_string(), string, "{target}");
            assert_eq!(request.query(), map(pairs), "{target}");
        }
    }

    #[test]
    fn cookies_are_taken_as_they_were_sent() {
        for (lines, pairs) in [
            ("", &[][..]),
            ("Cookie:\r\n", &[]),
            ("Cookie: a=1\r\n", &[("a", "1")]),
            ("cookie: a=1; b=2\r\n", &[("a", "1"), ("b", "2")]),
            ("Cookie: a=1;b=2;\r\n", &[("a", "1"), ("b", "2")]),
            ("Cookie: a = 1 ;\tb=2\r\n", &[("a", "1"), ("b", "2")]),
            ("Cookie: a=1\r\nX: y\r\nCookie: b=2\r\n", &[("a", "1"), ("b", "2")]),
            ("Cookie: a=near; a=far\r\n", &[("a", "near")]),
            ("Cookie: a=b=c==; d=\"e\"\r\n", &[("a", "b=c=="), ("d", "\"e\"")]),
            ("Cookie: a=%20+,b\r\n", &[("a", "%20+,b")]),
            ("Cookie: A=1; a=2\r\n", &[("A", "1"), ("a", "2")]),
            ("Cookie: nothing; =x; ; a=\r\n", &[("a", "")]),
            ("Cookie: $Version=1; é=ü\r\n", &[("$Version", "1"), ("é", "ü")]),
        ] {
            assert_eq!(request("/", lines).cookies(), map(pairs), "{lines:?}");
        }
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let lines = "Authorization: Bearer x\r\nX-List: a\r\nx-lIST: b,c\r\n\
            Cookie: a=1\r\nCookie: b=2\r\nOrigin: https://example.com\r\n";
        let request = request("/", lines);
        let headers = request.headers_by_name();
        for (name, value) in [
            ("host", "h"),
            ("authorization", "Bearer x"),
            ("x-list", "a, b,c"),
            ("cookie", "a=1; b=2"),
            ("origin", "https://example.com"),
        ] {
            assert_eq!(headers.get(name).map(String::as_str), Some(value));
            assert_eq!(request.joined_header(name).as_deref(), Some(value));
            assert_eq!(request.joined_header(&name.to_uppercase()).as_deref(), Some(value));
        }
        assert_eq!(headers.len(), 9, "{headers:?}");
        assert_eq!(request.joined_header("X"), None);
        assert_eq!(request.origin(), "https://example.com");
    }

    #[test]
    fn a_client_that_is_no_browser_has_no_origin() {
        assert_eq!(request("/", "").origin(), "");
    }

    proptest! {
        #[test]
        fn nothing_that_a_head_can_hold_panics(query in "[!-~é]{0,60}", value in "[ -~é\t]{0,60}") {
            let request = request(&format!("/?{query}"), &format!("Cookie: {value}\r\n"));
            let pairs = query.split('&').filter(|pair| !pair.is_empty()).count();
            prop_assert!(request.query().len() <= pairs);
            prop_assert!(request.cookies().len() <= value.matches('=').count());
        }
    }
}
