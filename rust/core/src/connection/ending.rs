//! Ending a connection, and how it ended.

use std::io;

use bytes::BytesMut;

use super::{Connection, Stage};
use crate::error::Failure;
use crate::websocket::close::{ABNORMAL, NO_CODE};
use crate::websocket::{self, CloseFrame};

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The code of the close frame: ours, if we closed first or failed the connection, else the one
    /// received. [`NO_CODE`] for a frame without one, [`ABNORMAL`] without a frame.
    pub code: u16,
    /// The reason in that frame; the cause in words, if the connection failed.
    pub reason: String,
    /// Somebody closed the connection with a close frame, and it was no failure that we found.
    pub was_clean: bool,
}

impl Connection {
    /// How the connection ended, or how it is being ended.
    ///
    /// A close of ours counts from the call on, whatever comes of the answer to it: what is told
    /// does not depend on how fast the other side is.
    #[must_use]
    pub fn ending(&self) -> Ending {
        if let Some(frame) = &self.own_close {
            return Ending::clean(frame);
        }
        if let Some(failure) = &self.failure {
            let code = failure.close_code().unwrap_or(ABNORMAL);
            return Ending { code, reason: failure.to_string(), was_clean: false };
        }
        match u16::try_from(self.close_code) {
            Ok(code) => Ending::clean(&CloseFrame::new(code, &self.close_reason)),
            Err(_) => Ending { code: ABNORMAL, reason: String::new(), was_clean: false },
        }
    }

    /// Whether it was this side that closed the connection, and not for a failure.
    pub(crate) fn is_closed_here(&self) -> bool {
        self.own_close.is_some()
    }

    /// The HTTP status of the answer that refused the upgrade, or 0, and its body, cut at
    /// [`MAX_BODY`](crate::upgrade::MAX_BODY) bytes.
    pub(crate) fn refused_with(&self) -> (u16, &str) {
        let status = match &self.failure {
            Some(Failure::Answer(error)) => error.status().unwrap_or(0),
            _ => 0,
        };
        (status, self.refusal.as_deref().unwrap_or_default())
    }

    /// Starts the closing handshake with `code` (0: none) and `reason`; below 0 the stream is ended
    /// without one. Messages that have not been taken are dropped. A connection that is not open
    /// yet is given up; one that is closing or closed stays as it is.
    pub fn close(&mut self, code: i32, reason: &str) {
        self.inbox.clear();
        self.inbox_bytes = 0;
        self.forget_held();
        match (&mut self.stage, u16::try_from(code)) {
            (Stage::Open(socket), Ok(code)) => {
                let frame = CloseFrame::new(code, reason);
                if socket.state() == websocket::State::Open {
                    socket.close(&frame, &mut self.outbox);
                    self.own_close = self.failure.is_none().then(|| Box::new(frame));
                }
                self.flush();
                self.call_attention();
            }
            (Stage::Ending | Stage::Closed, _) => {}
            _ => self.drop_stream(),
        }
    }

    /// Leaves the connection: what is queued is still written, then the stream is ended, in later
    /// polls if it has to be.
    pub fn leave(&mut self) {
        match self.stage {
            Stage::Open(_) => self.end(),
            Stage::Ending | Stage::Closed => {}
            _ => self.drop_stream(),
        }
    }

    /// Ends the connection within this call: what the kernel does not take now is lost.
    pub fn leave_now(&mut self) {
        self.leave();
        self.flush();
        self.drop_stream();
    }

    /// Gives up a handshake for newer ones; what is being refused has its answer and goes at once.
    pub(crate) fn displace(&mut self) {
        let failure = Failure::Displaced(self.phase());
        self.failure.get_or_insert(failure);
        self.leave_now();
    }

    /// Ends the connection because its first message is not an id, or because none has come in time.
    pub(crate) fn leave_without_id(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.close(i32::from(websocket::close::NORMAL), "");
    }

    /// Ends the connection to make room for others.
    pub(crate) fn shed(&mut self) {
        self.failure.get_or_insert(Failure::Memory);
        self.close(i32::from(websocket::close::TRY_AGAIN_LATER), "Out of memory");
        self.leave_now();
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.drop_stream();
    }

    /// Nothing more can be written. What the other side sent before it went is still read.
    pub(super) fn break_off(&mut self, error: &io::Error) {
        self.broken = Some(Failure::of_stream(self.phase(), error));
        self.outbox.clear();
        self.forget_held();
        self.read_ended = true;
        self.call_attention();
    }

    /// Goes over to writing what is left and ending the stream.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Ending;
        self.limit = None;
        self.phases = None;
        self.greeting = None;
        self.place = None;
        self.unread = BytesMut::new();
        self.forget_held();
        self.call_attention();
    }

    pub(super) fn drop_stream(&mut self) {
        if let Stage::Asking(asking) = &self.stage {
            self.refusal = asking.refusal.as_ref().map(|body| body.text(&self.unread).into());
        }
        self.stage = Stage::Closed;
        self.limit = None;
        self.phases = None;
        self.greeting = None;
        self.place = None;
        self.outbox.clear();
        self.unread = BytesMut::new();
        self.forget_held();
        if let Some(transport) = self.transport.take() {
            self.numbers.wire = transport.end();
        }
        self.call_attention();
    }

    /// Drops packets that are held back and cannot be sent any more, and counts anew what is left.
    pub(super) fn forget_held(&mut self) {
        if let Some(stale) = &mut self.stale {
            stale.clear();
        }
        self.count_memory();
    }
}

impl Ending {
    fn clean(frame: &CloseFrame) -> Self {
        let code = frame.code.unwrap_or(NO_CODE);
        Self { code, reason: frame.reason.clone(), was_clean: true }
    }
}
