//! What a proxy says of whose connection it passes on.
//!
//! Input: a byte that chooses a header. Then for the PROXY header what comes first on a connection;
//! for the others what a player, who wants to be somebody else, puts into one before the proxy
//! appends what it knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio_websocket_core::config::ProxyConfig;
use mio_websocket_core::proxy::forwarded::player;
use mio_websocket_core::proxy::header::{self, Beginning, MAX_SIZE};
use mio_websocket_core::proxy::{set_header, set_trusted};
use mio_websocket_core::upgrade::{Request, RequestReader};

use crate::script::Script;

const PROXY: &str = "10.0.0.1:443";
const STRANGER: &str = "198.51.100.1:443";
const PLAYER: &str = "203.0.113.9";

/// See the [module](self).
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.below(4) {
        0 => check_beginning(script.rest()),
        1 => check_header("X-Forwarded-For", PLAYER, script),
        2 => check_header("Forwarded", &format!("for={PLAYER};proto=https"), script),
        _ => check_header("X-Real-IP", PLAYER, script),
    }
}

/// Bytes that trickle in are judged as those that come at once.
fn check_beginning(bytes: &[u8]) {
    let outcome = header::read(bytes);
    let is_decided = |end: &usize| header::read(&bytes[..*end]) != Ok(Beginning::More);
    let Some(end) = (0..=bytes.len()).find(is_decided) else {
        assert!(bytes.len() < MAX_SIZE, "it goes on for ever");
        return;
    };
    assert_eq!(header::read(&bytes[..end]), outcome, "pieces matter");
    let Ok(Beginning::Header { len, source }) = outcome else { return };
    assert_eq!(len, end, "it was complete before, or is not");
    if let Some(source) = source {
        assert_eq!(Some(plain(source)), said(&bytes[..len]), "somebody else");
    }
}

/// The source in a header that is known to be valid.
fn said(header: &[u8]) -> Option<SocketAddr> {
    if header.starts_with(b"PROXY ") {
        let fields: Vec<&str> = str::from_utf8(header).ok()?.trim_end().split(' ').collect();
        return Some(plain(SocketAddr::new(fields[2].parse().ok()?, fields[4].parse().ok()?)));
    }
    let addresses = &header[16..];
    let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
    Some(match header[13] >> 4 {
        1 => (Ipv4Addr::from_octets(addresses[..4].try_into().ok()?), port(8)).into(),
        2 => plain((Ipv6Addr::from_octets(addresses[..16].try_into().ok()?), port(32)).into()),
        _ => return None,
    })
}

fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whatever a player writes, the server knows it by what the proxy appends.
fn check_header(name: &str, appended: &str, mut script: Script<'_>) {
    let mut config = ProxyConfig::default();
    set_trusted(&mut config, &["10.0.0.0/8".to_owned()]).unwrap();
    set_header(&mut config, name).unwrap();
    let in_two_lines = script.flag();
    let forged: String = String::from_utf8_lossy(script.rest())
        .chars()
        .map(|char| if char.is_control() { '?' } else { char })
        .collect();
    let lines = match (name, in_two_lines) {
        // It has one address, which the proxy puts in place of any other.
        ("X-Real-IP", _) => format!("{name}: {appended}\r\nX: {forged}\r\n"),
        (_, true) => format!("{name}: {forged}\r\n{name}: {appended}\r\n"),
        (_, false) => format!("{name}: {forged}, {appended}\r\n"),
    };
    if let Some(request) = request(&lines, &forged) {
        let stranger: SocketAddr = STRANGER.parse().unwrap();
        assert_eq!(player(&request, &config, stranger), stranger, "it is no proxy");
        let known = player(&request, &config, PROXY.parse().unwrap());
        assert_eq!(known.ip(), PLAYER.parse::<IpAddr>().unwrap(), "{lines}");
    }
    // Without the proxy's part anybody may come out, or nobody.
    if let Some(request) = request(&format!("{name}: {forged}\r\n"), &forged) {
        let _ = player(&request, &config, PROXY.parse().unwrap());
        request.query();
        request.cookies();
    }
}

/// A request with these header lines, and `forged` wherever else a player can write; none if no
/// server takes it.
fn request(lines: &str, forged: &str) -> Option<Request> {
    let target: String = forged.chars().filter(|char| char.is_ascii_graphic()).collect();
    let head = format!(
        "GET /?{target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Cookie: {forged}\r\n{lines}\r\n"
    );
    RequestReader::default().read(head.as_bytes()).ok().flatten().map(|(request, _)| request)
}
