//! The identity of a server.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{ALPN, TlsError, pem, provider, versions};

/// What a server needs for its handshakes: its certificate chain and private key.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
    chain: Arc<[CertificateDer<'static>]>,
}

impl ServerTls {
    /// Reads the chain (the server's own certificate first) and the key from PEM text. TLS 1.2 is
    /// always spoken, 1.3 with `tls13`.
    ///
    /// # Errors
    /// When one of them is missing or cannot be used, or when they do not belong together: such a
    /// server could never be joined.
    pub fn new(chain: &str, key: &str, tls13: bool) -> Result<Self, TlsError> {
        let chain = pem::certificates(chain)?;
        let key = pem::private_key(key)?;
        let key = provider().key_provider.load_private_key(key).map_err(refusal)?;
        check_pair(&chain, key.as_ref())?;
        let identity = SingleCertAndKey::from(CertifiedKey::new(chain.clone(), key));
        let builder = ServerConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(versions(tls13))
            .map_err(|error| TlsError::Other(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(identity));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // What costs least is ours to know: many clients ask for the longest keys first.
        config.ignore_client_order = true;
        // Tickets let a client come back without a full handshake, and need no memory here. Their
        // key is this configuration's own: who comes with a ticket of an earlier identity is shown
        // the new one in a full handshake.
        config.ticketer = rustls::crypto::ring::Ticketer::new()
            .map_err(|error| TlsError::Other(error.to_string()))?;
        // One ticket is enough for a client that opens one connection at a time.
        config.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(config), chain: chain.into() })
    }

    /// Whether the certificates of a PEM text are those of this identity.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub fn has_chain(&self, pem: &str) -> Result<bool, TlsError> {
        Ok(pem::certificates(pem)?[..] == self.chain[..])
    }
}

/// Checks that the key is that of the first certificate, and that all certificates can be read.
/// rustls would check the former too, but refuses certificates of version 1 on the way.
fn check_pair(chain: &[CertificateDer<'_>], key: &dyn SigningKey) -> Result<(), TlsError> {
    let mut of_certificate = None;
    for certificate in chain {
        let (_, certificate) = X509Certificate::from_der(certificate)
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        of_certificate.get_or_insert_with(|| certificate.public_key().raw.to_vec());
    }
    match (key.public_key(), of_certificate) {
        (Some(of_key), Some(of_certificate)) if of_key.as_ref() != of_certificate => {
            Err(TlsError::KeyMismatch)
        }
        _ => Ok(()),
    }
}

fn refusal(error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::General(text) => TlsError::Key(text),
        other => TlsError::Other(other.to_string()),
    }
}
