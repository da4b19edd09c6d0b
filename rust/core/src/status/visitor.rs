//! One connection to the status endpoint: a request, its answer, the end.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;

use super::Source;
use super::answer::{Answer, Question};
use crate::notice::Notices;
use crate::transport::plain;
use crate::upgrade::head::HeadFinder;

/// Largest request in bytes. Watchers send a few hundred.
const MAX_REQUEST: usize = 8 * 1024;
/// Bytes behind a request that are read, so that the kernel need not reset the connection and take
/// the answer back.
const MAX_REST: usize = 64 * 1024;

/// Whether a visitor is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Waits,
    Done,
}

pub(super) struct Visitor<S = TcpStream> {
    stream: S,
    remote: SocketAddr,
    limit: Option<Instant>,
    stage: Stage,
}

enum Stage {
    /// The request has not come completely.
    Asking { request: Vec<u8>, finder: HeadFinder },
    /// The answer, from the byte on that is to be written next.
    Answering { answer: Vec<u8>, written: usize },
    /// The answer has been written. What else comes is read until the other side ends.
    Leaving { rest: usize },
}

/// A stream whose sending half can be ended alone.
pub(super) trait Stream: Read + Write {
    fn end_writing(&mut self);
}

impl Stream for TcpStream {
    fn end_writing(&mut self) {
        // An error means that the connection has gone, which the next read will say.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl<S: Stream> Visitor<S> {
    pub(super) fn new(stream: S, remote: SocketAddr, limit: Option<Instant>) -> Self {
        let finder = HeadFinder::new(MAX_REQUEST);
        let stage = Stage::Asking { request: Vec::new(), finder };
        Self { stream, remote: plain(remote), limit, stage }
    }

    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.limit.is_some_and(|limit| now > limit)
    }

    /// Goes as far as the stream lets it. An error of the stream is an end like any other: nobody
    /// can be told.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        source: &dyn Source,
        notices: &mut Notices,
    ) -> Step {
        loop {
            match self.step(now, source, notices) {
                Ok(true) => return Step::Done,
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Waits,
                Err(_) => return Step::Done,
            }
        }
    }

    /// Reads or writes once; true at the end.
    fn step(
        &mut self,
        now: Instant,
        source: &dyn Source,
        notices: &mut Notices,
    ) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        match &mut self.stage {
            Stage::Asking { request, finder } => {
                let count = self.stream.read(&mut buffer)?;
                if count == 0 {
                    return Ok(true);
                }
                request.extend_from_slice(&buffer[..count]);
                let question = match finder.find(request) {
                    Ok(None) => return Ok(false),
                    Ok(Some(len)) => Question::parse(&request[..len]),
                    Err(error) => Err(error.into()),
                };
                let answer = match question {
                    Ok(question) => Answer::to(&question, source),
                    Err(refusal) => {
                        let remote = self.remote;
                        notices.verbose(now, format_args!("status endpoint: {remote}: {refusal}"));
                        Answer::refusing(&refusal)
                    }
                };
                self.stage = Stage::Answering { answer: answer.to_bytes(), written: 0 };
            }
            Stage::Answering { answer, written } => {
                let count = self.stream.write(&answer[*written..])?;
                if count == 0 {
                    return Ok(true);
                }
                *written += count;
                if *written == answer.len() {
                    self.stream.end_writing();
                    self.stage = Stage::Leaving { rest: MAX_REST };
                }
            }
            Stage::Leaving { rest } => {
                let count = self.stream.read(&mut buffer)?;
                *rest = rest.saturating_sub(count);
                return Ok(count == 0 || *rest == 0);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Snapshot;
    use crate::status::Unready;

    struct Nothing;

    impl Source for Nothing {
        fn readiness(&self) -> Result<(), Unready> {
            Err(Unready::Draining)
        }

        fn snapshot(&self) -> Snapshot {
            Snapshot::default()
        }
    }

    /// Gives and takes so many bytes each time that it is asked for.
    struct Trickle {
        incoming: Vec<u8>,
        outgoing: Vec<u8>,
        /// Bytes that may still be read and written before the next turn.
        turn: usize,
        has_ended: bool,
    }

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.turn == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.turn.min(self.incoming.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.incoming[..count]);
            self.incoming.drain(..count);
            self.turn -= count;
            if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        }
    }

    impl Write for Trickle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.turn.min(bytes.len());
            self.outgoing.extend_from_slice(&bytes[..count]);
            self.turn -= count;
            if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Trickle {
        fn end_writing(&mut self) {
            self.has_ended = true;
        }
    }

    /// The answer to `request` when so many bytes come and go at a time.
    fn ask(request: &[u8], at_a_time: usize) -> (String, Step) {
        let stream =
            Trickle { incoming: request.to_vec(), outgoing: Vec::new(), turn: 0, has_ended: false };
        let mut visitor = Visitor::new(stream, ([127, 0, 0, 1], 1).into(), None);
        let (now, mut notices) = (Instant::now(), Notices::default());
        let mut step = Step::Waits;
        for _ in 0..200_000 {
            visitor.stream.turn = at_a_time;
            step = visitor.advance(now, &Nothing, &mut notices);
            if step == Step::Done || visitor.stream.has_ended && visitor.stream.incoming.is_empty()
            {
                break;
            }
        }
        assert!(visitor.stream.has_ended);
        (String::from_utf8_lossy(&visitor.stream.outgoing).into_owned(), step)
    }

    #[test]
    fn the_answer_does_not_depend_on_the_pieces() {
        let request = b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n";
        let (whole, _) = ask(request, 100_000);
        assert!(whole.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{whole}");
        assert!(whole.ends_with("\r\n\r\ndraining\n"), "{whole}");
        for at_a_time in [1, 2, 7, 100] {
            assert_eq!(ask(request, at_a_time).0, whole);
        }
        for at_a_time in [1, 4096] {
            let (answer, _) = ask(&[b'a'; 20_000], at_a_time);
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
    }

    #[test]
    fn who_goes_on_sending_is_read_up_to_a_bound() {
        let mut request = b"POST /metrics HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
        request.resize(MAX_REST, b'x');
        assert_eq!(ask(&request, 1000).1, Step::Waits);
        request.resize(2 * MAX_REST, b'x');
        assert_eq!(ask(&request, 1000).1, Step::Done);
    }
}
