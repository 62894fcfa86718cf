//! What every answer carries, and what none does.

use super::About;
use gateway_config::TlsPolicy;
use http::{HeaderValue, header};
use pingora::http::ResponseHeader;

/// What kind of answer is hardened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind<'p> {
    /// A file of a site; pages get this policy.
    Site {
        /// Its `Content-Security-Policy`.
        policy: &'p HeaderValue,
    },
    /// Anything else: data, which may do nothing when it is opened as a page.
    Data,
}

const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
/// Nothing that the chat does needs any of these.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=(), browsing-topics=()",
);

/// Sets security headers, the request's id, and removes what tells about the machinery.
pub(crate) fn harden(response: &mut ResponseHeader, about: &About, tls: &TlsPolicy, kind: PageKind<'_>) {
    for name in [header::SERVER.as_str(), "x-powered-by", "via", "alt-svc", "forwarded", "traceparent"] {
        response.remove_header(name);
    }
    let policy = match (kind, response.headers.get(header::CONTENT_SECURITY_POLICY)) {
        (PageKind::Site { policy }, _) => policy.clone(),
        // A service that has pages of its own knows what they need.
        (PageKind::Data, Some(own)) => own.clone(),
        (PageKind::Data, None) => DATA_POLICY,
    };
    let mut set = |name: header::HeaderName, value: HeaderValue| {
        // Inserting fails only on names that are not valid.
        let _ = response.insert_header(name, value);
    };
    set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    set(header::CONTENT_SECURITY_POLICY, policy);
    set(header::HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    if let PageKind::Site { .. } = kind {
        set(header::HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
        set(header::HeaderName::from_static("permissions-policy"), PERMISSIONS);
    }
    if let Ok(id) = HeaderValue::from_str(&about.request_id)
        && !id.is_empty()
    {
        set(header::HeaderName::from_static("x-request-id"), id);
    }
    if let Some(value) = hsts(about, tls) {
        set(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// RFC 6797 section 7.1: over TLS only. Not for `localhost`, where it would bind every other program on that name.
fn hsts(about: &About, tls: &TlsPolicy) -> Option<HeaderValue> {
    let host = about.host.as_ref().map(crate::router::Host::as_str).unwrap_or_default();
    let local = host == "localhost" || host.ends_with(".localhost");
    if !about.secure || local || tls.hsts_max_age.is_zero() {
        return None;
    }
    let subdomains = if tls.hsts_include_subdomains { "; includeSubDomains" } else { "" };
    HeaderValue::try_from(format!("max-age={}{subdomains}", tls.hsts_max_age.as_secs())).ok()
}
