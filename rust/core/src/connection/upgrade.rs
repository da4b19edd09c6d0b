//! From a dial or an accepted socket to an open WebSocket.

use std::time::Instant;

use bytes::{Buf, BytesMut};

use super::keepalive::Keepalive;
use super::request::Deciding;
use super::{Asking, Connection, Context, Greeting, Stage, limit_after};
use crate::admission::Door;
use crate::config::BODY_TIMEOUT;
use crate::dial::Progress;
use crate::error::Failure;
use crate::rate::Rate;
use crate::transport::Transport;
use crate::upgrade::{AnswerError, Refusal, Request, client, server};
use crate::websocket::{Role, WebSocket};

impl Connection {
    pub(super) fn dial(&mut self, cx: &Context<'_>) {
        let Stage::Dialing(dialing) = &mut self.stage else {
            return;
        };
        match dialing.dial.advance(cx.now, cx.registry, self.token) {
            Progress::Pending => self.remote = dialing.dial.first_address().or(self.remote),
            Progress::Failed(failure) => self.fail(failure),
            Progress::Connected(transport) => {
                let secured = match &dialing.tls {
                    Some(tls) => transport.secure_client(tls),
                    None => Ok(transport),
                };
                let mut transport = match secured {
                    Ok(transport) => transport,
                    Err(error) => {
                        return self.fail(Failure::Tls(format!("tls cannot start: {error}")));
                    }
                };
                transport.set_no_delay(true);
                if dialing.only_connect {
                    self.limit = None;
                }
                self.remote = transport.remote();
                let key = client::new_key();
                let keeps_refusal = !dialing.only_connect;
                self.outbox.push_bytes(&client::request(&dialing.url, &key, &self.config));
                self.transport = Some(transport);
                self.stage =
                    Stage::Asking(Box::new(Asking { key, keeps_refusal, ..Asking::default() }));
                self.flush();
            }
        }
    }

    pub(super) fn upgrade(&mut self, now: Instant, door: Option<&mut Door<'_>>) {
        match &mut self.stage {
            Stage::Answering(reader) => {
                let judged = match reader.read(&self.unread) {
                    Ok(None) => return,
                    Ok(Some((request, len))) => {
                        self.use_head(len);
                        self.judge(request, now, door)
                    }
                    Err(refusal) => Err(refusal),
                };
                if let Err(refusal) = judged {
                    self.turn_away(refusal);
                }
            }
            Stage::Asking(asking) if asking.refusal.is_some() => self.read_refusal(),
            Stage::Asking(asking) => {
                let protocols = &self.config.supported_protocols;
                match asking.reader.read(&self.unread, &asking.key, protocols) {
                    Ok(None) => {}
                    Ok(Some((answer, len))) => {
                        self.use_head(len);
                        self.open(answer.protocol, now);
                    }
                    Err(error) => self.refused(error, now),
                }
            }
            _ => {}
        }
    }

    /// Lets the client in, or lets it wait for the decision of the server's owner. A place is looked
    /// for last: who does not fit is told so, also when the server is full, and does not come back in
    /// five seconds.
    fn judge(
        &mut self,
        request: Request,
        now: Instant,
        mut door: Option<&mut Door<'_>>,
    ) -> Result<(), Refusal> {
        if let (Some(door), Some(remote)) = (&mut door, &mut self.remote) {
            let (player, counted) = door.identify(&request, *remote, now);
            *remote = player;
            counted?;
        }
        let door = door.as_deref();
        door.map_or(Ok(()), |door| door.check(&request))?;
        let asks_owner = door.filter(|door| door.asks_owner());
        let supported = &self.config.supported_protocols;
        // Without any the owner chooses: one may be a token, which no list can name.
        let is_free = asks_owner.is_some() && supported.is_empty();
        let protocol = if is_free { None } else { server::choose_protocol(&request, supported)? };
        let place = door.map(|door| door.place(now)).transpose()?;
        let is_secure = self.transport.as_ref().is_some_and(Transport::is_secure);
        self.requested_url = request.requested_url(is_secure);
        if let Some(door) = asks_owner {
            // The place is taken when the owner accepts: who waits must keep nobody else out.
            let deciding = Deciding::new(request, protocol, door.places());
            self.stage = Stage::Deciding(Box::new(deciding));
            return Ok(());
        }
        self.place = place;
        let headers = &self.config.handshake_headers;
        self.outbox.push_bytes(&server::answer(&request, protocol.as_deref(), headers));
        self.open(protocol.unwrap_or_default(), now);
        Ok(())
    }

    /// Answers why the request is refused, and ends.
    pub(super) fn turn_away(&mut self, refusal: Refusal) {
        self.end_with(&refusal, Failure::Refused(refusal.clone()));
    }

    /// Ends with a refusal; for the log it is `failure`.
    pub(super) fn end_with(&mut self, refusal: &Refusal, failure: Failure) {
        self.outbox.push_bytes(&refusal.to_bytes());
        self.failure = Some(failure);
        self.end();
    }

