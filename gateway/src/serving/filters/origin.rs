//! Checks the `Origin` of WebSocket requests. The same-origin policy does not cover WebSockets, so
//! only pages of this site may open one.

use http::header;

use super::exchange::{Exchange, Refusal};
use crate::serving::snapshot::Route;

pub(super) fn check(exchange: &mut Exchange<'_>, route: &Route) -> Result<(), Refusal> {
    if !exchange.websocket || !route.config.require_origin {
        return Ok(());
    }
    let host = exchange.host().authority();
    let mut origins = exchange.request.headers.get_all(header::ORIGIN).iter();
    match (origins.next().and_then(|origin| origin.to_str().ok()), origins.next()) {
        (Some(origin), None) if is_same_site(origin, host, exchange.about.secure) => Ok(()),
        _ => Err(Refusal::new(403, "A WebSocket must be opened by a page of this site.")),
    }
}

/// Whether an origin (RFC 6454 section 7) is this host with the scheme of the request; default
/// ports may be omitted.
fn is_same_site(origin: &str, host: &str, secure: bool) -> bool {
    let (scheme, default) = if secure { ("https://", ":443") } else { ("http://", ":80") };
    let bare = |text: &str| text.strip_suffix(default).unwrap_or(text).to_ascii_lowercase();
    origin
        .strip_prefix(scheme)
        .is_some_and(|theirs| !theirs.is_empty() && bare(theirs) == bare(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sites_own_origin_passes() {
        for (origin, host, secure, expected) in [
            ("https://chat.example.org", "chat.example.org", true, true),
            ("https://chat.example.org", "chat.example.org:443", true, true),
            ("https://localhost:8443", "localhost:8443", true, true),
            ("https://localhost", "localhost:8443", true, false),
            ("http://chat.example.org", "chat.example.org", true, false),
            ("http://chat.example.org", "chat.example.org", false, true),
            ("https://evil.example", "chat.example.org", true, false),
            ("https://chat.example.org.evil.example", "chat.example.org", true, false),
            ("null", "chat.example.org", true, false),
            ("https://", "", true, false),
        ] {
            assert_eq!(is_same_site(origin, host, secure), expected, "{origin} {host}");
        }
    }
}
