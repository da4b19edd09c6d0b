//! The answer that a client gets.
//!
//! Input: a byte that chooses settings, then what the server sends.

use mio_websocket_core::upgrade::{Answer, AnswerError, AnswerReader};

use crate::reference::upgrade::{self, Fate};
use crate::script::Script;

/// The example of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// See the [module](self).
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let offered: &[&str] = script.one_of(&[&[], &["a"], &["b", "a"], &[""]]);
    let offered: Vec<String> = offered.iter().map(|&name| name.to_owned()).collect();
    let bytes = script.rest();

    let outcome = AnswerReader::default().read(bytes, KEY, &offered);
    assert_eq!(read_byte_by_byte(bytes, &offered), outcome, "pieces matter");
    match (upgrade::answer(bytes, ACCEPT, &offered), outcome) {
        (Fate::More, Ok(None)) | (Fate::Refused, Err(_)) => {}
        (Fate::Accepted { len, terms }, Ok(Some((answer, read)))) => {
            assert_eq!((answer.protocol, read), (terms, len));
        }
        (expected, outcome) => panic!("{outcome:?} instead of {expected:?}"),
    }
}

/// The first outcome that is not "more".
fn read_byte_by_byte(
    bytes: &[u8],
    offered: &[String],
) -> Result<Option<(Answer, usize)>, AnswerError> {
    let mut reader = AnswerReader::default();
    for end in 0..bytes.len() {
        match reader.read(&bytes[..end], KEY, offered) {
            Ok(None) => {}
            outcome => return outcome,
        }
    }
    reader.read(bytes, KEY, offered)
}
