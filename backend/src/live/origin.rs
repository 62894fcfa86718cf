//! Origin check of WebSocket requests. Browsers let any page open a WebSocket to any host, with
//! that host's cookies (RFC 6455 section 10.2).

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// True when the page's origin is the requested host or one of `allowed`.
///
/// Browsers always send `Origin` with a WebSocket request (RFC 6455 section 4.1). Other programs
/// may omit it; a request with `Sec-Fetch-*` comes from a browser and may not.
pub(super) fn is_own(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return !headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    };
    let (None, Ok(origin)) = (origins.next(), origin.to_str()) else { return false };
    if allowed.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| same_host(origin, host))
}

/// Compares host and port; an omitted port is the scheme's default.
fn same_host(origin: &str, host: &str) -> bool {
    let (Ok(origin), Ok(host)) = (origin.parse::<Uri>(), host.parse::<Authority>()) else {
        return false;
    };
    let default = match origin.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    origin.authority().is_some_and(|origin| {
        origin.host().eq_ignore_ascii_case(host.host()) && port(origin) == port(&host)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_own(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        super::is_own(&headers.collect(), &["https://chat.example".to_owned()])
    }

    #[test]
    fn the_page_must_come_from_the_host_that_is_asked() {
        for (origin, host) in [
            ("https://localhost:8443", "localhost:8443"),
            ("https://Example.com", "example.com"),
            ("https://example.com", "example.com:443"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://chat.example", "internal:3000"),
        ] {
            assert!(is_own(&[("origin", origin), ("host", host)]), "{origin} → {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "example.com"),
            ("https://example.com:8443", "example.com"),
            ("https://example.com.evil.example", "example.com"),
            ("null", "example.com"),
            ("", "example.com"),
            ("file://example.com", "example.com"),
            ("https://user@evil.example", "example.com"),
        ] {
            assert!(!is_own(&[("origin", origin), ("host", host)]), "{origin} → {host}");
        }
    }

    #[test]
    fn only_programs_other_than_browsers_may_leave_the_origin_out() {
        assert!(is_own(&[("host", "example.com")]));
        assert!(!is_own(&[("host", "example.com"), ("sec-fetch-site", "same-origin")]));
        let twice = [
            ("host", "example.com"),
            ("origin", "https://example.com"),
            ("origin", "https://evil.example"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in twice {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert!(!super::is_own(&headers, &[]));
    }
}
