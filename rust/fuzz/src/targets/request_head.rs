//! The request that a server gets.
//!
//! Input: a byte that chooses settings, then what the client sends.

use mio_websocket_core::upgrade::{AnswerReader, Refusal, Request, RequestReader, server};

use crate::reference::upgrade::{self, Fate};
use crate::script::Script;

/// See the [module](self).
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let supported: &[&str] = script.one_of(&[&[], &["a"], &["b", "a"], &[""]]);
    let supported: Vec<String> = supported.iter().map(|&name| name.to_owned()).collect();
    let bytes = script.rest();

    let outcome = RequestReader::default().read(bytes);
    assert_eq!(read_byte_by_byte(bytes), outcome, "pieces matter");
    match (upgrade::request(bytes), outcome) {
        (Fate::More, Ok(None)) => {}
        (Fate::Refused, Err(refusal)) => check_refusal(&refusal),
        (Fate::Accepted { len, terms }, Ok(Some((request, read)))) => {
            assert_eq!((read, &request.target, &request.host), (len, &terms.target, &terms.host));
            assert_eq!(request.protocols, terms.protocols.clone().unwrap_or_default());
            check_facts(&request);
            let chosen = server::choose_protocol(&request, &supported);
            match (upgrade::choose(&terms, &supported), chosen) {
                (Some(expected), Ok(chosen)) => {
                    assert_eq!(chosen.as_deref().unwrap_or_default(), expected);
                    check_answer(&request, &terms.key, chosen);
                }
                (None, Err(refusal)) => check_refusal(&refusal),
                (expected, chosen) => panic!("{chosen:?} instead of {expected:?}"),
            }
        }
        (expected, outcome) => panic!("{outcome:?} instead of {expected:?}"),
    }
}

/// The first outcome that is not "more".
fn read_byte_by_byte(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let mut reader = RequestReader::default();
    for end in 0..bytes.len() {
        match reader.read(&bytes[..end]) {
            Ok(None) => {}
            outcome => return outcome,
        }
    }
    reader.read(bytes)
}

/// What a request says can be told in the engine's strings, whatever was sent.
fn check_facts(request: &Request) {
    let headers = request.headers_by_name();
    assert!(headers.len() <= request.headers.len());
    for (name, value) in &headers {
        assert_eq!(request.joined_header(name).as_deref(), Some(value.as_str()));
    }
    let texts = [request.query(), request.cookies(), headers];
    let mut texts = texts.iter().flatten().flat_map(|(name, value)| [name, value]);
    assert!(texts.all(|text| !text.contains('\0')));
    assert!(request.target.ends_with(request.query_string()));
}

/// A refusal is one HTTP answer with a body of the size that it says.
fn check_refusal(refusal: &Refusal) {
    assert!([400, 405, 426, 431].contains(&refusal.status), "{refusal:?}");
    let text = String::from_utf8(refusal.to_bytes()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", refusal.status)), "{head}");
    assert!(head.lines().any(|line| line == format!("Content-Length: {}", body.len())), "{head}");
    assert_eq!(body, format!("{}\n", refusal.reason));
}

/// The answer has exactly the lines that it should have, and a client takes it.
fn check_answer(request: &Request, key: &str, protocol: Option<String>) {
    let answer = server::answer(request, protocol.as_deref(), &["X-Extra: 1".to_owned()]);
    let text = str::from_utf8(&answer).unwrap();
    let lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").count();
    assert_eq!(lines, 5 + usize::from(protocol.is_some()), "{text}");
    let offered: Vec<String> = protocol.into_iter().collect();
    let read = AnswerReader::default().read(&answer, key, &offered);
    let (agreed, len) = read.unwrap().unwrap();
    assert_eq!((agreed.protocol, len), (offered.concat(), answer.len()));
}
