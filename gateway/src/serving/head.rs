//! HTTP/1.1 request heads: found within limits and parsed strictly, so that no two parsers behind
//! this one can interpret them differently (RFC 9112 sections 2.2, 3, 5, 6 and 11.2).

// These numbers come from clients: arithmetic on them is checked or saturating.
#![warn(clippy::arithmetic_side_effects)]

mod fields;
mod scan;

pub(crate) use fields::{Fields, is_token};
pub(crate) use scan::HeadScanner;

use std::ops::Range;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};

/// The properties of a request head that the connection needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The method.
    pub(crate) method: Method,
    /// HTTP/1.0 or HTTP/1.1.
    pub(crate) version: Version,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// Whether it is a WebSocket request (RFC 6455 section 4.2.1).
    pub(crate) upgrade: Upgrade,
    /// Bytes of the head, including the empty line.
    pub(crate) len: usize,
    target: Range<usize>,
    fields: usize,
}

/// Framing of a request body (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Content-Length` with this value, or no body.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Whether a request is a WebSocket request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// It is not.
    None,
    /// A valid WebSocket request according to RFC 6455.
    WebSocket,
    /// A WebSocket request with an unsupported version.
    WrongVersion,
    /// A WebSocket request with a missing or malformed field.
    Malformed,
}

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Maximum bytes.
    pub(crate) bytes: usize,
    /// Maximum fields.
    pub(crate) fields: usize,
}

/// Why a head is rejected. The connection is closed after the response, because the start of the
/// next request is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// A line does not end in CRLF, or contains CR or NUL.
    #[error("a header line does not end in CRLF or contains a control character")]
    Line,
    /// Not `method SP target SP version`.
    #[error("expected a request line `METHOD target HTTP/1.1`")]
    RequestLine,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("the HTTP version is not supported")]
    Version,
    /// Not origin-form.
    #[error("the request target must begin with a slash")]
    Target,
    /// A field line that is not `name: value`; includes folded lines.
    #[error("a header field is malformed")]
    Field,
    /// No `Host`, or more than one (RFC 9112 section 3.2).
    #[error("expected exactly one Host")]
    Host,
    /// `Content-Length` that is not one number, or is combined with `Transfer-Encoding` (RFC 9112
    /// section 6.1).
    #[error("the length of the body is ambiguous")]
    Framing,
    /// A transfer coding other than `chunked`.
    #[error("the only transfer coding accepted is chunked")]
    TransferCoding,
    /// `Expect` other than `100-continue` (RFC 9110 section 10.1.1).
    #[error("the only expectation accepted is 100-continue")]
    Expectation,
    /// CONNECT.
    #[error("CONNECT is not supported")]
    Connect,
    /// Too many bytes or fields (RFC 6585 section 5).
    #[error("the head of the request is too large")]
    TooLarge,
}

impl HeadError {
    /// The status code of the response.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::Connect => 405,
            Self::Expectation => 417,
            Self::TransferCoding => 501,
            Self::TooLarge => 431,
            Self::Line
            | Self::RequestLine
            | Self::Target
            | Self::Field
            | Self::Host
            | Self::Framing => 400,
        }
    }
}

impl Head {
    /// Parses a complete head found by [`HeadScanner`]; `text` ends with the empty line.
    pub(crate) fn parse(text: &[u8], limits: HeadLimits) -> Result<Self, HeadError> {
        let line_end = text.iter().position(|byte| *byte == b'\r').ok_or(HeadError::Line)?;
        let (line, rest) = text.split_at_checked(line_end).ok_or(HeadError::Line)?;
        let (method, target, version) = request_line(line)?;
        let fields = rest.get(2..).ok_or(HeadError::Line)?;
        let said = Fields::new(fields).read(limits.fields)?;
        if said.hosts > 1 || (said.hosts == 0 && version == Version::HTTP_11) {
            return Err(HeadError::Host);
        }
        let framing = match (said.chunked, said.length) {
            // RFC 9112 section 6.1 allows servers to reject this; proxies that do not are open to
            // smuggling.
            (true, Some(_)) => return Err(HeadError::Framing),
            (true, None) if version == Version::HTTP_10 => return Err(HeadError::Framing),
            (true, None) => Framing::Chunked,
            (false, length) => Framing::Length(length.unwrap_or(0)),
        };
        let upgrade = if version == Version::HTTP_11 {
            said.upgrade(&method, framing)
        } else {
            Upgrade::None
        };
        Ok(Self { method, version, framing, upgrade, len: text.len(), target, fields: said.count })
    }

    /// Converts the head to the type that filters use. `text` is the parsed head.
    pub(crate) fn to_request(&self, text: &[u8]) -> Option<Parts> {
        let target = text.get(self.target.clone())?;
        let mut headers = HeaderMap::with_capacity(self.fields);
        let line_end = text.iter().position(|byte| *byte == b'\n')?;
        for (name, value) in Fields::new(text.get(line_end.checked_add(1)?..)?) {
            headers
                .append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        }
        let request = Request::builder()
            .method(self.method.clone())
            .uri(target)
            .version(self.version)
            .body(())
            .ok()?;
        let (mut parts, ()) = request.into_parts();
        parts.headers = headers;
        Some(parts)
    }
}

fn request_line(line: &[u8]) -> Result<(Method, Range<usize>, Version), HeadError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadError::RequestLine);
    };
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        other if other.starts_with(b"HTTP/") => return Err(HeadError::Version),
        _ => return Err(HeadError::RequestLine),
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(HeadError::RequestLine);
    }
    let method = Method::from_bytes(method).map_err(|_| HeadError::RequestLine)?;
    if method == Method::CONNECT {
        return Err(HeadError::Connect);
    }
    // Only origin-form: absolute-form adds a second host, and clients of a server never send it
    // (RFC 9112 section 3.2.2). A fragment is not part of it (section 3.2.1), and the next parser
    // would silently remove it.
    if !target.starts_with(b"/")
        || !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
    {
        return Err(HeadError::Target);
    }
    let start = method.as_str().len().saturating_add(1);
    Ok((method, start..start.saturating_add(target.len()), version))
}

#[cfg(test)]
mod tests;
