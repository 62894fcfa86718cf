//! HTTP/2 frame by frame: floods are stopped, and malformed requests are rejected.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::{Backend, Gateway, PATIENCE, routes_to};

// RFC 9113 section 6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];

/// `GET https://localhost/` in HPACK (RFC 7541), without Huffman coding.
pub(crate) const GET: &[u8] = b"\x82\x87\x84\x41\x09localhost";
const POST: &[u8] = b"\x83\x87\x84\x41\x09localhost";

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// A literal header field without indexing.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

async fn connected(limits: &str) -> (Gateway, Backend, TlsStream<TcpStream>) {
    let backend =
        Backend::start(Router::new().fallback(any(async |body: Bytes| body.len().to_string())))
            .await;
    connected_to(backend, limits).await
}

pub(crate) async fn connected_to(
    backend: Backend,
    limits: &str,
) -> (Gateway, Backend, TlsStream<TcpStream>) {
    let gateway =
        Gateway::start(&format!("{}\n[limits]\n{limits}", routes_to(&[backend.address]))).await;
    let mut stream = gateway.raw_h2().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    (gateway, backend, stream)
}

/// Reads frames until one of this kind; `None` if the connection ended first.
pub(crate) async fn await_frame(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    wanted: u8,
) -> Option<Vec<u8>> {
    let read = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.ok()?;
            if head[3] == wanted {
                return Some(payload);
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("timed out waiting for a frame")
}

pub(crate) async fn assert_others_are_served(gateway: &Gateway) {
    assert_eq!(gateway.client().get(gateway.url("/")).send().await.unwrap().status(), 200);
}

/// Sends the bytes repeatedly until the connection ends or stalls; returns how many bytes were
/// sent.
async fn flood(stream: &mut TlsStream<TcpStream>, bytes: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        match tokio::time::timeout(Duration::from_secs(2), stream.write(bytes)).await {
            Ok(Ok(now)) => sent += now,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    sent
}

#[tokio::test]
async fn rapid_resets_end_only_their_connection() {
    let (gateway, _backend, stream) = connected("").await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        for stream in (1..200_001).step_by(2) {
            let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
            let both = [open, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
            if writing.write_all(&both).await.is_err() {
                return true;
            }
        }
        false
    });
    // ENHANCE_YOUR_CALM (RFC 9113 section 7), unless the connection is already gone.
    let goodbye = await_frame(&mut reading, GOAWAY).await;
    assert!(goodbye.is_none_or(|goodbye| goodbye.get(4..8) == Some(&[0, 0, 0, 11])));
    drop(reading);
    assert_others_are_served(&gateway).await;
    assert!(
        tokio::time::timeout(PATIENCE, sending).await.expect("timed out").unwrap(),
        "the flood was taken to its end"
    );
}

#[tokio::test]
async fn endless_continuations_end_the_connection() {
    let (gateway, _backend, mut stream) = connected("").await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, GET)).await.unwrap();
    let piece = frame(CONTINUATION, 0, 1, &field("a", &"b".repeat(100)).repeat(100));
    let most = 16 << 20;
    let sent = flood(&mut stream, &piece, most).await;
    assert!(sent < most, "{sent} bytes of one head were accepted");
    assert_others_are_served(&gateway).await;
}

#[tokio::test]
async fn unread_acknowledgements_of_pings_and_settings_stall_the_client_instead_of_filling_memory()
{
    for bytes in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let (gateway, _backend, mut stream) = connected("").await;
        // No more than the socket buffers of both sides hold.
        let most = 64 << 20;
        let sent = flood(&mut stream, &bytes.repeat(1000), most).await;
        assert!(sent < most, "{sent} bytes were accepted");
        assert_others_are_served(&gateway).await;
    }
}

#[tokio::test]
async fn connection_specific_fields_are_rejected() {
    // RFC 9113 section 8.2.2.
    for (name, value) in [
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
    ] {
        let (gateway, _backend, mut stream) = connected("").await;
        let head = [GET, &field(name, value)].concat();
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await.unwrap();
        let reset = await_frame(&mut stream, RST_STREAM).await;
        assert_eq!(reset.as_deref(), Some(PROTOCOL_ERROR.as_slice()), "{name}");
        assert_eq!(gateway.metric("gateway_requests_total", &[]), 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_stalled_body_gets_408_and_is_not_counted_as_an_upstream_failure() {
    let (gateway, backend, mut stream) = connected("body_timeout = \"1s\"").await;
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, POST)).await.unwrap();
    stream.write_all(&frame(DATA, 0, 1, b"some")).await.unwrap();
    await_frame(&mut stream, HEADERS).await.expect("a response");
    crate::harness::eventually("the request is counted as refused", async || {
        gateway.metric("gateway_requests_total", &[("code", "408")]) == 1.0
    })
    .await;
    assert_eq!(
        gateway.metric("gateway_requests_refused_total", &[("reason", "body_timeout")]),
        1.0
    );
    let target = backend.address.to_string();
    assert_eq!(
        gateway.metric("gateway_upstream_failures_total", &[]),
        0.0,
        "{target} is counted as failed"
    );
}

#[tokio::test]
async fn a_body_that_stalls_after_the_response_is_reset() {
    let backend = Backend::raw(async |mut tcp: TcpStream| {
        let _ = tcp.read(&mut [0; 1024]).await;
        let _ = tcp.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
        while tcp.read(&mut [0; 1024]).await.unwrap_or(0) > 0 {}
    })
    .await;
    let (gateway, _backend, mut stream) = connected_to(backend, "body_timeout = \"1s\"").await;
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, POST)).await.unwrap();
    stream.write_all(&frame(DATA, 0, 1, b"some")).await.unwrap();
    assert_eq!(await_frame(&mut stream, DATA).await.as_deref(), Some(b"no".as_slice()));
    await_frame(&mut stream, RST_STREAM).await.expect("RST_STREAM");
    assert_eq!(
        gateway.metric("gateway_requests_refused_total", &[("reason", "body_timeout")]),
        1.0
    );
    crate::harness::eventually("the request is counted and no longer in flight", async || {
        gateway.metric("gateway_requests_total", &[("code", "401")]) == 1.0
            && gateway.metric("gateway_upstream_requests_in_flight", &[]) == 0.0
            && gateway.metric("gateway_requests_in_flight", &[]) == 0.0
    })
    .await;
}
