//! Certificates and keys in PEM.
//!
//! Input: changes to the text of a good certificate and a good key.

use mio_websocket_core::tls::{
    ClientOptions, ClientTls, ServerTls, TlsError, Trust, certificate_blocks,
};

use crate::identity::{HOST, identity};
use crate::script::Script;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// See the [module](self).
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut texts =
        [identity().certificate.clone().into_bytes(), identity().key.clone().into_bytes()];
    while !script.is_empty() {
        let [certificate, key] = &mut texts;
        match script.below(8) {
            0..4 => change(certificate, &mut script),
            4..7 => change(key, &mut script),
            _ => certificate.extend_from_slice(identity().certificate.as_bytes()),
        }
    }
    let [certificate, key] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    check_blocks(&certificate);
    check_server(&certificate, &key);
    let trust = Trust::Only(certificate.clone());
    let options = ClientOptions { trust, check_name: true, name: None, tls13: true };
    if ClientTls::new(&options, HOST).is_ok() {
        assert!(!certificate_blocks(&certificate).is_empty());
    }
}

/// Exchanges some bytes of `text` for others.
fn change(text: &mut Vec<u8>, script: &mut Script<'_>) {
    let from = script.number().min(text.len());
    let to = (from + script.number()).min(text.len());
    let count = script.byte();
    text.splice(from..to, script.bytes(count.into()).iter().copied());
}

/// Blocks are parts of the text, in order, each from a begin to the next end.
fn check_blocks(text: &str) {
    let blocks = certificate_blocks(text);
    let mut rest = text;
    for block in &blocks {
        let (_, after) = rest.split_once(block).unwrap();
        rest = after;
        let inner = block.strip_prefix(BEGIN).unwrap().strip_suffix(END).unwrap();
        assert!(!inner.contains(END));
    }
    let left = rest.split_once(BEGIN).is_some_and(|(_, inner)| inner.contains(END));
    assert!(!left, "one was left out");
    assert_eq!(certificate_blocks(&blocks.concat()), blocks);
}

/// A server that can be set up has a certificate and a key, and both belong together: the untouched
/// ones, or others that say the same.
fn check_server(certificate: &str, key: &str) {
    match ServerTls::new(certificate, key, true) {
        Ok(_) => {
            assert!(!certificate_blocks(certificate).is_empty());
            assert!(key.contains("PRIVATE KEY-----"));
        }
        Err(TlsError::NoKey) => assert!(!key.contains("PRIVATE KEY-----")),
        Err(error) => {
            let is_untouched = certificate == identity().certificate && key == identity().key;
            assert!(!is_untouched, "{error}");
        }
    }
}
