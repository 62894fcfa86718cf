//! Writes from other origins are refused, whatever the cookie says.
//!
//! A browser says where a request comes from: `Sec-Fetch-Site` (Fetch Metadata, section 2), or at least `Origin`
//! (RFC 6454 section 7). Who sends neither is no browser, and carries nobody else's cookie.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backend_protocol::problem::ProblemType;

use crate::error::ApiError;

pub(super) async fn check(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || is_same_origin(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    ApiError::new(ProblemType::CrossOrigin, "Only pages of this server may write here.").into_response()
}

fn is_same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or_default());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    // `X-Forwarded-Host` can be chosen by anyone, so it is not looked at. HTTP/2 has the host in the URI.
    let host = text("host").or_else(|| uri.authority().map(|authority| authority.as_str()));
    let from = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && from.map(str::to_ascii_lowercase) == host.map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn same_origin(headers: &[(&'static str, &'static str)]) -> bool {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_same_origin(&headers.collect(), &Uri::from_static("/api/chat"))
    }

    #[test]
    fn a_browser_must_come_from_here() {
        for site in ["same-origin", "none"] {
            assert!(same_origin(&[("sec-fetch-site", site), ("host", "chat.example")]), "{site}");
        }
        for site in ["cross-site", "same-site", "", "anything"] {
            assert!(!same_origin(&[("sec-fetch-site", site), ("host", "chat.example")]), "{site}");
        }
        assert!(same_origin(&[("origin", "https://chat.example:8443"), ("host", "Chat.Example:8443")]));
        for origin in ["https://evil.example", "https://chat.example:1", "null", "chat.example"] {
            assert!(!same_origin(&[("origin", origin), ("host", "chat.example")]), "{origin}");
        }
    }

    #[test]
    fn a_forwarded_host_counts_for_nothing() {
        let forged =
            [("origin", "https://evil.example"), ("host", "chat.example"), ("x-forwarded-host", "evil.example")];
        assert!(!same_origin(&forged));
    }

    #[test]
    fn who_is_no_browser_may_write() {
        assert!(same_origin(&[("host", "chat.example")]));
    }
}
