//! Which paths and origins a server lets in.

use super::{HeaderError, ORIGIN, Refusal, Request};
use crate::config::AdmissionConfig;

/// Sets the paths that may be asked for, unless one of them can be no request's path.
///
/// # Errors
/// The first entry that does not begin with `/`, or has a query, a fragment or a blank; the setting
/// is kept.
pub fn set_paths(config: &mut AdmissionConfig, paths: Vec<String>) -> Result<(), HeaderError> {
    match paths.iter().position(|path| !is_path(path)) {
        Some(index) => Err(HeaderError::Path { index }),
        None => {
            config.allowed_paths = paths;
            Ok(())
        }
    }
}

/// Sets the origins that may connect, unless one of them can be no page's origin.
///
/// # Errors
/// The first entry that is neither `null` nor a scheme and a host, with or without a port (RFC 6454,
/// section 7.1); a slash at the end is one mistake. The setting is kept.
pub fn set_origins(config: &mut AdmissionConfig, origins: Vec<String>) -> Result<(), HeaderError> {
    match origins.iter().position(|origin| !is_origin(origin)) {
        Some(index) => Err(HeaderError::Origin { index }),
        None => {
            config.allowed_origins = origins;
            Ok(())
        }
    }
}

/// Whether the path and the origin of `request` are allowed.
///
/// # Errors
/// A refusal with 404 or 403.
pub fn check(request: &Request, config: &AdmissionConfig) -> Result<(), Refusal> {
    let paths = &config.allowed_paths;
    if !paths.is_empty() && !paths.iter().any(|path| path == request.path()) {
        return Err(Refusal::new(404, "there is nothing at this path"));
    }
    // An origin is a scheme and a host, and in neither does the case of letters matter.
    let is_allowed = |origin: &str| {
        config.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    };
    if !config.allowed_origins.is_empty() && !request.header_values(ORIGIN).all(is_allowed) {
        return Err(Refusal::new(403, "pages of this origin may not connect"));
    }
    Ok(())
}

fn is_path(path: &str) -> bool {
    let is_part = |char: char| !char.is_ascii_control() && !" ?#".contains(char);
    path.starts_with('/') && path.chars().all(is_part)
}

fn is_origin(origin: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
    };
    let is_host = |host: &str| {
        !host.is_empty()
            && host.chars().all(|char| char.is_ascii_graphic() && !"/?#@*".contains(char))
    };
    // Browsers leave the scheme's own port out.
    let has_own_port = |scheme: &str, host: &str| {
        host.ends_with(':')
            || scheme.eq_ignore_ascii_case("https") && host.ends_with(":443")
            || scheme.eq_ignore_ascii_case("http") && host.ends_with(":80")
    };
    origin.eq_ignore_ascii_case("null")
        || origin.split_once("://").is_some_and(|(scheme, host)| {
            is_scheme(scheme) && is_host(host) && !has_own_port(scheme, host)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::upgrade::RequestReader;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    /// Status for a request for `target` with some `Origin` headers.
    fn status(config: &AdmissionConfig, target: &str, origins: &[&str]) -> u16 {
        let origins: String =
            origins.iter().map(|origin| format!("oRIGIN: {origin}\r\n")).collect();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {origins}\r\n"
        );
        let (request, _) = RequestReader::default().read(head.as_bytes()).unwrap().unwrap();
        check(&request, config).err().map_or(101, |refusal| refusal.status)
    }

    #[test]
    fn without_lists_everybody_may_come() {
        let config = AdmissionConfig::default();
        assert_eq!(status(&config, "/any?x", &["https://any.example", "null"]), 101);
    }

    #[test]
    fn a_path_is_compared_exactly_and_without_its_query() {
        let mut config = AdmissionConfig::default();
        set_paths(&mut config, strings(&["/", "/play", "/a%20b", "/é"])).unwrap();
        for target in
            ["/", "/?a=/b", "/play", "/play?", "/play?token=x", "/a%20b", "/é", "http://h/play"]
        {
            assert_eq!(status(&config, target, &[]), 101, "{target}");
        }
        for target in
            ["/Play", "/play/", "/pla", "/play/x", "//", "/%C3%A9", "/play#x", "http://h/pla"]
        {
            assert_eq!(status(&config, target, &[]), 404, "{target}");
        }
    }

    #[test]
    fn an_origin_is_compared_without_the_case_of_letters() {
        let mut config = AdmissionConfig::default();
        let allowed = strings(&["https://Game.example", "http://localhost:8000"]);
        set_origins(&mut config, allowed).unwrap();
        for origins in [
            &[][..],
            &["https://game.example"],
            &["HTTPS://GAME.EXAMPLE"],
            &["http://localhost:8000"],
            &["https://game.example", "http://localhost:8000"],
        ] {
            assert_eq!(status(&config, "/", origins), 101, "{origins:?}");
        }
        for origins in [
            &["http://game.example"][..],
            &["https://game.example:8443"],
            &["https://game.example.evil.test"],
            &["https://evil.test/https://game.example"],
            &["http://localhost"],
            &["null"],
            &[""],
            &["https://game.example http://localhost:8000"],
            &["https://game.example", "https://evil.test"],
        ] {
            assert_eq!(status(&config, "/", origins), 403, "{origins:?}");
        }
    }

    #[test]
    fn pages_without_an_origin_of_their_own_can_be_allowed() {
        let mut config = AdmissionConfig::default();
        set_origins(&mut config, strings(&["null"])).unwrap();
        assert_eq!(status(&config, "/", &["null"]), 101);
        assert_eq!(status(&config, "/", &["https://game.example"]), 403);
    }

    #[test]
    fn an_entry_that_no_request_can_have_is_refused_and_nothing_changes() {
        let mut config = AdmissionConfig::default();
        for bad in ["", "play", "*", "/a?b", "/a#b", "/a b", "/a\n", "/a\0", "http://h/a"] {
            let set = set_paths(&mut config, strings(&["/good", bad]));
            assert_eq!(set, Err(HeaderError::Path { index: 1 }), "{bad:?}");
        }
        for bad in [
            "",
            "game.example",
            "https://",
            "://game.example",
            "1://game.example",
            "https://game.example/",
            "https://game.example/play",
            "https://me@game.example",
            "https://game.example:",
            "https://game.example:443",
            "http://game.example:80",
            "https://*.example",
            "*",
            "https://game.example ",
            "https://gäme.example",
            "https://game.example\r\n",
        ] {
            let set = set_origins(&mut config, strings(&["https://game.example", bad]));
            assert_eq!(set, Err(HeaderError::Origin { index: 1 }), "{bad:?}");
        }
        assert_eq!(config, AdmissionConfig::default());
    }
}
