//! The client's side of the multiplayer rules: one connection, whose first message is our id.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use super::SERVER_ID;
use super::ends::ConnectionError;
use super::inbox::{Event, Inbox};
use crate::config::{ConnectionConfig, PhaseTimeouts, PollBudget};
use crate::connection::{Delivery, DialLimit, SharedConnection, State, Target};
use crate::error::{Error, Failure, Phase};
use crate::notice::Notices;
use crate::reactor::{Reactor, SharedReactor};
use crate::stats::Stats;
use crate::websocket::close;

/// Bytes of a server's first message.
const ID_SIZE: usize = size_of::<i32>();

/// How a client is after a poll.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on.
    Going,
    /// Its end has been queued to be signalled.
    Ended,
    /// It did not come to a connection, which is not signalled.
    Failed,
}

pub(super) struct Client {
    reactor: SharedReactor,
    connection: SharedConnection,
    /// 0 until the server has given one.
    id: i32,
    limit: Option<Instant>,
    /// `peer_disconnected` is due in the next poll, or under way.
    end: End,
}

#[derive(PartialEq, Eq)]
enum End {
    Open,
    NextPoll,
    Signalled,
}

impl Client {
    /// Starts to connect; the id must be there by `limit`.
    pub(super) fn dial(
        target: Target,
        config: Rc<ConnectionConfig>,
        limit: Option<Instant>,
        timeouts: PhaseTimeouts,
        now: Instant,
    ) -> Result<Self, Error> {
        let mut reactor = Reactor::new()?;
        let dial_limit = DialLimit::Open { limit, timeouts, now };
        let connection = reactor.dial(target, config, dial_limit);
        connection.borrow_mut().expect_id(ID_SIZE);
        let reactor = Rc::new(RefCell::new(reactor));
        Ok(Self { reactor, connection, id: 0, limit, end: End::Open })
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    pub(super) fn is_connected(&self) -> bool {
        self.id != 0
    }

    pub(super) fn reactor(&self) -> &SharedReactor {
        &self.reactor
    }

    pub(super) fn connection(&self) -> &SharedConnection {
        &self.connection
    }

    /// Takes the id, then the messages, then notes the end.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        budget: &mut PollBudget,
        inbox: &mut Inbox,
        notices: &mut Notices,
        stats: &mut Stats,
    ) -> Outcome {
        let mut reactor = self.reactor.borrow_mut();
        reactor.poll(now, None, budget);
        while reactor.next_touched().is_some() {}
        let mut connection = self.connection.borrow_mut();
        let is_closed = connection.state() == State::Closed && !connection.is_read_on();
        // Becoming connected counts as well: the engine asks for the state once after a poll, and
        // would take an end in the same one for a connection that failed.
        let mut delivered = self.id == 0;
        if self.id == 0 {
            if let Some(first) = connection.receive() {
                let Some(id) = parse_id(&first.data) else {
                    connection.leave_without_id(Failure::InvalidId);
                    connection.report(now, notices, stats);
                    return Outcome::Failed;
                };
                self.id = id;
                inbox.push_event(Event::PeerConnected(SERVER_ID));
            } else if is_closed {
                connection.report(now, notices, stats);
                return Outcome::Failed;
            } else if self.limit.is_some_and(|limit| now > limit) {
                connection.leave_without_id(Failure::Timeout(Phase::Id));
                connection.report(now, notices, stats);
                return Outcome::Failed;
            } else {
                return Outcome::Going;
            }
        }
        while let Some(message) = connection.receive() {
            inbox.push(SERVER_ID, message.data);
            delivered = true;
        }
        if is_closed && self.end != End::Signalled {
            // As on a server: what came with the end can still be taken in this poll.
            if delivered && self.end == End::Open {
                self.end = End::NextPoll;
            } else {
                connection.report(now, notices, stats);
                self.end = End::Signalled;
                stats.closes.count(connection.ending().code);
                inbox.push_event(Event::PeerDisconnected(SERVER_ID));
                return Outcome::Ended;
            }
        }
        Outcome::Going
    }

    /// Writes what waits to be written.
    pub(super) fn flush(&self, now: Instant) {
        self.reactor.borrow_mut().flush(now);
    }

    /// Sends to the server.
    pub(super) fn send(
        &self,
        delivery: Delivery,
        data: &[u8],
        stats: &mut Stats,
    ) -> Result<(), Error> {
        let mut connection = self.connection.borrow_mut();
        let sent = connection.send_as(delivery, data);
        connection.flush_later();
        connection.count_sent(&sent, stats);
        sent
    }

    /// Starts the closing handshake with the server.
    pub(super) fn disconnect(&self, code: u16, reason: &str) {
        self.connection.borrow_mut().close(i32::from(code), reason);
    }

    /// What went wrong, if the connection has ended and something did.
    pub(super) fn connection_error(&self) -> Option<ConnectionError> {
        ConnectionError::of(&self.connection.borrow(), self.id != 0)
    }

    /// Ends the connection within this call.
    pub(super) fn close(&self, stats: &mut Stats) {
        let mut connection = self.connection.borrow_mut();
        connection.close(i32::from(close::NORMAL), "");
        connection.leave_now();
        if self.is_connected() && self.end != End::Signalled {
            stats.closes.count(connection.ending().code);
        }
    }
}

/// The id in a server's first message: four bytes, little-endian, at least 2.
fn parse_id(message: &[u8]) -> Option<i32> {
    let id = i32::from_le_bytes(message.try_into().ok()?);
    (id > SERVER_ID).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_four_bytes_and_at_least_two() {
        assert_eq!(parse_id(&[2, 0, 0, 0]), Some(2));
        assert_eq!(parse_id(&i32::MAX.to_le_bytes()), Some(i32::MAX));
        for bad in [1_i32, 0, -5] {
            assert_eq!(parse_id(&bad.to_le_bytes()), None);
        }
        for bad in [&[][..], &[1, 2, 3], &[7, 0, 0, 0, 0]] {
            assert_eq!(parse_id(bad), None);
        }
    }
}
