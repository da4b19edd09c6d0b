//! What the reactor calls: readiness, deadlines, and the way of the bytes from the socket to the
//! inbox.

use std::io;
use std::time::{Duration, Instant};

use bytes::Buf;
use mio::{Registry, Token};

use super::heartbeat::{Beat, Heartbeat};
use super::keepalive::{Seen, Verdict};
use super::{Connection, Context, Driven, READS_IN_A_ROW, Stage, State};
use crate::config::{CLOSE_TIMEOUT, READ_SIZE};
use crate::error::{Failure, Phase};
use crate::proxy::header::MAX_SIZE;
use crate::transport::{Received, Transport};
use crate::websocket;

impl Connection {
    /// Gives the connection the name under which it is registered and its place in the order of
    /// arrival.
    pub(crate) fn attach(
        &mut self,
        registry: &Registry,
        token: Token,
        serial: u64,
    ) -> io::Result<()> {
        self.token = token;
        self.serial = serial;
        match &mut self.transport {
            Some(transport) => transport.register(registry, token),
            None => Ok(()),
        }
    }

    /// The name under which the connection is registered.
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Ends the connection because the system would not watch its socket.
    pub(crate) fn refuse(&mut self, error: &io::Error) {
        self.fail(Failure::of_stream(self.phase(), error));
    }

    /// Whether there may be something to do before the system tells of it.
    pub(crate) fn starts_ready(&self) -> bool {
        matches!(self.stage, Stage::Dialing(_))
    }

    /// Whether nothing tells when there is something to do, so that each poll has to look.
    pub(crate) fn needs_polling(&self) -> bool {
        match &self.stage {
            Stage::Dialing(dialing) => dialing.dial.needs_polling(),
            _ => self.transport.as_ref().is_some_and(Transport::is_foreign),
        }
    }

