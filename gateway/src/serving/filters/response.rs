//! What every answer carries, and what none does.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::request_id::REQUEST_ID;
use crate::serving::headers::is_revealing;
use crate::serving::record::About;

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

const DATA_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
/// Nothing that the chat does needs any of these.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=(), browsing-topics=()",
);

const CROSS_ORIGIN_OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Sets security headers, the request's id, and removes what reveals the software behind the
/// gateway.
pub(crate) fn harden(
    headers: &mut HeaderMap,
    about: &About,
    hsts: Option<&HeaderValue>,
    kind: PageKind<'_>,
) {
    let revealing: Vec<HeaderName> =
        headers.keys().filter(|name| is_revealing(name)).cloned().collect();
    for name in revealing {
        headers.remove(name);
    }
    headers.reserve(8);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CROSS_ORIGIN_RESOURCE, HeaderValue::from_static("same-origin"));
    match kind {
        PageKind::Site { policy } => {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
            headers.insert(CROSS_ORIGIN_OPENER, HeaderValue::from_static("same-origin"));
            headers.insert(PERMISSIONS_POLICY, PERMISSIONS);
        }
        // A service that has pages of its own knows what they need.
        PageKind::Data => {
            headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DATA_POLICY);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&about.request_id)
        && !id.is_empty()
    {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(hsts) = hsts
        && is_bound_by_hsts(about)
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}

/// RFC 6797 section 7.1: over TLS only. Not for `localhost`, where it would bind every other
/// program on that name.
fn is_bound_by_hsts(about: &About) -> bool {
    let host = about.host_name();
    about.secure && host != "localhost" && !host.ends_with(".localhost")
}
