//! The example of a server that asks who is coming, and a web site that knows its players.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{IN_VAIN, Stage, lasting_port};

/// A session that the site knows.
const SESSION: &str = "a7c1e9";

/// Clients with good and bad tickets and sessions.
pub(super) fn admission(stage: &Stage<'_>) -> Result<()> {
    let port = lasting_port()?;
    let server = [
        format!("--port={port}"),
        "--bind=127.0.0.1".to_owned(),
        "--secret=between us".to_owned(),
        format!("--accounts=http://127.0.0.1:{}/session", accounts()?),
    ];
    let mut server = stage.start("admission/server", &server)?;
    server.says("Listening")?;
    let url = format!("--url=ws://127.0.0.1:{port}");
    let session = format!("--session={SESSION}");
    let comes_in = [
        (["--secret=between us", "--user=Zoë"].as_slice(), "In as Zoë.", "Zoë joined."),
        (&[&session], "In as Bob.", "Bob joined."),
    ];
    for (arguments, says, heard) in comes_in {
        let mut client = stage.start("admission/client", &with(&url, arguments))?;
        client.says(says)?;
        client.ends(&[])?;
        server.says(heard)?;
    }
    let unknown = "Not let in: 403 Not known here";
    let stays_out: [(&[&str], &str); 4] = [
        (&[], "Not let in: 401 A ticket or a session is needed."),
        (&["--secret=a guess"], unknown),
        (&["--ticket=416e6e.99999999999.00"], unknown),
        (&["--session=a guess"], unknown),
    ];
    for (arguments, says) in stays_out {
        let mut client = stage.start("admission/client", &with(&url, arguments))?;
        client.says(says)?;
        client.ends(&IN_VAIN)?;
    }
    server.stop(&["between us", SESSION])
}

fn with(url: &str, arguments: &[&str]) -> Vec<String> {
    let arguments = arguments.iter().map(|&argument| argument.to_owned());
    [url.to_owned()].into_iter().chain(arguments).collect()
}

/// A site that takes its time to say whose session it is; its port.
fn accounts() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who does not ask properly gets no answer.
            let _ = tell(stream);
        }
    });
    Ok(port)
}

fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
    thread::sleep(Duration::from_millis(200));
    let known = format!("authorization: bearer {SESSION}");
    let is_known = head.iter().any(|line| line.to_lowercase() == known);
    let (status, body) = if is_known { ("200 OK", "Bob\n") } else { ("401 Unauthorized", "") };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
