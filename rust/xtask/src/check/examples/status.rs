//! The example of a server that is watched.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use super::{LIMIT, Stage};

/// A server for one player is ready until the player is in, and says so over HTTP.
pub(super) fn status(stage: &Stage<'_>) -> Result<()> {
    let arguments = ["--port=0", "--status-port=0", "--max-clients=1"].map(str::to_owned);
    let mut server = stage.start("status/server", &arguments)?;
    let port = number(server.says("Listening on port ")?)?;
    let status_port = number(server.says("Status at http://127.0.0.1:")?)?;
    let get = |path, part| is_answered(status_port, path, part);
    get("/healthz", "ok")?;
    get("/readyz", " 200 OK")?;
    get("/metrics", "mio_websocket_peers 0")?;
    let url = format!("--url=ws://127.0.0.1:{port}");
    let mut client = stage.start("reconnect/client", &[url])?;
    client.says("Connected")?;
    server.says("joined")?;
    get("/metrics", "mio_websocket_peers 1")?;
    get("/readyz", "full")?;
    client.stop(&[])?;
    server.says("bytes/s")?;
    get("/readyz", " 200 OK")?;
    server.stop(&[])
}

/// An HTTP server's answer has `part` in it.
fn is_answered(port: u16, path: &str, part: &str) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("no status endpoint")?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("no answer for {path}"))?;
    ensure!(answer.contains(part), "{path} has not {part:?} but {answer:?}");
    Ok(())
}

/// The number behind a text that ends in one, or in one and a full stop.
pub(super) fn number(line: &str) -> Result<u16> {
    let digits = line.trim_end_matches('.').rsplit(|letter: char| !letter.is_ascii_digit());
    digits.take(1).find_map(|digits| digits.parse().ok()).with_context(|| line.to_owned())
}
