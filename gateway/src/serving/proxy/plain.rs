//! Converts Pingora's heads to plain ones without header case. Pingora's own types store the
//! spelling of each name in a second map that every change and copy must update. Names are lower
//! case here, as h2 requires (RFC 9113 section 8.2.1).

use http::{Request, Response, request, response};
use pingora::http::{RequestHeader, ResponseHeader};

/// Changes a request head.
pub(super) fn with_request<T>(
    head: &mut RequestHeader,
    change: impl FnOnce(&mut request::Parts) -> T,
) -> T {
    let mut parts = std::mem::replace(head, Request::new(()).into_parts().0.into()).into();
    let result = change(&mut parts);
    *head = parts.into();
    result
}

/// Changes a response head.
pub(super) fn with_response<T>(
    head: &mut ResponseHeader,
    change: impl FnOnce(&mut response::Parts) -> T,
) -> T {
    let mut parts = std::mem::replace(head, Response::new(()).into_parts().0.into()).into();
    let result = change(&mut parts);
    *head = parts.into();
    result
}
