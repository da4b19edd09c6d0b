//! Certificates and keys out of PEM text.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificate blocks of a PEM text; whatever stands around them is left out. The engine puts
/// stray characters behind the certificates that it prints.
#[must_use]
pub fn certificate_blocks(pem: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = pem;
    while let Some(start) = rest.find(BEGIN) {
        rest = &rest[start..];
        // Behind the line, which ends as the other one begins.
        let Some(inner) = rest[BEGIN.len()..].find(END) else { break };
        let (block, behind) = rest.split_at(BEGIN.len() + inner + END.len());
        blocks.push(block);
        rest = behind;
    }
    blocks
}

/// The certificates of a PEM text, at least one.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut certificates = Vec::new();
    for block in certificate_blocks(pem) {
        let certificate = CertificateDer::from_pem_slice(block.as_bytes())
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        // The engine prints an empty certificate as a block without content.
        if !certificate.is_empty() {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

/// The certificates of a PEM text that can be read.
pub(super) fn readable_certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let blocks = certificate_blocks(pem).into_iter();
    blocks.filter_map(|block| CertificateDer::from_pem_slice(block.as_bytes()).ok()).collect()
}

/// Whether a PEM text has a certificate that can be read.
#[must_use]
pub fn has_certificate(pem: &str) -> bool {
    readable_certificates(pem).iter().any(|certificate| !certificate.is_empty())
}

/// The first private key of a PEM text: PKCS#1, SEC1 or PKCS#8.
pub(super) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    if !pem.contains("PRIVATE KEY-----") {
        return Err(TlsError::NoKey);
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| TlsError::Key(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_blocks_is_left_out() {
        let block = format!("{BEGIN}\nAA==\n{END}");
        let text = format!("x\n{block}\n\u{fffd}{block}\u{fffd}\n{BEGIN}\ncut");
        assert_eq!(certificate_blocks(&text), [block.as_str(), block.as_str()]);
    }

    #[test]
    fn nothing_to_use_is_an_error_that_says_what_is_missing() {
        assert_eq!(certificates("hello"), Err(TlsError::NoCertificate));
        assert_eq!(certificates(&format!("{BEGIN}\n{END}\n")), Err(TlsError::NoCertificate));
        assert_eq!(private_key("-----BEGIN PUBLIC KEY-----"), Err(TlsError::NoKey));
        let broken = "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n";
        assert!(matches!(private_key(broken), Err(TlsError::Key(_))));
    }
}
