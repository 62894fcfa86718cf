//! Static sites: loaded into memory with the configuration, compressed at build time, served by a
//! pure function of the request.

mod conditional;
mod encoding;
mod load;
mod navigation;

pub(crate) use load::SiteError;

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::serving::answer::Answer;
use conditional::Selected;
use encoding::Coding;
use navigation::Pages;

/// A site in memory.
#[derive(Debug)]
pub(crate) struct Site {
    /// Files by decoded path, such as `/assets/x.js`.
    files: HashMap<String, File>,
    pages: Pages,
    spa_fallback: Option<String>,
    pub(crate) policies: Policies,
}

/// What browsers may load and run in a page of the site.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Policies {
    /// `Content-Security-Policy`.
    pub(crate) content: HeaderValue,
    /// `Integrity-Policy`; only pages whose build adds hashes have one.
    pub(crate) integrity: Option<HeaderValue>,
}

/// A file in every encoding that was built.
#[derive(Debug)]
struct File {
    content_type: &'static str,
    /// Whether the name contains a hash of the content.
    immutable: bool,
    identity: Representation,
    coded: Vec<(Coding, Representation)>,
}

#[derive(Debug)]
struct Representation {
    bytes: Bytes,
    /// Strong (RFC 9110 section 8.8.3): identifies exactly these bytes.
    etag: HeaderValue,
}

/// A response from a site.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Empty for HEAD; `Content-Length` is that of GET.
    pub(crate) body: Bytes,
    pub(crate) length: u64,
}

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Cached, but revalidated each time: a deployment is visible immediately.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The value of `Vary`: the fields that select the file and its encoding.
fn vary(fell_back: bool, coded: bool) -> Option<HeaderValue> {
    match (fell_back, coded) {
        (false, false) => None,
        (false, true) => Some(HeaderValue::from_static("accept-encoding")),
        (true, false) => Some(navigation::VARY),
        (true, true) => Some(navigation::VARY_AND_CODING),
    }
}

impl Site {
    fn new(
        files: HashMap<String, File>,
        spa_fallback: Option<String>,
        policies: Policies,
        claimed: Vec<String>,
    ) -> Self {
        Self { pages: Pages::of(&files, claimed), files, spa_fallback, policies }
    }

    /// Responds to a request for a normalised path; `None` if there is no such file.
    pub(crate) fn reply(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Reply> {
        let (file, fell_back) = self.find(method, path, headers)?;
        let accept = headers.get_all(header::ACCEPT_ENCODING);
        let ranged = *method == Method::GET && headers.contains_key(header::RANGE);
        // A range of a compressed file is useless for videos and resumed downloads.
        let coding = match ranged {
            true => None,
            false => encoding::choose(accept, file.coded.iter().map(|(coding, _)| *coding)),
        };
        let coded = coding.and_then(|coding| file.coded.iter().find(|(other, _)| *other == coding));
        let representation = coded.map_or(&file.identity, |(_, representation)| representation);
        let selected = conditional::select(
            headers,
            method,
            representation.bytes.len() as u64,
            &representation.etag,
        );

        let mut reply = vec![
            (header::ETAG, representation.etag.clone()),
            (header::CACHE_CONTROL, if file.immutable { IMMUTABLE } else { REVALIDATE }),
        ];
        if let Some(vary) = vary(fell_back, !file.coded.is_empty()) {
            reply.push((header::VARY, vary));
        }
        let (status, body) = match selected {
            Selected::NotModified => (StatusCode::NOT_MODIFIED, Bytes::new()),
            Selected::Failed => (StatusCode::PRECONDITION_FAILED, Bytes::new()),
            Selected::Whole => (StatusCode::OK, representation.bytes.clone()),
            Selected::Part(range, content_range) => {
                reply.push((header::CONTENT_RANGE, content_range));
                let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                let part = part.and_then(|(start, end)| representation.bytes.get(start..end));
                (
                    StatusCode::PARTIAL_CONTENT,
                    part.map_or_else(Bytes::new, |part| representation.bytes.slice_ref(part)),
                )
            }
            Selected::Unsatisfiable(content_range) => {
                reply.push((header::CONTENT_RANGE, content_range));
                (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new())
            }
        };
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            reply.push((header::CONTENT_TYPE, HeaderValue::from_static(file.content_type)));
            reply.push((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
            if let Some(coding) = coding {
                reply.push((header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str())));
            }
        }
        let length = body.len() as u64;
        let body = if *method == Method::HEAD { Bytes::new() } else { body };
        Some(Reply { status, headers: reply, body, length })
    }

    /// The file, and whether it is the fallback.
    fn find(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<(&File, bool)> {
        let mut path = decode(path)?;
        if path.ends_with('/') {
            path.push_str("index.html");
        }
        if let Some(file) = self.files.get(&path) {
            return Some((file, false));
        }
        let fallback = self.spa_fallback.as_ref()?;
        if !self.pages.may_be(&path) || !navigation::is_navigation(method, headers) {
            return None;
        }
        Some((self.files.get(fallback)?, true))
    }

    /// Whether the site has no files, because the user interface was not built.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The response of a user interface that was not built.
    pub(crate) fn not_built() -> Answer {
        Answer::plain(
            503,
            "The user interface was not built into this program: run `make ui` and rebuild the program.",
        )
    }
}

/// Decodes a normalised path, whose escapes are valid.
fn decode(path: &str) -> Option<String> {
    if !path.contains('%') {
        return Some(path.to_owned());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
