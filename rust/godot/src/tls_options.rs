//! The engine's `TLSOptions`, and what scripts give beside them, as core's TLS settings.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use godot::classes::{CryptoKey, FileAccess, Os, ProjectSettings, TlsOptions, X509Certificate};
use godot::global::godot_warn;
use godot::meta::conv::ByValue;
use godot::meta::error::ConvertError;
use godot::meta::shape::GodotShape;
use godot::meta::{FromGodot, GodotConvert, GodotImmutable, ToGodot};
use godot::obj::{Gd, Singleton};
use godot::prelude::{GString, Variant};
use mio_websocket_core::tls::{
    ClientOptions, ServerTls, TlsError, Trust, certificate_blocks, has_certificate,
};

/// The project's setting for the file of the certificates that clients trust by default.
const BUNDLE: &str = "network/tls/certificate_bundle_override";

/// An argument of type `TLSOptions` whose default is `null`.
#[derive(Clone, Debug)]
pub(crate) struct OptionalTls(pub(crate) Option<Gd<TlsOptions>>);

impl OptionalTls {
    /// Whether options are given that are for servers.
    pub(crate) fn is_for_servers(&self) -> bool {
        self.0.as_ref().is_some_and(|options| options.is_server())
    }

    /// Whether options are given that are for clients.
    pub(crate) fn is_for_clients(&self) -> bool {
        self.0.as_ref().is_some_and(|options| !options.is_server())
    }

    /// What a client asks of its server. `bundle`, PEM text or the path of a file, takes the place
    /// of the trusted certificates in the options.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn for_client(&self, bundle: &str) -> Result<ClientOptions, TlsError> {
        let options = self.0.as_ref();
        let given = options.and_then(|options| options.get_trusted_ca_chain());
        let is_unsafe = options.is_some_and(|options| options.is_unsafe_client());
        let name = options.map(|options| options.get_common_name_override().to_string());
        let trust = match given {
            _ if !bundle.is_empty() => Trust::Only(pem(bundle)?),
            Some(certificate) => Trust::Only(certificate_text(&certificate)),
            None if is_unsafe => Trust::Anyone,
            None => Trust::Public(public_certificates()?),
        };
        Ok(ClientOptions {
            trust,
            check_name: !is_unsafe,
            name: name.filter(|name| !name.is_empty()),
            tls13: has_tls13(),
        })
    }

    /// A server's identity; `None` if it is not to speak TLS. `chain` and `key`, PEM text or paths
    /// of files, take the place of what the options hold.
    ///
    /// # Errors
    /// When something is missing or cannot be used: such a server could never be joined.
    pub(crate) fn for_server(&self, chain: &str, key: &str) -> Result<Option<ServerTls>, TlsError> {
        if self.0.is_none() && chain.is_empty() && key.is_empty() {
            return Ok(None);
        }
        let (chain, key) = self.pair(chain, key, Source::Objects)?;
        ServerTls::new(&chain, &key, has_tls13()).map(Some)
    }

    /// The texts of a server's certificate chain and private key. `chain` and `key`, PEM text or
    /// paths of files, take the place of what the options hold.
    ///
    /// # Errors
    /// When something is missing or cannot be read.
    pub(crate) fn pair(
        &self,
        chain: &str,
        key: &str,
        source: Source,
    ) -> Result<(String, String), TlsError> {
        let options = self.0.as_ref();
        let chain = if chain.is_empty() {
            let given = options.and_then(|options| options.get_own_certificate());
            let given = given.ok_or(TlsError::NoCertificate)?;
            match source.path(&given.get_path()) {
                Some(path) => pem(&path)?,
                None => certificate_text(&given),
            }
        } else {
            pem(chain)?
        };
        let key = if key.is_empty() {
            let given = options.and_then(|options| options.get_private_key());
            let given = given.ok_or(TlsError::NoKey)?;
            match source.path(&given.get_path()) {
                Some(path) => pem(&path)?,
                None => key_text(&given)?,
            }
        } else {
            pem(key)?
        };
        Ok((chain, key))
    }
}

/// What counts of a certificate or key that was loaded from a file.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The object.
    Objects,
    /// The file, which may hold something else by now.
    Files,
}

impl Source {
    fn path(self, path: &GString) -> Option<String> {
        matches!(self, Self::Files).then(|| path.to_string()).filter(|path| !path.is_empty())
    }
}

