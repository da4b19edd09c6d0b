//! A server's certificate and key that are the same in every run, so that what was found can be
//! repeated. Everybody can know the key, so it is good for nothing else.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use mio_websocket_core::tls::{ClientOptions, ServerTls, Trust};
use rcgen::{CertificateParams, KeyPair};

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The key, in PEM.
    pub key: String,
}

/// The host of the certificate.
pub const HOST: &str = "fuzz.example";

/// The form of RFC 8410, section 7, in front of 32 secret bytes.
const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The identity; an Ed25519 key, whose signatures have nothing random in them.
pub fn identity() -> &'static Identity {
    static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
        let secret = [PREFIX.as_slice(), &[7; 32]].concat();
        let key = KeyPair::try_from(secret).unwrap();
        let params = CertificateParams::new([HOST.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    });
    &IDENTITY
}

/// The settings of a server with that identity.
pub fn server_tls() -> ServerTls {
    ServerTls::new(&identity().certificate, &identity().key, true).unwrap()
}

/// The options of a client that trusts it. No two are the same, so that no session is resumed and each
/// input stands for itself.
pub fn client_options() -> ClientOptions {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    ClientOptions {
        // What stands around a certificate does not count.
        trust: Trust::Only(format!("{count}\n{}", identity().certificate)),
        check_name: true,
        name: None,
        tls13: true,
    }
}
