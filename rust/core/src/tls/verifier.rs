//! Whether a server's certificate is accepted: the rules of the engine, which are those of mbedTLS.
//!
//! webpki alone is not enough: certificates that the engine makes for itself are authorities
//! without alternative names, and trusted certificates need not be roots.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_PKCS1_SHA1WITHRSA;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::{name, provider};

#[derive(Debug)]
pub(super) struct Verifier {
    /// Issuers that are trusted, roots or not.
    pub(super) roots: RootCertStore,
    /// The certificates that were given as trusted: one signed by itself is accepted as such.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) check_chain: bool,
    pub(super) check_name: bool,
    /// Whether a certificate without alternative names is for its common name.
    pub(super) takes_common_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.check_chain && !self.check_name {
            return Ok(ServerCertVerified::assertion());
        }
        let (_, certificate) = X509Certificate::from_der(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.check_chain {
            if self.is_pinned(end_entity, &certificate) {
                check_dates(&certificate, now)?;
            } else if certificate.is_ca() || is_old(&certificate) {
                // webpki takes neither for a server's. The engine does.
                if !self.is_issued_by_pinned(&certificate, now) || !is_for_servers(&certificate) {
                    return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
                }
                check_dates(&certificate, now)?;
            } else {
                verify_server_cert_signed_by_trust_anchor(
                    &ParsedCertificate::try_from(end_entity)?,
                    &self.roots,
                    intermediates,
                    now,
                    provider().signature_verification_algorithms.all,
                )?;
            }
        }
        if self.check_name && !name::matches(&certificate, server_name, self.takes_common_name) {
            return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        if let Ok((_, certificate)) = X509Certificate::from_der(certificate)
            && is_old(&certificate)
        {
            let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
            return verify_tls13_signature_with_raw_key(message, &key, signature, algorithms);
        }
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Verifier {
    /// Whether the certificate is one of those given as trusted, and signed by itself. One that
    /// somebody else signed is not trusted for standing in the list. Its own signature proves
    /// nothing beyond what the comparison of all bytes does.
    fn is_pinned(&self, der: &CertificateDer<'_>, certificate: &X509Certificate<'_>) -> bool {
        certificate.issuer().as_raw() == certificate.subject().as_raw()
            && self.pinned.iter().any(|pinned| pinned == der)
    }

    /// Whether one of the certificates given as trusted has signed this one.
    /// Not with SHA-1, and not one that may vouch for some names only: that is not looked at here.
    fn is_issued_by_pinned(&self, certificate: &X509Certificate<'_>, now: UnixTime) -> bool {
        let is_weak = certificate.signature_algorithm.algorithm == OID_PKCS1_SHA1WITHRSA;
        !is_weak
            && self.pinned.iter().any(|pinned| {
                X509Certificate::from_der(pinned).is_ok_and(|(_, issuer)| {
                    is_authority(&issuer, now)
                        && matches!(issuer.name_constraints(), Ok(None))
                        && issuer.subject().as_raw() == certificate.issuer().as_raw()
                        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
                })
            })
    }
}

/// Whether a certificate is older than version 3: `openssl x509 -req` makes such ones, and webpki
/// reads none. With TLS 1.2 they stay refused.
fn is_old(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() != X509Version::V3
}

/// Whether a certificate may vouch for others (RFC 5280, section 4.2.1.9) and has not expired.
pub(super) fn is_authority(certificate: &X509Certificate<'_>, now: UnixTime) -> bool {
    (certificate.is_ca() || is_old(certificate)) && check_dates(certificate, now).is_ok()
}

/// Whether a certificate that says what it is for says servers: RFC 5280, section 4.2.1.12.
fn is_for_servers(certificate: &X509Certificate<'_>) -> bool {
    certificate
        .extended_key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.server_auth || usage.value.any))
}

fn check_dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    let error = if now < validity.not_before.timestamp() {
        CertificateError::NotValidYet
    } else if now > validity.not_after.timestamp() {
        CertificateError::Expired
    } else {
        return Ok(());
    };
    Err(Error::InvalidCertificate(error))
}
