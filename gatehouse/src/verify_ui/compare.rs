//! Compares a response with what it should be.

use gateway::page;
use reqwest::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, LINK, REFRESH,
};

use super::manifest::{Expected, digest};
use super::report::Problem;
use super::site::{Body, Kind};

const INTEGRITY_POLICY: HeaderName = HeaderName::from_static("integrity-policy");

/// The difference between a body and the file that it should be.
pub(super) fn body(expected: &Expected, found: &Body) -> Vec<Problem> {
    if !found.cut && digest(&found.bytes) == expected.sha256 {
        return Vec::new();
    }
    let offset = expected.content.as_ref().map(|content| {
        let equal = content.iter().zip(found.bytes.iter()).take_while(|(one, other)| one == other);
        equal.count() as u64
    });
    let found_size = (!found.cut).then_some(found.bytes.len() as u64);
    vec![Problem::Differs { offset, expected_size: expected.size, found_size }]
}

/// Differences of header fields that decide what a browser does with a response.
pub(super) fn headers(path: &str, kind: Kind, headers: &HeaderMap) -> Vec<Problem> {
    let mut expected = vec![
        (CONTENT_TYPE, Some(page::content_type(path))),
        // Both can load something else without a change of the page.
        (LINK, None),
        (REFRESH, None),
    ];
    if kind == Kind::Document {
        expected.push((CONTENT_SECURITY_POLICY, Some(page::CONTENT_SECURITY_POLICY)));
        expected.push((INTEGRITY_POLICY, Some(page::INTEGRITY_POLICY)));
    }
    let mut problems = Vec::new();
    for (name, expected) in expected {
        let values = headers.get_all(&name).iter();
        let found: Vec<String> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let same = match expected {
            Some(expected) => found == [expected],
            None => found.is_empty(),
        };
        if !same {
            let expected = expected.map(str::to_owned);
            problems.push(Problem::Header { name: name.to_string(), expected, found });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn expected(content: &'static [u8], known: bool) -> Expected {
        Expected {
            size: content.len() as u64,
            sha256: digest(content),
            content: known.then(|| Bytes::from_static(content)),
        }
    }

    #[test]
    fn the_first_different_byte_is_named_if_the_file_is_known() {
        let cases: [(&'static [u8], Option<u64>); 4] =
            [(b"abcd", None), (b"abXd", Some(2)), (b"ab", Some(2)), (b"abcde", Some(4))];
        for (found, offset) in cases {
            let found = Body { bytes: Bytes::from_static(found), cut: false };
            let found_size = Some(found.bytes.len() as u64);
            let problem = |offset| Problem::Differs { offset, expected_size: 4, found_size };
            let known = offset.map(|offset| problem(Some(offset)));
            assert_eq!(body(&expected(b"abcd", true), &found), Vec::from_iter(known));
            let unknown = offset.map(|_| problem(None));
            assert_eq!(body(&expected(b"abcd", false), &found), Vec::from_iter(unknown));
        }
    }

    #[test]
    fn a_body_that_was_cut_off_differs_even_if_its_beginning_is_equal() {
        let found = Body { bytes: Bytes::from_static(b"abcd"), cut: true };
        assert_eq!(
            body(&expected(b"abcd", true), &found),
            [Problem::Differs { offset: Some(4), expected_size: 4, found_size: None }]
        );
    }

    #[test]
    fn a_document_needs_both_policies_once_and_exactly() {
        let good = || {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
                (INTEGRITY_POLICY, page::INTEGRITY_POLICY),
            ] {
                headers.insert(name, value.parse().expect("a valid value"));
            }
            headers
        };
        let differing = |headers: &HeaderMap| -> Vec<String> {
            let problems = super::headers("/index.html", Kind::Document, headers).into_iter();
            let name = |problem| match problem {
                Problem::Header { name, .. } => name,
                other => panic!("{other:?}"),
            };
            problems.map(name).collect()
        };
        assert!(differing(&good()).is_empty());
        for name in [CONTENT_TYPE, CONTENT_SECURITY_POLICY, INTEGRITY_POLICY] {
            let mut changed = good();
            let longer = format!("{} ", changed[&name].to_str().expect("text"));
            changed.append(&name, longer.trim().parse().expect("a valid value"));
            assert_eq!(differing(&changed), [name.as_str()], "a second value");
            changed.remove(&name);
            assert_eq!(differing(&changed), [name.as_str()], "no value");
        }
        for name in [LINK, REFRESH] {
            let mut changed = good();
            changed.insert(&name, "0; url=https://elsewhere.example".parse().expect("valid"));
            assert_eq!(differing(&changed), [name.as_str()]);
        }
    }
}
