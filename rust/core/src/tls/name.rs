//! Whether a certificate is for a server's name.
//!
//! With alternative names only those count, names for names and addresses for addresses; without,
//! the common name may. RFC 6125 leaves that out, and with it what an authority is constrained to is
//! not known; but the certificates that the engine makes have nothing else.

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// Whether `certificate` is for `server`; by its common name only if that is taken.
pub(super) fn matches(
    certificate: &X509Certificate<'_>,
    server: &ServerName<'_>,
    takes_common_name: bool,
) -> bool {
    // A malformed extension hides what the certificate is for.
    let Ok(alternatives) = certificate.subject_alternative_name() else { return false };
    if let Some(alternatives) = alternatives {
        return alternatives.value.general_names.iter().any(|name| match (name, server) {
            (GeneralName::DNSName(pattern), ServerName::DnsName(host)) => {
                matches_host(pattern, host.as_ref())
            }
            (GeneralName::IPAddress(bytes), ServerName::IpAddress(address)) => {
                match IpAddr::from(*address) {
                    IpAddr::V4(address) => *bytes == address.octets(),
                    IpAddr::V6(address) => *bytes == address.octets(),
                }
            }
            _ => false,
        });
    }
    if !takes_common_name {
        return false;
    }
    let host = server.to_str();
    let mut names = certificate.subject().iter_common_name();
    names.any(|name| {
        name.as_str().is_ok_and(|pattern| match server {
            ServerName::IpAddress(_) => pattern == host,
            _ => matches_host(pattern, &host),
        })
    })
}

/// Whether `pattern` is `host`, upper and lower case alike; a leading `*` stands for one label.
fn matches_host(pattern: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match pattern.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label_at_the_front() {
        assert!(matches_host("*.example.test", "a.example.test"));
        assert!(matches_host("*.Example.test", "A.eXample.test"));
        assert!(!matches_host("*.example.test", "example.test"));
        assert!(!matches_host("*.example.test", "a.b.example.test"));
        assert!(!matches_host("a.*.test", "a.b.test"));
        assert!(matches_host("LOCALHOST", "localhost"));
        assert!(matches_host("localhost", "localhost."));
        assert!(!matches_host("", "localhost"));
    }
}
