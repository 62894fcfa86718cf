//! The fields of an h2 head, as strictly as those of an HTTP/1.1 head are read by `head`.

use super::{Exchange, Refusal};
use http::{HeaderValue, Version, header};

pub(super) fn check(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    if exchange.request.version != Version::HTTP_2 {
        return Ok(());
    }
    let headers = &mut exchange.request.headers;
    // RFC 9113 section 8.2.1: such a request is malformed. A backend that trims it would read another value.
    if headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(Refusal::new(400, "A header field has white space at its start or end."));
    }
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        // RFC 9113 section 8.2.3: one field, before it goes to where HTTP/1.1 is spoken.
        let mut cookie = first.as_bytes().to_vec();
        for crumb in std::iter::once(second).chain(crumbs) {
            cookie.extend_from_slice(b"; ");
            cookie.extend_from_slice(crumb.as_bytes());
        }
        let cookie = HeaderValue::from_maybe_shared(bytes::Bytes::from(cookie))
            .map_err(|_| Refusal::new(400, "The cookies are malformed."))?;
        headers.insert(header::COOKIE, cookie);
    }
    let most = exchange.snapshot.config().limits.header_fields;
    if headers.len() > usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(Refusal::new(431, "The request has too many header fields."));
    }
    Ok(())
}

fn is_padded(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_space(value.first()) || is_space(value.last())
}
