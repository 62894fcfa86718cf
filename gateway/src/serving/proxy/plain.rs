//! Pingora's heads as plain ones, for as long as they are changed and ever after. Pingora's own
//! types remember how each name was spelt, in a second map that every change and every copy has to
//! go through; names are lower case here, as h2 wants them anyway (RFC 9113 section 8.2.1).

use http::{Request, Response, request, response};
use pingora::http::{RequestHeader, ResponseHeader};

/// Changes a request.
pub(super) fn with_request<T>(
    head: &mut RequestHeader,
    change: impl FnOnce(&mut request::Parts) -> T,
) -> T {
    let mut parts = std::mem::replace(head, Request::new(()).into_parts().0.into()).into();
    let result = change(&mut parts);
    *head = parts.into();
    result
}

/// Changes a response.
pub(super) fn with_response<T>(
    head: &mut ResponseHeader,
    change: impl FnOnce(&mut response::Parts) -> T,
) -> T {
    let mut parts = std::mem::replace(head, Response::new(()).into_parts().0.into()).into();
    let result = change(&mut parts);
    *head = parts.into();
    result
}
