//! Responses of the gateway itself: problem details for programs, a small page for people.

use std::io::Write as _;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// A complete response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// The format of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// An HTML page.
    Html,
    /// A line of text.
    Text,
}

impl Form {
    /// The format for a request with these header fields: people get pages, programs that use a
    /// service get problem details.
    pub(crate) fn of(headers: &HeaderMap, service: bool) -> Self {
        let accepts = |kind: &str| {
            let mut fields = headers.get_all(header::ACCEPT).iter();
            fields.any(|field| field.to_str().is_ok_and(|field| field.contains(kind)))
        };
        if accepts("text/html") {
            Self::Html
        } else if service || accepts("json") {
            Self::Problem
        } else {
            Self::Text
        }
    }
}

const VALID: &str = "the gateway sends only valid status codes";

impl Answer {
    /// A response with a line of text.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        let status = StatusCode::from_u16(status).expect(VALID);
        let answer =
            Self { status, headers: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()) };
        answer.with("content-type", "text/plain; charset=utf-8")
    }

    /// A response without a body.
    pub(crate) fn empty(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect(VALID);
        Self { status, headers: Vec::new(), body: Bytes::new() }.with("cache-control", "no-store")
    }

    /// An error or a redirect as text; caches must not store it.
    pub(crate) fn plain(status: u16, detail: &str) -> Self {
        let answer = Self::text(status, &format!("{detail}\n"));
        answer.with("cache-control", "no-store").with("x-content-type-options", "nosniff")
    }

    /// An error in the format that the client accepts. `detail` is a sentence of the gateway, never
    /// input from the client.
    pub(crate) fn error(status: u16, detail: &str, form: Form) -> Self {
        let plain = Self::plain(status, detail);
        let title = plain.status.canonical_reason().unwrap_or("Error");
        match form {
            Form::Text => plain,
            Form::Problem => {
                // Services send this error as well, and their clients recognize it by its type.
                let kind = if status == 413 { "too-large" } else { "about:blank" };
                let problem = serde_json::json!({"type": kind, "title": title, "status": status, "detail": detail});
                plain.containing("application/problem+json", problem.to_string())
            }
            Form::Html => {
                let page = format!(
                    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
                     content=\"width=device-width\"><title>{title}</title>\n<h1>{title}</h1>\n<p>{detail}</p>\n"
                );
                plain.containing("text/html; charset=utf-8", page)
            }
        }
    }

    /// The body as a line for a log.
    pub(crate) fn line(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default().trim_end()
    }

    /// Adds a header field, unless the value is not a valid one.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    fn containing(mut self, content_type: &'static str, body: String) -> Self {
        self.headers.retain(|(name, _)| name != header::CONTENT_TYPE);
        self.body = body.into();
        self.with("content-type", content_type)
    }

    /// The head.
    pub(crate) fn to_parts(&self) -> Parts {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 12);
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        let (mut parts, ()) = http::Response::new(()).into_parts();
        (parts.status, parts.headers) = (self.status, headers);
        parts
    }

    /// The complete response for a connection that is closed after it.
    pub(crate) fn to_h1(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(256 + self.body.len());
        let reason = self.status.canonical_reason().unwrap_or_default();
        // Writing to a vector cannot fail.
        let _ = write!(text, "HTTP/1.1 {} {reason}\r\n", self.status.as_u16());
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        let _ = write!(text, "content-length: {}\r\nconnection: close\r\n\r\n", self.body.len());
        text.extend_from_slice(&self.body);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &'static str, service: bool) -> Form {
        let headers = [(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
        Form::of(&headers, service)
    }

    #[test]
    fn programs_get_problems_and_people_get_pages() {
        assert_eq!(form("*/*", true), Form::Problem);
        assert_eq!(form("text/event-stream", true), Form::Problem);
        assert_eq!(form("application/json", false), Form::Problem);
        assert_eq!(form("text/html,*/*", true), Form::Html);
        assert_eq!(form("*/*", false), Form::Text);
    }

    #[test]
    fn an_error_contains_its_status_in_every_format() {
        let problem = Answer::error(404, "There is nothing here.", Form::Problem);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&problem.body).expect("JSON"),
            serde_json::json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is nothing here."})
        );
        let raw = String::from_utf8(
            Answer::error(503, "Later.", Form::Text).with("retry-after", "1").to_h1(),
        )
        .expect("text");
        assert_eq!(
            raw,
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\nretry-after: 1\r\ncontent-length: 7\r\nconnection: close\r\n\r\nLater.\n"
        );
    }
}