    /// The server's answer cannot be used. If it is a refusal whose body is wanted the connection
    /// ends when that is there, or does not come soon.
    fn refused(&mut self, error: AnswerError, now: Instant) {
        let Stage::Asking(asking) = &mut self.stage else {
            return;
        };
        let refusal = asking.reader.take_refusal().filter(|_| asking.keeps_refusal);
        let Some((body, head_len)) = refusal else {
            return self.fail(Failure::Answer(error));
        };
        // Whatever ends the wait, this is the cause.
        self.failure = Some(Failure::Answer(error));
        asking.refusal = Some(body);
        self.use_head(head_len);
        self.limit = self.limit.into_iter().chain(limit_after(now, BODY_TIMEOUT)).min();
        self.read_refusal();
    }

    fn read_refusal(&mut self) {
        if let Stage::Asking(asking) = &self.stage
            && asking.refusal.as_ref().is_some_and(|body| body.is_complete(&self.unread))
        {
            self.drop_stream();
        }
    }

    /// Drops the bytes of a head that has been read.
    fn use_head(&mut self, len: usize) {
        self.unread.advance(len);
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    pub(super) fn open(&mut self, protocol: String, now: Instant) {
        self.protocol = protocol;
        let limit = self.limit.take().filter(|_| self.role == Role::Server);
        self.greeting = limit.map(|limit| Greeting { limit, end: self.outbox.end() });
        self.upgraded = true;
        self.numbers.opened = Some(now);
        self.phases = None;
        self.keepalive = Keepalive::new(self.config.keepalive, now);
        self.look_at = self.keepalive.as_ref().and_then(|keepalive| keepalive.deadline());
        let config = &self.config;
        let max_message = usize::try_from(config.inbound_buffer_size).unwrap_or(0);
        let (packets, bytes) = (config.inbound_packets_per_second, config.inbound_bytes_per_second);
        let rate = Rate::new(packets, bytes, now);
        let socket = WebSocket::new(self.role, max_message).limited(config.max_fragments, rate);
        self.stage = Stage::Open(socket);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::SocketAddr;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::PollBudget;
    use crate::connection::State;
    use crate::error::Phase;
    use crate::reactor::Reactor;
    use crate::transport::ByteStream;

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    const ANSWER: usize = 129;
    /// Its frame: two bytes of header, four of payload.
    const ID: usize = 6;

    /// Brings a request and takes a number of bytes.
    struct Reluctant {
        request: &'static [u8],
        takes: usize,
    }

    impl Read for Reluctant {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.request.read(buffer)? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.takes);
            self.takes -= count;
            if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl ByteStream for Reluctant {
        fn remote(&self) -> Option<SocketAddr> {
            None
        }

        fn set_no_delay(&mut self, _enabled: bool) {}

        fn shutdown(&mut self) {}

        fn is_secure(&self) -> bool {
            false
        }
    }

    /// What a connection to one that takes `takes` bytes comes to by the time limit; the server
    /// sends an id, or not, and goes on sending.
    fn outcome(takes: usize, with_id: bool) -> (State, Option<Failure>) {
        let (start, limit) = (Instant::now(), Duration::from_secs(3));
        let mut reactor = Reactor::new().unwrap();
        let stream = Box::new(Reluctant { request: REQUEST.as_bytes(), takes });
        let connection =
            reactor.adopt(Transport::foreign(stream), Rc::default(), Some(start + limit));
        let mut poll = |now| reactor.poll(now, None, &mut PollBudget::default());
        poll(start);
        assert_eq!(connection.borrow().state(), State::Open);
        if with_id {
            connection.borrow_mut().send_id(7);
        }
        connection.borrow_mut().send(crate::websocket::Kind::Binary, &[0; 1000]).unwrap();
        connection.borrow_mut().flush();
        poll(start + limit);
        assert_eq!(connection.borrow().state(), State::Open, "not too early");
        poll(start + limit + Duration::from_nanos(1));
        let connection = connection.borrow();
        (connection.state(), connection.failure().cloned())
    }

    #[test]
    fn an_end_that_was_told_and_is_not_there_is_forgotten() {
        let mut reactor = Reactor::new().unwrap();
        let stream = Box::new(Reluctant { request: REQUEST.as_bytes(), takes: usize::MAX });
        let connection = reactor.adopt(Transport::foreign(stream), Rc::default(), None);
        // As that of another attempt to connect, which has the same name.
        connection.borrow_mut().note_read_ended();
        reactor.poll(Instant::now(), None, &mut PollBudget::default());
        let connection = connection.borrow();
        assert_eq!((connection.state(), connection.read_ended), (State::Open, false));
    }

    #[test]
    fn the_handshake_is_over_when_the_answer_and_the_id_have_been_taken() {
        let late = || (State::Closed, Some(Failure::Timeout(Phase::Upgrade)));
        let open = || (State::Open, None);
        for (takes, with_id, expected) in [
            (0, false, late()),
            (ANSWER - 1, false, late()),
            (ANSWER, false, open()),
            (0, true, late()),
            (ANSWER, true, late()),
            (ANSWER + ID - 1, true, late()),
            (ANSWER + ID, true, open()),
            (ANSWER + ID + 500, true, open()),
        ] {
            assert_eq!(outcome(takes, with_id), expected, "{takes} {with_id}");
        }
    }
}
