//! From core's types to the engine's and back.

use std::ops::RangeInclusive;
use std::time::Duration;

use godot::builtin::{PackedByteArray, PackedStringArray};
use godot::global::Error as GodotError;
use mio_websocket_core::error::Error;

/// The engine's code for an error of core.
pub(crate) fn error_code(error: &Error) -> GodotError {
    match error {
        Error::AlreadyInUse | Error::StatusEndpointInUse | Error::Listen { .. } => {
            GodotError::ERR_ALREADY_IN_USE
        }
        Error::Url(_) | Error::Header(_) | Error::BindAddress(_) | Error::Port(_) => {
            GodotError::ERR_INVALID_PARAMETER
        }
        Error::Proxy(_) => GodotError::ERR_INVALID_PARAMETER,
        Error::UnknownPeer(_) | Error::Tls(_) | Error::TlsSide | Error::Timeout => {
            GodotError::ERR_INVALID_PARAMETER
        }
        Error::OutOfRange { .. } | Error::Seconds | Error::CloseCode(_) | Error::NotOffered => {
            GodotError::ERR_INVALID_PARAMETER
        }
        Error::System(_) => GodotError::ERR_CANT_CREATE,
        Error::Unconfigured | Error::NoTls => GodotError::ERR_UNCONFIGURED,
        Error::Unavailable | Error::NotPending => GodotError::ERR_UNAVAILABLE,
        Error::Full => GodotError::ERR_BUSY,
        Error::OutOfMemory { .. } | Error::MemoryLimit { .. } => GodotError::ERR_OUT_OF_MEMORY,
        Error::NotOpen => GodotError::FAILED,
    }
}

/// Whether the engine's class says nothing about this in the log.
pub(crate) fn is_silent(error: &Error) -> bool {
    matches!(error, Error::Listen { .. })
}

/// The entries of an array of strings.
pub(crate) fn strings(array: &PackedStringArray) -> Vec<String> {
    array.as_slice().iter().map(ToString::to_string).collect()
}

/// An array of strings.
pub(crate) fn string_array(strings: &[String]) -> PackedStringArray {
    strings.iter().map(Into::into).collect()
}

/// Reads the bytes behind a pointer and size of the engine.
///
/// # Safety
/// `data` points to `size` readable bytes that nobody writes while the result is in use, or `size`
/// is 0 or less.
pub(crate) unsafe fn bytes<'a>(data: *const u8, size: i32) -> &'a [u8] {
    match usize::try_from(size) {
        Ok(size) if size > 0 && !data.is_null() => {
            // SAFETY: promised by the caller.
            unsafe { std::slice::from_raw_parts(data, size) }
        }
        _ => &[],
    }
}

/// A time limit in seconds, of which whole milliseconds count; `None` for 0 or less.
pub(crate) fn time_limit(seconds: f64) -> Option<Duration> {
    let limit = Duration::try_from_secs_f64(seconds).ok()?;
    (!limit.is_zero()).then(|| Duration::from_millis(limit.as_millis() as u64))
}

/// A time in seconds, above 0.
pub(crate) fn duration(seconds: f64) -> Result<Duration, Error> {
    let duration = Duration::try_from_secs_f64(seconds).ok();
    duration.filter(|duration| !duration.is_zero()).ok_or(Error::Timeout)
}

/// A time in seconds, 0 or more.
pub(crate) fn time(seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds).map_err(|_| Error::Seconds)
}

/// A whole number within `range`, for which `T` has room.
pub(crate) fn whole<T: TryFrom<i64>>(value: i64, range: RangeInclusive<i64>) -> Result<T, Error> {
    let (min, max) = range.into_inner();
    let number = if (min..=max).contains(&value) { T::try_from(value).ok() } else { None };
    number.ok_or(Error::OutOfRange { value, min, max })
}

/// A number of things or bytes, for a property.
pub(crate) fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// A 32-bit setting, as the engine's classes keep it.
pub(crate) fn int32(value: i64) -> i32 {
    value as i32
}

/// The id of a peer; one that no peer can have is 0, which is nobody's either.
pub(crate) fn peer_id(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(0)
}

/// The bytes of a packed array.
pub(crate) fn array_bytes(array: &PackedByteArray) -> &[u8] {
    array.as_slice()
}
