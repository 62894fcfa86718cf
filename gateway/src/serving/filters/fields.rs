//! Checks the fields of an h2 head as strictly as `head` parses those of an HTTP/1.1 head.

use http::{HeaderValue, Version, header};

use super::exchange::{Exchange, Refusal};

pub(super) fn check(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    if exchange.request.version != Version::HTTP_2 {
        return Ok(());
    }
    let headers = &mut exchange.request.headers;
    // RFC 9113 section 8.2.1: such a request is malformed. A backend that trims the value would see
    // another one.
    if headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(Refusal::new(400, "A header field has white space at its start or end."));
    }
    // RFC 9110 section 8.6: equal repetitions could be merged; forwarded unchanged, they would
    // frame the body twice.
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if lengths.next().is_some_and(|length| !is_number(length.as_bytes()))
        || lengths.next().is_some()
    {
        return Err(Refusal::new(400, "The length of the body is ambiguous."));
    }
    // RFC 9110 section 10.1.1.
    if headers
        .get_all(header::EXPECT)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Refusal::new(417, "The only expectation accepted is 100-continue."));
    }
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        // RFC 9113 section 8.2.3: cookies are joined into one field before they are sent over
        // HTTP/1.1.
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

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

fn is_padded(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_space(value.first()) || is_space(value.last())
}