    /// When [`Connection::expire`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let dial = match &self.stage {
            Stage::Dialing(dialing) => dialing.dial.deadline(),
            _ => None,
        };
        let heartbeat = match &self.stage {
            Stage::Open(_) => self.heartbeat.as_ref().and_then(Heartbeat::deadline),
            _ => None,
        };
        let keepalive = self.look_at.filter(|_| self.state() == State::Open);
        let phase = self.phases.as_ref().and_then(|phases| phases.limit());
        let greeting = self.greeting.as_ref().map(|greeting| greeting.limit);
        let limits = self.limit.into_iter().chain(phase).chain(greeting);
        limits.chain(dial).chain(heartbeat).chain(keepalive).min()
    }

    /// Acts on a deadline that has come; [`Driven::More`] if the connection is to be driven.
    pub(crate) fn expire(&mut self, now: Instant) -> Driven {
        if self.is_read_first() { Driven::More } else { self.end_if_late(now) }
    }

    /// Whether what has arrived counts before the time does: a game that did not poll for a while
    /// finds what came in time. A server judges those who want to come in by the time first, as the
    /// engine's does.
    fn is_read_first(&self) -> bool {
        match self.stage {
            Stage::Dialing(_) | Stage::Asking(_) => true,
            Stage::Open(_) => self.greeting.is_none(),
            _ => false,
        }
    }

    /// Ends what takes too long; [`Driven::More`] if nothing does.
    fn end_if_late(&mut self, now: Instant) -> Driven {
        if self.limit.is_some_and(|limit| now > limit) {
            match self.stage {
                Stage::Ending | Stage::Closed => self.drop_stream(),
                Stage::Deciding(_) => self.give_up_deciding(),
                _ => self.fail(Failure::Timeout(self.phase())),
            }
            return Driven::Idle;
        }
        let phase = self.phases.as_ref().and_then(|phases| phases.limit());
        if phase.is_some_and(|limit| now > limit) {
            self.fail(Failure::Timeout(self.phase()));
            return Driven::Idle;
        }
        if self.greeting.as_ref().is_some_and(|greeting| now > greeting.limit) {
            self.fail(Failure::Timeout(Phase::Upgrade));
            return Driven::Idle;
        }
        Driven::More
    }

    /// Notes that the other side has ended its half of the stream.
    pub(crate) fn note_read_ended(&mut self) {
        self.read_ended = true;
    }

    /// Takes the connection off the attention list; starts the clock of a close.
    pub(crate) fn attend(&mut self, now: Instant) -> Driven {
        self.listed = false;
        let waits = match &self.stage {
            Stage::Open(socket) => socket.state() != websocket::State::Open,
            Stage::Ending => true,
            _ => false,
        };
        if waits && self.limit.is_none() {
            self.limit = Some(now + CLOSE_TIMEOUT);
        }
        self.flush();
        let first_ping = self.heartbeat.as_ref().is_some_and(|heart| heart.deadline().is_none());
        let can_read = self.is_held && self.has_room();
        self.is_held &= !can_read;
        let first_ping = first_ping && self.state() == State::Open;
        if self.broken.is_some() || self.is_doomed() || can_read || first_ping {
            Driven::More
        } else {
            Driven::Idle
        }
    }

    /// Whether the handshake goes on.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.state() == State::Connecting
    }

    /// Whether the handshake has succeeded, however long ago.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded
    }

    /// Whether the reactor can forget the connection.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// Does what can be done now: connects, reads, decodes.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> Driven {
        if let Stage::Dialing(_) = self.stage {
            self.dial(cx);
        }
        self.conclude();
        if let Stage::Open(socket) = &mut self.stage {
            socket.refill(cx.now, cx.caught_up);
        }
        let before = self.bytes_received();
        let driven = self.read(cx);
        let phase = self.phase();
        if let Some(phases) = &mut self.phases {
            phases.note(phase, cx.now);
        }
        self.count_memory();
        let has_more = driven == Driven::More || self.bytes_received() > before;
        let grace = if has_more { self.grace() } else { Duration::ZERO };
        let judged = cx.now.checked_sub(grace).unwrap_or(cx.now);
        if self.is_read_first() && self.end_if_late(judged) == Driven::Idle {
            return Driven::Idle;
        }
        // An answer may be among what has not been read yet.
        if driven == Driven::Idle && self.is_held {
            self.heartbeat.iter_mut().for_each(|heart| heart.postpone(cx.now));
        } else if driven == Driven::Idle {
            self.beat(cx.now);
            self.look(cx);
        }
        driven
    }

    fn bytes_received(&self) -> u64 {
        self.transport.as_ref().map_or(0, |transport| transport.wire_bytes().received)
    }

    /// For how long more is waited while something comes: the answer to a close frame is behind all
    /// that was sent before it, but not for ever.
    fn grace(&self) -> Duration {
        match &self.stage {
            Stage::Open(socket) if socket.state() != websocket::State::Open => CLOSE_TIMEOUT,
            _ => Duration::ZERO,
        }
    }

    /// The pings of `WebSocketPeer`.
    fn beat(&mut self, now: Instant) {
        let (Stage::Open(socket), Some(heart)) = (&mut self.stage, &mut self.heartbeat) else {
            return;
        };
        if socket.state() != websocket::State::Open {
            return;
        }
        match heart.beat(now, socket.take_pong()) {
            Beat::Nothing => {}
            Beat::Ping => socket.ping(&mut self.outbox),
            Beat::Dead => self.fail(Failure::Heartbeat),
        }
    }

    /// The pings of a multiplayer peer.
    fn look(&mut self, cx: &Context<'_>) {
        let (Stage::Open(socket), Some(keepalive)) = (&mut self.stage, &mut self.keepalive) else {
            return;
        };
        let pong = socket.take_answered();
        let is_due = pong.is_some() || self.look_at.is_some_and(|due| cx.now >= due);
        if !is_due || socket.state() != websocket::State::Open {
            return;
        }
        let heard = std::mem::take(&mut self.heard);
        let verdict = keepalive.look(Seen { now: cx.now, before: cx.caught_up, heard, pong });
        self.look_at = keepalive.deadline();
        match verdict {
            Verdict::Nothing => {}
            // What waits will show as well whether anything is answered, and one ping behind the
            // other would only take memory.
            Verdict::Ping(_) if self.write_blocked && !self.outbox.is_empty() => {}
            Verdict::Ping(number) => socket.ping_numbered(number, &mut self.outbox),
            Verdict::Dead => self.fail(Failure::Heartbeat),
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Driven {
        for turn in 0..READS_IN_A_ROW {
            if let Stage::Open(_) = self.stage {
                self.use_unread(cx);
            }
            if self.early_room() == 0 {
                if self.read_ended {
                    self.ended(self.broken.clone());
                }
                return Driven::Idle;
            }
            // What else has come, the end even, does not count any more.
            if self.is_doomed() {
                return Driven::Idle;
            }
            if !self.has_room() {
                self.is_held = true;
                return Driven::Idle;
            }
            if cx.budget.is_used_up() || turn > 0 && cx.budget.is_late() {
                return Driven::More;
            }
            let most = self.readable();
            if most == 0 {
                return Driven::Later;
            }
            let Some(transport) = &mut self.transport else {
                return Driven::Idle;
            };
            match transport.read(cx.scratch, most) {
                Ok(Received { count: 0, .. }) => {
                    self.ended(self.broken.clone());
                    return Driven::Idle;
                }
                Ok(Received { count, emptied }) => {
                    self.heard = true;
                    // Bytes cost whatever they are: what nobody wants any more, and what is not
                    // decoded yet.
                    cx.budget.bytes = cx.budget.bytes.saturating_sub(count);
                    let plain = std::mem::take(&mut cx.scratch.plain);
                    self.use_bytes(&plain[..count], cx);
                    cx.scratch.plain = plain;
                    if self.is_doomed() {
                        return Driven::Idle;
                    }
                    // What arrives later is told anew; but for an end that was told already, and on
                    // systems that tell again only after a read that would block.
                    let told = emptied && cfg!(target_os = "linux");
                    let has_more = self.can_decode() || self.has_early();
                    if told && !self.read_ended && self.broken.is_none() && !has_more {
                        return Driven::Idle;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.broken.take() {
                        Some(failure) => self.ended(Some(failure)),
                        // It was the end of another attempt to connect, under the same name.
                        None => self.read_ended = false,
                    }
                    return Driven::Idle;
                }
                Err(error) => {
                    let failure = Failure::of_stream(self.phase(), &error);
                    let failure = self.broken.take().unwrap_or(failure);
                    self.ended(Some(failure));
                    return Driven::Idle;
                }
            }
        }
        Driven::More
    }

    fn use_bytes(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        match self.stage {
            Stage::Proxied(_) | Stage::Asking(_) | Stage::Answering(_) => {
                self.unread.extend_from_slice(bytes);
                self.read_proxy_header(cx);
                self.upgrade(cx.now, cx.door.as_mut());
                if let Stage::Open(_) = self.stage {
                    self.use_unread(cx);
                }
            }
            Stage::Deciding(_) => self.unread.extend_from_slice(bytes),
            Stage::Open(_) if self.unread.is_empty() => {
                let used = self.decode(bytes, cx);
                self.unread.extend_from_slice(&bytes[used..]);
            }
            Stage::Open(_) => {
                self.unread.extend_from_slice(bytes);
                self.use_unread(cx);
            }
            // Nobody wants it any more.
            Stage::Dialing(_) | Stage::Ending | Stage::Closed => {}
        }
    }

    /// Decodes what was left over by an earlier read.
    fn use_unread(&mut self, cx: &mut Context<'_>) {
        if self.unread.is_empty() {
            return;
        }
        let mut unread = std::mem::take(&mut self.unread);
        let used = self.decode(&unread, cx);
        unread.advance(used);
        if !unread.is_empty() {
            self.unread = unread;
        }
    }

    /// Decodes messages until the bytes, the inbox or the budget are used up; the bytes used.
    fn decode(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> usize {
        let Stage::Open(socket) = &mut self.stage else {
            return bytes.len();
        };
        let mut input = bytes;
        let (before, bytes_before) = (self.inbox.len(), self.inbox_bytes);
        while self.inbox.len() < self.inbox_limit {
            let frames = &mut cx.budget.frames;
            let message = socket.receive(&mut input, cx.arena, &mut self.outbox, frames);
            let Some(message) = message else { break };
            self.inbox_bytes += message.data.len();
            self.inbox.push_back(message);
        }
        self.numbers.packets_received += (self.inbox.len() - before) as u64;
        self.numbers.bytes_received += (self.inbox_bytes - bytes_before) as u64;
        self.is_held |= self.inbox.len() >= self.inbox_limit;
        let used = bytes.len() - input.len();
        if self.is_doomed() && !self.inbox.is_empty() {
            // The messages before can be answered until the next poll.
            self.call_attention();
        } else {
            self.conclude();
        }
        used
    }

    /// Whether the other side has broken a rule, for which the connection has still to fail.
    fn is_doomed(&self) -> bool {
        match &self.stage {
            Stage::Open(socket) => {
                socket.violation().is_some() && socket.state() != websocket::State::Closed
            }
            _ => false,
        }
    }

    /// Acts on what the WebSocket has come to.
    fn conclude(&mut self) {
        let Stage::Open(socket) = &mut self.stage else {
            return;
        };
        socket.conclude(&mut self.outbox);
        if socket.state() == websocket::State::Closed {
            if let Some(frame) = socket.received_close() {
                self.close_code = frame.code.map_or(0, i32::from);
                self.close_reason.clone_from(&frame.reason);
            }
            if let Some(violation) = socket.violation() {
                self.failure.get_or_insert(Failure::Violation(violation));
            }
            self.end();
        }
    }

    /// Whether bytes are left over that only the budget has kept from being decoded.
    fn can_decode(&self) -> bool {
        matches!(self.stage, Stage::Open(_)) && !self.unread.is_empty() && self.has_room()
    }

    /// Whether bytes wait of which the system does not tell.
    fn has_early(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::has_early)
    }

    /// Bytes that may be read at once: fewer where the memory limit is near. Where the other side
    /// has ended its half, that must be found out.
    fn readable(&self) -> usize {
        let most = match self.stage {
            // What is behind the header may be for TLS.
            Stage::Proxied(_) => MAX_SIZE,
            _ => READ_SIZE.min(self.early_room()),
        };
        if self.read_ended { most } else { self.charge.room(self.received()).min(most) }
    }

    /// Bytes that are still taken of one that sends before it has an answer.
    fn early_room(&self) -> usize {
        match self.stage {
            Stage::Deciding(_) => self.config.max_request_size.saturating_sub(self.unread.len()),
            _ => usize::MAX,
        }
    }

    fn has_room(&self) -> bool {
        self.inbox.len() < self.inbox_limit
    }

    /// The other side's end of the stream has been read.
    fn ended(&mut self, failure: Option<Failure>) {
        match self.stage {
            Stage::Ending | Stage::Closed => {
                self.flush();
                self.drop_stream();
            }
            _ => self.fail(failure.unwrap_or_else(|| Failure::Ended(self.phase()))),
        }
    }
}
