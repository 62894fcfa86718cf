//! Header fields that do not pass the gateway.

use http::HeaderName;

/// Whether a field belongs to one connection only (RFC 9110 section 7.6.1).
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "http2-settings"
    )
}

/// Whether a field of a response reveals the software or the network behind the gateway.
pub(crate) fn is_revealing(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "server" | "x-powered-by" | "via" | "alt-svc" | "forwarded" | "traceparent"
    )
}
