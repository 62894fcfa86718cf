//! The WebSocket handshake with the upstream: sends the filtered request and parses the response
//! (RFC 6455 section 4).

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http::request::Parts;
use http::{HeaderName, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::serving::headers::{is_hop_by_hop, is_revealing};
use crate::serving::upstream::UpstreamStream;

/// A handshake that succeeded.
pub(super) struct Handshake {
    pub(super) upstream: UpstreamStream,
    /// The head of the response to the client.
    pub(super) answer: Vec<u8>,
    /// Bytes that the upstream sent after its head.
    pub(super) rest: BytesMut,
}

/// The error response to the client.
pub(super) enum Reply {
    /// From the gateway: status and detail.
    Gateway(u16, &'static str),
    /// From the upstream: its status, and its whole response with `Connection: close`.
    Upstream(u16, Vec<u8>),
}

/// Maximum size of a response head.
const HEAD_MAX: usize = 16 * 1024;
/// Maximum number of header fields in a response.
const FIELDS_MAX: usize = 64;
/// Maximum size of the body of a response that rejects the handshake.
const BODY_MAX: usize = 64 * 1024;

const BAD_RESPONSE: Reply =
    Reply::Gateway(502, "The service behind this site sent an invalid response.");

/// Sends the request and reads the response within the deadline.
pub(super) async fn perform(
    mut upstream: UpstreamStream,
    request: &Parts,
    deadline: Duration,
) -> Result<Handshake, Reply> {
    let exchange = async {
        upstream.write_all(&request_head(request)).await?;
        read_answer(&mut upstream).await
    };
    match tokio::time::timeout(deadline, exchange).await {
        Ok(Ok(Ok((answer, rest)))) => Ok(Handshake { upstream, answer, rest }),
        Ok(Ok(Err(reply))) => Err(reply),
        Ok(Err(error)) => {
            tracing::debug!(%error, "WebSocket handshake failed");
            Err(Reply::Gateway(502, "The service behind this site did not answer."))
        }
        Err(_) => Err(Reply::Gateway(504, "The service behind this site took too long to answer.")),
    }
}

/// The request head for the upstream, without hop-by-hop fields (RFC 9110 section 7.6.1).
fn request_head(request: &Parts) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    head.extend_from_slice(b"GET ");
    head.extend_from_slice(
        request.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes(),
    );
    head.extend_from_slice(b" HTTP/1.1\r\n");
    let nominated: Vec<&[u8]> = request
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    // The gateway sets the fields that identify the client, so `Connection` cannot remove them.
    let kept_always = |name: &HeaderName| {
        name == header::HOST || name == header::COOKIE || name.as_str().starts_with("x-forwarded-")
    };
    for (name, value) in &request.headers {
        let named = nominated
            .iter()
            .any(|nominated| nominated.eq_ignore_ascii_case(name.as_str().as_bytes()));
        // Extensions are not offered to the backend (`permessage-deflate` would cost it memory),
        // so the response negotiates none.
        let dropped = is_hop_by_hop(name)
            || name == header::SEC_WEBSOCKET_EXTENSIONS
            || (named && !kept_always(name));
        if !dropped {
            push_field(&mut head, name, value.as_bytes());
        }
    }
    head.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    head
}

async fn read_answer(
    upstream: &mut UpstreamStream,
) -> io::Result<Result<(Vec<u8>, BytesMut), Reply>> {
    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        if upstream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        let len = match answer.parse(&buffer) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if buffer.len() < HEAD_MAX => continue,
            Ok(httparse::Status::Partial) | Err(_) => return Ok(Err(BAD_RESPONSE)),
        };
        let status = answer.code.unwrap_or(0);
        if (100..=199).contains(&status) && status != 101 {
            buffer.advance(len);
            continue;
        }
        let parsed = Parsed::of(&answer, status);
        buffer.advance(len);
        if status == 101 {
            return Ok(if parsed.upgrades { Ok((parsed.head, buffer)) } else { Err(BAD_RESPONSE) });
        }
        return Ok(Err(refusal(upstream, parsed, buffer).await?));
    }
}

struct Parsed {
    status: u16,
    /// For the client, with the empty line at its end.
    head: Vec<u8>,
    upgrades: bool,
    length: Option<usize>,
    chunked: bool,
}

impl Parsed {
    fn of(answer: &httparse::Response<'_, '_>, status: u16) -> Self {
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let mut head = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
        let (mut upgrade, mut connection, mut length, mut chunked) = (false, false, None, false);
        for field in answer.headers.iter() {
            let has = |token: &str| {
                field
                    .value
                    .split(|b| *b == b',')
                    .any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
            };
            let Ok(name) = HeaderName::from_bytes(field.name.as_bytes()) else { continue };
            match name.as_str() {
                "upgrade" => upgrade |= has("websocket"),
                "connection" => connection |= has("upgrade"),
                "content-length" => {
                    length = std::str::from_utf8(field.value)
                        .ok()
                        .and_then(|text| text.trim().parse().ok())
                }
                "transfer-encoding" => chunked |= has("chunked"),
                _ if is_revealing(&name) => continue,
                _ => {}
            }
            if !is_hop_by_hop(&name) || (status != 101 && name == header::TRANSFER_ENCODING) {
                push_field(&mut head, &name, field.value);
            }
        }
        let closing: &[u8] = if status == 101 {
            b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n"
        } else {
            b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        };
        head.extend_from_slice(closing);
        Self { status, head, upgrades: upgrade && connection, length, chunked }
    }
}

/// The whole response of a service that rejects the handshake.
async fn refusal(
    upstream: &mut UpstreamStream,
    parsed: Parsed,
    mut body: BytesMut,
) -> io::Result<Reply> {
    let bodiless = matches!(parsed.status, 204 | 304);
    let is_whole = |body: &BytesMut| match (parsed.length, parsed.chunked) {
        _ if bodiless => true,
        (_, true) => body.ends_with(b"0\r\n\r\n"),
        (Some(length), false) => body.len() >= length,
        (None, false) => false,
    };
    while !is_whole(&body) {
        if body.len() > BODY_MAX {
            return Ok(BAD_RESPONSE);
        }
        if upstream.read_buf(&mut body).await? == 0 {
            break;
        }
    }
    let length =
        if bodiless { 0 } else { parsed.length.filter(|_| !parsed.chunked).unwrap_or(body.len()) };
    let mut bytes = parsed.head;
    bytes.extend_from_slice(body.get(..length).unwrap_or(&body));
    Ok(Reply::Upstream(parsed.status, bytes))
}

fn push_field(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_request_has_no_hop_by_hop_fields() {
        let (mut request, ()) = http::Request::get("/ws?x=1").body(()).expect("valid").into_parts();
        for (name, value) in [
            ("host", "chat.example.org"),
            ("connection", "keep-alive, Upgrade, X-Secret, X-Forwarded-For"),
            ("upgrade", "websocket"),
            ("x-secret", "1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("te", "trailers"),
        ] {
            request.headers.append(name, http::HeaderValue::from_static(value));
        }
        assert_eq!(
            String::from_utf8(request_head(&request)).expect("text"),
            "GET /ws?x=1 HTTP/1.1\r\nhost: chat.example.org\r\nx-forwarded-for: 192.0.2.1\r\nsec-websocket-key: k\r\n\
             connection: Upgrade\r\nupgrade: websocket\r\n\r\n"
        );
    }
}
