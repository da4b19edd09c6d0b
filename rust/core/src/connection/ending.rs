//! How a connection ended, as its owner tells it.

use super::Connection;
use crate::error::Failure;
use crate::websocket::CloseFrame;
use crate::websocket::close::{ABNORMAL, NO_CODE};

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
}

impl Ending {
    fn clean(frame: &CloseFrame) -> Self {
        let code = frame.code.unwrap_or(NO_CODE);
        Self { code, reason: frame.reason.clone(), was_clean: true }
    }
}
