//! Whom a client trusts and under which name it looks for its server.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::verifier::{Verifier, is_authority};
use super::{ALPN, TlsError, pem, provider, versions};

/// Configurations that are kept: a client that connects again with the same options resumes its
/// session, which saves both sides most of the handshake.
const KEPT: usize = 16;

/// Which certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those signed by the certificates in this PEM text (the system's, mostly), or by Mozilla's
    /// roots when it holds none.
    Public(Arc<str>),
    /// Those signed by the certificates in this PEM text, or one of them that is signed by itself.
    Only(String),
    /// All.
    Anyone,
}

/// What a client asks of its server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Which certificates are accepted.
    pub trust: Trust,
    /// Whether the certificate must be for the server's name.
    pub check_name: bool,
    /// The name to ask for and to check instead of the URL's host.
    pub name: Option<String>,
    /// Whether TLS 1.3 is spoken beside 1.2.
    pub tls13: bool,
}

/// What a client needs for its handshakes.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl ClientTls {
    /// For a server at `host`.
    ///
    /// # Errors
    /// When the certificates or the name cannot be used.
    pub fn new(options: &ClientOptions, host: &str) -> Result<Self, TlsError> {
        let name = options.name.as_deref().unwrap_or(host);
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(Self { config: kept(options)?, name })
    }
}

/// The configuration for `options`, made once while it is among the newest.
fn kept(options: &ClientOptions) -> Result<Arc<ClientConfig>, TlsError> {
    type Kept = VecDeque<(ClientOptions, Arc<ClientConfig>)>;
    static CONFIGS: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    // The name is not part of the configuration.
    let key = ClientOptions { name: None, ..options.clone() };
    let config = match configs.iter().position(|(kept, _)| *kept == key) {
        Some(index) => configs.remove(index).map(|(_, config)| config),
        None => None,
    };
    let config = match config {
        Some(config) => config,
        None => Arc::new(self::config(options)?),
    };
    // The one that was used last stays longest.
    configs.truncate(KEPT - 1);
    configs.push_front((key, config.clone()));
    Ok(config)
}

fn config(options: &ClientOptions) -> Result<ClientConfig, TlsError> {
    let (roots, pinned) = match &options.trust {
        Trust::Public(bundle) => (public_roots(bundle), Vec::new()),
        Trust::Only(pem) => {
            let certificates = pem::certificates(pem)?;
            let mut roots = RootCertStore::empty();
            let now = UnixTime::now();
            let authorities = certificates.iter().filter(|der| vouches(der, now));
            roots.add_parsable_certificates(authorities.cloned());
            (roots, certificates)
        }
        Trust::Anyone => (RootCertStore::empty(), Vec::new()),
    };
    let verifier = Verifier {
        roots,
        pinned,
        check_chain: options.trust != Trust::Anyone,
        check_name: options.check_name,
        takes_common_name: !matches!(options.trust, Trust::Public(_)),
    };
    let mut config = ClientConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(versions(options.tls13))
        .map_err(|error| TlsError::Other(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Whether a certificate may vouch for others. webpki takes that for granted of those it starts from,
/// and a script may trust a server's own certificate.
fn vouches(der: &CertificateDer<'_>, now: UnixTime) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| is_authority(&certificate, now))
}

fn public_roots(bundle: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold certificates of kinds that are not known here.
    roots.add_parsable_certificates(pem::readable_certificates(bundle));
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
