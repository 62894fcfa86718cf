//! Rejects writes from other origins.
//!
//! Browsers send the origin of a request: `Sec-Fetch-Site` (Fetch Metadata, section 2), or at least
//! `Origin` (RFC 6454 section 7). A client that sends neither is not a browser, and has no cookies
//! of other sites.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backend_protocol::problem::ProblemType;

use crate::error::ApiError;

pub(super) async fn check(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads {
        return next.run(request).await;
    }
    match may_write(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Checks that a request may change anything: it comes from a page of this server or from no
/// browser, and is not a navigation, such as a submitted form.
pub(crate) fn may_write(headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
    if !is_same_origin(headers, uri) {
        return Err(ApiError::new(
            ProblemType::CrossOrigin,
            "Writes from other origins are not allowed.",
        ));
    }
    if is_navigation(headers) {
        return Err(ApiError::new(
            ProblemType::CrossOrigin,
            "A navigation may not write, only a script's request.",
        ));
    }
    Ok(())
}

/// A page is opened or a form submitted (Fetch Metadata, section 2.2).
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    headers
        .get_all("sec-fetch-mode")
        .iter()
        .any(|mode| mode.as_bytes().eq_ignore_ascii_case(b"navigate"))
}

fn is_same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| {
        headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or_default())
    };
    if headers.contains_key("sec-fetch-site") {
        let mut sites = headers.get_all("sec-fetch-site").iter();
        return sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    }
    let Some(origin) = text("origin") else { return true };
    // Clients can forge `X-Forwarded-Host`, so it is ignored. HTTP/2 has the host in the URI.
    let host = text("host").or_else(|| uri.authority().map(|authority| authority.as_str()));
    let from = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && from.map(str::to_ascii_lowercase) == host.map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn same_origin(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_same_origin(&headers.collect(), &Uri::from_static("/api/chat"))
    }

    #[test]
    fn a_browser_must_come_from_the_same_origin() {
        for site in ["same-origin", "none"] {
            assert!(same_origin(&[("sec-fetch-site", site), ("host", "chat.example")]), "{site}");
        }
        for site in ["cross-site", "same-site", "", "anything"] {
            assert!(!same_origin(&[("sec-fetch-site", site), ("host", "chat.example")]), "{site}");
        }
        assert!(same_origin(&[
            ("origin", "https://chat.example:8443"),
            ("host", "Chat.Example:8443")
        ]));
        for origin in ["https://evil.example", "https://chat.example:1", "null", "chat.example"] {
            assert!(!same_origin(&[("origin", origin), ("host", "chat.example")]), "{origin}");
        }
    }

    #[test]
    fn a_forwarded_host_is_ignored() {
        let forged = [
            ("origin", "https://evil.example"),
            ("host", "chat.example"),
            ("x-forwarded-host", "evil.example"),
        ];
        assert!(!same_origin(&forged));
    }

    #[test]
    fn one_foreign_site_among_several_is_rejected() {
        let both = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
        let mut headers = HeaderMap::new();
        for (name, value) in both {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert!(!is_same_origin(&headers, &Uri::from_static("/api/chat")));
    }

    #[test]
    fn a_navigation_may_not_write() {
        let headers = |mode: &'static str| {
            HeaderMap::from_iter([(
                HeaderName::from_static("sec-fetch-mode"),
                HeaderValue::from_static(mode),
            )])
        };
        assert!(may_write(&headers("navigate"), &Uri::from_static("/api/me")).is_err());
        for mode in ["cors", "same-origin", "no-cors"] {
            assert!(may_write(&headers(mode), &Uri::from_static("/api/me")).is_ok(), "{mode}");
        }
    }

    #[test]
    fn a_client_that_is_not_a_browser_may_write() {
        assert!(same_origin(&[("host", "chat.example")]));
    }
}
