//! Hardens responses: sets security headers and removes fields that reveal software.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::request_id::REQUEST_ID;
use crate::serving::headers::is_revealing;
use crate::serving::record::About;
use crate::serving::static_files::Policies;

/// The kind of response to harden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind<'p> {
    /// A file of a site; pages get its policies.
    Site {
        /// What browsers may load and run in it.
        policies: &'p Policies,
    },
    /// Anything else: data, which may do nothing if it is opened as a page.
    Data,
}

const DATA_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
/// The chat needs none of these.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=(), browsing-topics=()",
);
/// A page that scans QR codes needs the camera. The policy is that of the document, so the chat
/// reloads such a page.
const CAMERA_PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(self), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=(), browsing-topics=()",
);

const CROSS_ORIGIN_OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const INTEGRITY_POLICY: HeaderName = HeaderName::from_static("integrity-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Sets security headers and the request id, and removes fields that reveal the software behind the
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
    headers.reserve(9);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CROSS_ORIGIN_RESOURCE, HeaderValue::from_static("same-origin"));
    match kind {
        PageKind::Site { policies } => {
            headers.insert(header::CONTENT_SECURITY_POLICY, policies.content.clone());
            if let Some(integrity) = &policies.integrity {
                headers.insert(INTEGRITY_POLICY, integrity.clone());
            }
            headers.insert(CROSS_ORIGIN_OPENER, HeaderValue::from_static("same-origin"));
            headers.insert(PERMISSIONS_POLICY, permissions(&about.path));
        }
        // A service with its own pages sets its own policy.
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

/// Linking a device, and a conversation with its safety number, scan QR codes.
fn permissions(path: &str) -> HeaderValue {
    let scans = path == "/link" || path.starts_with("/people/");
    if scans { CAMERA_PERMISSIONS } else { PERMISSIONS }
}

/// RFC 6797 section 7.1: over TLS only. Not for `localhost`, where it would affect every other
/// program on that name.
fn is_bound_by_hsts(about: &About) -> bool {
    let host = about.host_name();
    about.secure && host != "localhost" && !host.ends_with(".localhost")
}