/// The text of a certificate object with all certificates of its chain, where they can be had: the
/// engine prints the first one once for each.
fn certificate_text(certificate: &Gd<X509Certificate>) -> String {
    let text = certificate.clone().save_to_string().to_string();
    let blocks = certificate_blocks(&text);
    let path = certificate.get_path().to_string();
    if blocks.len() > 1 && !path.is_empty() {
        // Unless the file, or the object, has been changed since.
        let file = FileAccess::get_file_as_string(&path).to_string();
        if certificate_blocks(&file).first().is_some_and(|first| is_same(first, blocks[0])) {
            return file;
        }
    }
    let is_cut = blocks.len() > 1 && blocks.iter().all(|block| *block == blocks[0]);
    if is_cut {
        warn_of_cut_chain();
    }
    blocks.into_iter().take(if is_cut { 1 } else { usize::MAX }).collect::<Vec<_>>().join("\n")
}

/// Whether two PEM blocks are the same but for white space.
fn is_same(one: &str, other: &str) -> bool {
    one.split_whitespace().collect::<String>() == other.split_whitespace().collect::<String>()
}

fn warn_of_cut_chain() {
    thread_local!(static WARNED: Cell<bool> = const { Cell::new(false) });
    if !WARNED.replace(true) {
        godot_warn!(
            "Mio WebSocket: the engine gives only the first certificate of this X509Certificate, so \
             its intermediates, or further authorities, are missing. Load it with load(\"res://…\"), \
             or give PEM text or a path with tls_certificate_chain, tls_private_key or tls_ca_bundle."
        );
    }
}

fn key_text(key: &Gd<CryptoKey>) -> Result<String, TlsError> {
    if key.is_public_only() {
        return Err(TlsError::NoKey);
    }
    Ok(key.clone().save_to_string().to_string())
}

/// PEM text, or the text of the file that is named.
fn pem(text_or_path: &str) -> Result<String, TlsError> {
    if text_or_path.contains("-----BEGIN") {
        return Ok(text_or_path.to_owned());
    }
    // As bytes: the engine complains of text that is no UTF-8, such as a file that is half written.
    let bytes = FileAccess::get_file_as_bytes(text_or_path);
    if bytes.is_empty() {
        return Err(TlsError::Other(format!("cannot read the file `{text_or_path}`")));
    }
    Ok(String::from_utf8_lossy(bytes.as_slice()).into_owned())
}

/// The certificates that clients trust by default, in the order of the engine: the project's bundle,
/// and only without one the system's. Core has Mozilla's where there are none.
fn public_certificates() -> Result<Arc<str>, TlsError> {
    thread_local!(static CERTIFICATES: OnceCell<Arc<str>> = const { OnceCell::new() });
    CERTIFICATES.with(|kept| {
        if let Some(certificates) = kept.get() {
            return Ok(certificates.clone());
        }
        let path = setting(BUNDLE).stringify();
        let certificates = if path.is_empty() {
            Os::singleton().get_system_ca_certificates()
        } else {
            FileAccess::get_file_as_string(&path)
        };
        let certificates: Arc<str> = certificates.to_string().into();
        if !path.is_empty() && !has_certificate(&certificates) {
            return Err(TlsError::Other(format!("there is no certificate in {path} ({BUNDLE})")));
        }
        Ok(kept.get_or_init(|| certificates).clone())
    })
}

/// Whether the project speaks TLS 1.3.
pub(crate) fn has_tls13() -> bool {
    setting("network/tls/enable_tls_v1.3").try_to().unwrap_or(true)
}

fn setting(name: &str) -> Variant {
    ProjectSettings::singleton().get_setting(name)
}

impl GodotConvert for OptionalTls {
    type Via = Option<Gd<TlsOptions>>;

    fn godot_shape() -> GodotShape {
        Option::<Gd<TlsOptions>>::godot_shape()
    }
}

impl ToGodot for OptionalTls {
    type Pass = ByValue;

    fn to_godot(&self) -> Self::Via {
        self.0.clone()
    }
}

impl FromGodot for OptionalTls {
    fn try_from_godot(via: Self::Via) -> Result<Self, ConvertError> {
        Ok(Self(via))
    }
}

// SAFETY: only `null` is used as a default value, and null cannot be changed.
unsafe impl GodotImmutable for OptionalTls {}
