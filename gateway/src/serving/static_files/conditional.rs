//! Conditional and range requests (RFC 9110 sections 13 and 14).

// These numbers come from clients: arithmetic on them is checked or saturating.
#![warn(clippy::arithmetic_side_effects)]

use std::ops::Range;

use http::{HeaderMap, HeaderValue, Method, header};

/// Which part of a representation is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// Nothing: 304, the client has it.
    NotModified,
    /// Nothing: 412, the precondition failed.
    Failed,
    /// Everything.
    Whole,
    /// These bytes, with their `Content-Range`.
    Part(Range<u64>, HeaderValue),
    /// Nothing: 416, the range is outside.
    Unsatisfiable(HeaderValue),
}

/// Applies `If-Match`, `If-None-Match`, then `Range` with `If-Range` (order: section 13.2.2). Files
/// have no modification date here, because the dates of identical deployments differ; sections
/// 13.1.4 and 13.1.3 then require that `If-Unmodified-Since` and `If-Modified-Since` are ignored.
pub(super) fn select(
    headers: &HeaderMap,
    method: &Method,
    length: u64,
    etag: &HeaderValue,
) -> Selected {
    let tag = etag.to_str().unwrap_or_default();
    // Strong comparison (section 13.1.1): a weak tag identifies no bytes.
    if headers.contains_key(header::IF_MATCH)
        && !listed(headers, &header::IF_MATCH).any(|one| one == "*" || one == tag)
    {
        return Selected::Failed;
    }
    let is_known = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag;
    if listed(headers, &header::IF_NONE_MATCH).any(is_known) {
        return Selected::NotModified;
    }
    if *method != Method::GET {
        return Selected::Whole;
    }
    // Only a strong tag allows combining parts (section 13.1.5); dates are never sent, so no date
    // matches.
    if headers.get(header::IF_RANGE).is_some_and(|condition| condition != etag) {
        return Selected::Whole;
    }
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (ranges.next().and_then(|range| range.to_str().ok()), ranges.next()) {
        (Some(range), None) => part(range, length),
        _ => Selected::Whole,
    }
}

/// The tags of a list. Our own tags contain no comma.
fn listed<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'h str> {
    let fields = headers.get_all(name).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(',')).map(str::trim)
}

/// A single range; several ranges or malformed ones are ignored, as section 14.2 allows.
fn part(range: &str, length: u64) -> Selected {
    let Some((first, last)) =
        range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Selected::Whole;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => first..length,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (None, Some(last)) if first.is_empty() => length.saturating_sub(last)..length,
        _ => return Selected::Whole,
    };
    let header = |text: String| {
        HeaderValue::try_from(text).expect("digits and punctuation are a header value")
    };
    if range.is_empty() {
        return Selected::Unsatisfiable(header(format!("bytes */{length}")));
    }
    let content_range =
        header(format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1)));
    Selected::Part(range, content_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &[(header::HeaderName, &'static str)]) -> Selected {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        select(&headers, &Method::GET, 100, &HeaderValue::from_static("\"tag\""))
    }

    #[test]
    fn ranges() {
        let part = |range: Range<u64>, text| Selected::Part(range, HeaderValue::from_static(text));
        let outside = Selected::Unsatisfiable(HeaderValue::from_static("bytes */100"));
        for (range, expected) in [
            ("bytes=0-0", part(0..1, "bytes 0-0/100")),
            ("bytes=10-19", part(10..20, "bytes 10-19/100")),
            ("bytes=90-", part(90..100, "bytes 90-99/100")),
            ("bytes=90-1000", part(90..100, "bytes 90-99/100")),
            ("bytes=-10", part(90..100, "bytes 90-99/100")),
            ("bytes=-1000", part(0..100, "bytes 0-99/100")),
            ("bytes=0-18446744073709551615", part(0..100, "bytes 0-99/100")),
            ("bytes=0-99999999999999999999", part(0..100, "bytes 0-99/100")),
            ("bytes=100-", outside.clone()),
            ("bytes=200-300", outside.clone()),
            ("bytes=-0", outside),
            ("bytes=5-4", Selected::Whole),
            ("bytes=0-1,3-4", Selected::Whole),
            ("bytes=+1-2", Selected::Whole),
            ("lines=0-1", Selected::Whole),
            ("bytes=-", Selected::Whole),
        ] {
            assert_eq!(with(&[(header::RANGE, range)]), expected, "{range}");
        }
    }

    #[test]
    fn conditions() {
        for tag in ["\"tag\"", "W/\"tag\"", "\"x\", \"tag\"", "*"] {
            assert_eq!(
                with(&[(header::IF_NONE_MATCH, tag), (header::RANGE, "bytes=0-0")]),
                Selected::NotModified,
                "{tag}"
            );
        }
        assert_eq!(with(&[(header::IF_NONE_MATCH, "\"other\"")]), Selected::Whole);
        for tag in ["\"tag\"", "\"x\", \"tag\"", "*"] {
            assert_eq!(with(&[(header::IF_MATCH, tag)]), Selected::Whole, "{tag}");
            let both = [(header::IF_MATCH, tag), (header::IF_NONE_MATCH, "\"tag\"")];
            assert_eq!(with(&both), Selected::NotModified, "{tag}");
        }
        for tag in ["\"other\"", "W/\"tag\"", "tag", ""] {
            let fields = [
                (header::IF_MATCH, tag),
                (header::IF_NONE_MATCH, "*"),
                (header::RANGE, "bytes=0-0"),
            ];
            assert_eq!(with(&fields), Selected::Failed, "{tag}");
        }
        // There is no date, in any format.
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 01 Jan 2124 00:00:00 GMT", "nonsense"] {
            assert_eq!(with(&[(header::IF_UNMODIFIED_SINCE, date)]), Selected::Whole, "{date}");
            assert_eq!(with(&[(header::IF_MODIFIED_SINCE, date)]), Selected::Whole, "{date}");
        }
        let ranged =
            |condition| with(&[(header::IF_RANGE, condition), (header::RANGE, "bytes=0-0")]);
        assert!(matches!(ranged("\"tag\""), Selected::Part(..)));
        assert_eq!(ranged("\"other\""), Selected::Whole);
        assert_eq!(ranged("W/\"tag\""), Selected::Whole);
        assert_eq!(ranged("Sun, 06 Nov 1994 08:49:37 GMT"), Selected::Whole);
    }
}
