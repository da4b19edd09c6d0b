//! Close codes and reasons: RFC 6455, section 7.4, with the registry's later additions.

/// A normal end.
pub const NORMAL: u16 = 1000;
/// The endpoint is going away: a server that stops, a page that is left.
pub const GOING_AWAY: u16 = 1001;
/// The other side broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// Stands for a close frame without a code; never on the wire.
pub const NO_CODE: u16 = 1005;
/// Stands for an end without a close frame; never on the wire.
pub const ABNORMAL: u16 = 1006;
/// Text that is not UTF-8.
pub const INVALID_DATA: u16 = 1007;
/// A limit that the endpoint sets: `max_fragments`, `inbound_packets_per_second`,
/// `inbound_bytes_per_second`.
pub const POLICY_VIOLATION: u16 = 1008;
/// A message over `inbound_buffer_size`.
pub const TOO_BIG: u16 = 1009;
/// The other side reads too slowly; it may try again. Of the registry.
pub const TRY_AGAIN_LATER: u16 = 1013;

/// Longest reason in bytes: a control frame carries 125 bytes, two of them are the code.
pub const MAX_REASON: usize = 123;

/// What a close frame carries.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CloseFrame {
    /// The code, or `None` for an empty frame.
    pub code: Option<u16>,
    /// The reason, at most [`MAX_REASON`] bytes.
    pub reason: String,
}

impl CloseFrame {
    /// A frame with `code` (0 or less: none) and as much of `reason` as fits.
    ///
    /// A reason that is too long is cut at a character boundary: the close itself must not be lost.
    #[must_use]
    pub fn new(code: u16, reason: &str) -> Self {
        if code == 0 {
            return Self::default();
        }
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { code: Some(code), reason: reason[..end].to_owned() }
    }

    /// Reads the payload of a received close frame.
    ///
    /// # Errors
    /// The code to fail the connection with: [`PROTOCOL_ERROR`] for half a code or one that must
    /// not be on the wire, [`INVALID_DATA`] for a reason that is not UTF-8.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, u16> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(Self::default()) } else { Err(PROTOCOL_ERROR) };
        };
        let code = u16::from_be_bytes(*code);
        if !is_valid(code) {
            return Err(PROTOCOL_ERROR);
        }
        let reason = std::str::from_utf8(reason).map_err(|_| INVALID_DATA)?;
        Ok(Self { code: Some(code), reason: reason.to_owned() })
    }

    /// Appends the payload of the frame.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Some(code) = self.code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(self.reason.as_bytes());
        }
        payload
    }
}

/// The code, if it may stand in a close frame.
#[must_use]
pub fn sendable(code: i64) -> Option<u16> {
    u16::try_from(code).ok().filter(|code| is_valid(*code))
}

/// Whether `code` may stand in a close frame.
#[must_use]
pub fn is_valid(code: u16) -> bool {
    // 1004 to 1006 and 1015 are never sent: RFC 6455, section 7.4.1. 1012 to 1014 were registered
    // later.
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_registry_are_valid() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014] {
            assert!(is_valid(code), "{code}");
        }
        for code in [3000, 3999, 4000, 4999] {
            assert!(is_valid(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!is_valid(code), "{code}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = CloseFrame::new(1000, &"é".repeat(100));
        assert_eq!(frame.reason, "é".repeat(61));
        assert_eq!(frame.payload().len(), 124);
        assert_eq!(CloseFrame::new(1000, &"r".repeat(123)).reason.len(), 123);
    }

    #[test]
    fn payloads_round_trip() {
        for frame in
            [CloseFrame::default(), CloseFrame::new(4001, "bye"), CloseFrame::new(1000, "")]
        {
            assert_eq!(CloseFrame::parse(&frame.payload()).unwrap(), frame);
        }
    }

    #[test]
    fn bad_payloads_name_the_code_to_fail_with() {
        assert_eq!(CloseFrame::parse(&[3]), Err(PROTOCOL_ERROR));
        assert_eq!(CloseFrame::parse(&[3, 231]), Err(PROTOCOL_ERROR));
        assert_eq!(CloseFrame::parse(&[3, 232, 0xff]), Err(INVALID_DATA));
    }
}
