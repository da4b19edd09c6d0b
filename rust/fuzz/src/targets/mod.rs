//! The targets. Each takes any bytes and panics when core breaks a promise.

pub mod answer_head;
pub mod connection;
pub mod frames;
pub mod multiplayer;
pub mod pair;
pub mod pem;
pub mod proxy;
pub mod request_head;
pub mod url;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them. The names are those of the programs in `libfuzzer` and of the folders in `corpus`.
pub const ALL: &[Target] = &[
    ("request_head", request_head::run),
    ("answer_head", answer_head::run),
    ("frames", frames::run),
    ("url", url::run),
    ("pem", pem::run),
    ("proxy", proxy::run),
    ("connection", connection::run),
    ("multiplayer", multiplayer::run),
    ("pair", pair::run),
];
