//! What a client connects to.

use std::net::SocketAddr;

use crate::dial::{Dial, Resolve};
use crate::error::Error;
use crate::tls::{ClientOptions, ClientTls, TlsError};
use crate::transport::ByteStream;
use crate::url::Url;

/// A URL with all that is needed to connect to it.
pub struct Target {
    pub(super) dial: Dial,
    pub(super) url: Url,
    /// The URL as it was given.
    pub(super) requested_url: String,
    pub(super) tls: Option<ClientTls>,
}

impl Target {
    /// The target that `url` names. A host name is resolved by what `resolver` makes of it; `tls`
    /// is asked for `wss` only.
    ///
    /// # Errors
    /// When the URL or the TLS options cannot be used.
    pub fn new(
        url: &str,
        resolver: impl FnOnce(&str) -> Box<dyn Resolve>,
        tls: impl FnOnce() -> Result<ClientOptions, TlsError>,
    ) -> Result<Self, Error> {
        Self::with(url, tls, |url| match url.ip() {
            Some(ip) => Dial::address(SocketAddr::new(ip, url.port)),
            None => Dial::name(resolver(&url.host), url.port),
        })
    }

    /// The target that `url` names, at the other end of a stream that somebody else has connected.
    /// `tls` is asked for `wss` only.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub fn over(
        stream: Box<dyn ByteStream>,
        url: &str,
        tls: impl FnOnce() -> Result<ClientOptions, TlsError>,
    ) -> Result<Self, Error> {
        Self::with(url, tls, |url| Dial::stream(stream, url.port))
    }

    fn with(
        text: &str,
        tls: impl FnOnce() -> Result<ClientOptions, TlsError>,
        dial: impl FnOnce(&Url) -> Dial,
    ) -> Result<Self, Error> {
        let url = Url::parse(text)?;
        let tls = if url.secure { Some(ClientTls::new(&tls()?, &url.host)?) } else { None };
        Ok(Self { dial: dial(&url), url, requested_url: text.to_owned(), tls })
    }
}
