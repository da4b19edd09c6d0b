//! The URL of a server.
//!
//! Input: the text.

use mio_websocket_core::config::ConnectionConfig;
use mio_websocket_core::connection::Target;
use mio_websocket_core::dial::Resolve;
use mio_websocket_core::upgrade::client;
use mio_websocket_core::url::Url;

use crate::identity;
use crate::reference::upgrade::{self, Fate};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Never has an answer.
struct Nobody;

impl Resolve for Nobody {
    fn poll(&mut self) -> Option<Result<Vec<std::net::IpAddr>, String>> {
        None
    }
}

/// See the [module](self).
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let url = Url::parse(text);
    // For wss the name must also be one that a certificate can have.
    let target = Target::new(text, |_| Box::new(Nobody), || Ok(identity::client_options()));
    let Ok(url) = url else {
        assert!(target.is_err());
        return;
    };
    assert!(target.is_ok() || url.secure, "{url:?}");
    assert!(!text.contains(char::is_control));
    assert!(url.port != 0 && url.target.starts_with('/'), "{url:?}");
    // The engine's classes know no user and no fragment on the wire.
    assert!(!url.host.contains(['@', '#', '/', '?']) && !url.target.contains('#'), "{url:?}");

    // Written down and read again it is the same.
    let scheme = if url.secure { "wss" } else { "ws" };
    let again = format!("{scheme}://{}{}", url.host_header(), url.target);
    assert_eq!(Url::parse(&again).as_ref(), Ok(&url), "{again}");

    // A server reads from the request what stands in the URL, and no line more.
    let request = client::request(&url, KEY, &ConnectionConfig::default());
    let lines = request.split(|byte| *byte == b'\n').count();
    assert_eq!(lines, 8, "{}", String::from_utf8_lossy(&request));
    let Fate::Accepted { len, terms } = upgrade::request(&request) else {
        panic!("no server takes {}", String::from_utf8_lossy(&request));
    };
    assert_eq!(
        (len, terms.target, terms.host),
        (request.len(), url.target.clone(), url.host_header())
    );
}
