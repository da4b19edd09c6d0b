//! The example of a server behind a proxy, with a client that says what a proxy would say.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use super::status::number;
use super::{LIMIT, Stage};

/// What the player has made up, and what the proxy has added.
const FORWARDED: &str = "198.51.100.9, 203.0.113.7";

/// The proxy's word counts if it is trusted, and nobody else's.
pub(super) fn proxy(stage: &Stage<'_>) -> Result<()> {
    for (trust, address) in [("127.0.0.0/8", "203.0.113.7"), ("192.0.2.1", "127.0.0.1")] {
        let arguments = ["--port=0".to_owned(), format!("--trust={trust}")];
        let mut server = stage.start("proxy/server", &arguments)?;
        let port = number(server.says("Listening on port ")?)?;
        let stream = join(port)?;
        server.says(&format!(" joined from {address}."))?;
        drop(stream);
        server.says(" left.")?;
        server.stop(&[])?;
    }
    Ok(())
}

/// A player's connection with the header.
fn join(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("no server")?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         X-Forwarded-For: {FORWARDED}\r\n\r\n"
    )?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).context("no answer")?;
    ensure!(&answer == b"HTTP/1.1 101", "the answer is {:?}", String::from_utf8_lossy(&answer));
    Ok(stream)
}
