//! TLS on rustls: from PEM text to configurations, whom to trust, and the byte pump of a session.
//!
//! The only place that knows rustls. The provider is ring, named in `provider` alone, and never
//! the process's default: another extension may have set that.

mod client;
mod name;
mod pem;
mod server;
mod session;
mod verifier;

use std::io;
use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, InvalidMessage, SupportedCipherSuite,
    SupportedProtocolVersion,
};

pub use self::client::{ClientOptions, ClientTls, Trust};
pub use self::pem::{certificate_blocks, has_certificate};
pub use self::server::ServerTls;
pub(crate) use self::session::Session;
pub use self::session::TlsFacts;

/// What WebSockets speak first.
const ALPN: &[u8] = b"http/1.1";

/// Why TLS cannot be set up with what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No certificate in the text.
    #[error("there is no certificate")]
    NoCertificate,
    /// No private key in the text.
    #[error("there is no private key")]
    NoKey,
    /// A certificate that cannot be read.
    #[error("a certificate cannot be used: {0}")]
    Certificate(String),
    /// A private key that cannot be read, or of a kind that is not supported.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The key is not that of the first certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The name to check is neither a host name nor an IP address.
    #[error("`{0}` is neither a host name nor an ip address")]
    Name(String),
    /// Anything else that rustls refuses.
    #[error("{0}")]
    Other(String),
}

/// Why a session ended, in words for the log. Travels inside an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TlsFailure(String);

impl TlsFailure {
    /// `in_handshake`: before there was a session.
    fn new(error: &rustls::Error, in_handshake: bool) -> Self {
        if in_handshake {
            Self(format!("tls handshake failed: {}", cause(error)))
        } else {
            Self(format!("tls session failed: {error}"))
        }
    }

    /// The failure inside an error of a [`Session`].
    pub(crate) fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<TlsFailure> for io::Error {
    fn from(failure: TlsFailure) -> Self {
        Self::new(io::ErrorKind::InvalidData, failure)
    }
}

fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::ring::default_provider();
        // ring has SHA-384 without the processor's help: a sixth of a resumed handshake. The suites
        // with SHA-256 are as good.
        provider.cipher_suites.sort_by_key(hash_len);
        Arc::new(provider)
    });
    &PROVIDER
}

/// Bytes of the hash that a cipher suite works with.
fn hash_len(suite: &SupportedCipherSuite) -> usize {
    let common = match suite {
        SupportedCipherSuite::Tls12(suite) => &suite.common,
        SupportedCipherSuite::Tls13(suite) => &suite.common,
    };
    common.hash_provider.output_len()
}

fn versions(tls13: bool) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static OLDER: [&SupportedProtocolVersion; 1] = [&TLS12];
    if tls13 { &BOTH } else { &OLDER }
}

/// The cause in words that say what to look at.
fn cause(error: &rustls::Error) -> String {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(certificate) => match certificate {
            // The latter: somebody else by the name of an authority that is trusted.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "unknown issuer: the certificate is not signed by anyone trusted here".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "name mismatch: the certificate is for another name".into()
            }
            other => refused_certificate(other),
        },
        E::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the other side does not speak TLS (plain HTTP on a TLS port, or the other way round?)"
                .into()
        }
        E::PeerIncompatible(detail) => {
            format!("no common version, cipher or parameter: {detail:?}")
        }
        E::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA => {
                "the other side does not know the issuer of our certificate".into()
            }
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate => {
                format!("the other side does not accept our certificate ({alert:?})")
            }
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
                format!("no common version or cipher, says the other side ({alert:?})")
            }
            other => format!("the other side gave up ({other:?})"),
        },
        other => other.to_string(),
    }
}

/// Why a certificate is refused that nobody else has words for.
fn refused_certificate(error: &CertificateError) -> String {
    let text = error.to_string();
    if text.contains("UnsupportedCertVersion") {
        return "the certificate is not of version 3".to_owned();
    }
    format!("the certificate cannot be accepted: {text}")
}
