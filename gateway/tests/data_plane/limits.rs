//! Limits: sizes, connections and timeouts of clients.

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Backend, Gateway, PATIENCE, read_to_end, routes_to};

/// A gateway with these `[limits]` and a backend that responds with the size of the body.
pub(crate) async fn limited(limits: &str) -> (Gateway, Backend) {
    let backend =
        Backend::start(Router::new().fallback(any(async |body: Bytes| body.len().to_string())))
            .await;
    let text = format!("{}\n[limits]\n{limits}", routes_to(&[backend.address]));
    (Gateway::start(&text).await, backend)
}

#[tokio::test]
async fn a_body_over_the_limit_gets_413_with_and_without_a_length() {
    let (gateway, _backend) = limited("").await;
    for client in [gateway.client_h1(), gateway.client()] {
        let fits = client.post(gateway.url("/api/x")).body(vec![0; 1024]).send().await.unwrap();
        assert_eq!((fits.status().as_u16(), fits.text().await.unwrap().as_str()), (200, "1024"));
        let long = client.post(gateway.url("/api/x")).body(vec![0; 1025]).send().await.unwrap();
        assert_eq!(
            (long.status().as_u16(), long.headers()["content-type"].to_str().unwrap()),
            (413, "application/problem+json")
        );
    }
    // Chunked, so the size is known only by counting.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = gateway.exchange(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let (gateway, _backend) = limited("header_bytes = \"4KiB\"\nheader_fields = 20").await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(5000));
    assert!(gateway.exchange(long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(20));
    assert!(gateway.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_slow_head_is_cut_off_after_header_timeout() {
    let (gateway, _backend) = limited("header_timeout = \"1s\"").await;
    let mut stream = gateway.raw().await;
    let started = Instant::now();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    while answer.is_empty() {
        assert!(started.elapsed() < PATIENCE, "the connection is still open");
        tokio::select! {
            _ = tick.tick() => stream.write_all(b"A: b\r\n").await.unwrap(),
            read = stream.read_buf(&mut answer) => { read.unwrap(); }
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_stalled_request_body_gets_408() {
    let (gateway, _backend) = limited("body_timeout = \"1s\"").await;
    let mut stream = gateway.raw().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nsome")
        .await
        .unwrap();
    let mut answer = vec![0; 13];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .expect("timed out")
        .unwrap();
    assert_eq!(answer, b"HTTP/1.1 408 ");
    assert_eq!(
        gateway.metric("gateway_requests_refused_total", &[("reason", "body_timeout")]),
        1.0
    );
    assert_eq!(gateway.metric("gateway_upstream_failures_total", &[]), 0.0);
}

#[tokio::test]
async fn a_stalled_handshake_is_cut_off_after_handshake_timeout() {
    let (gateway, _backend) = limited("handshake_timeout = \"1s\"").await;
    let mut tcp = TcpStream::connect(gateway.https).await.unwrap();
    assert_eq!(read_to_end(&mut tcp).await, "");
    assert_eq!(gateway.metric("gateway_tls_handshakes_total", &[("result", "timeout")]), 1.0);
}

#[tokio::test]
async fn connections_over_the_limit_of_an_address_are_closed() {
    let (gateway, _backend) = limited("max_connections_per_address = 2").await;
    let (_one, two) = (gateway.raw().await, gateway.raw().await);
    let mut three = TcpStream::connect(gateway.https).await.unwrap();
    assert_eq!(
        three.read(&mut [0; 1]).await.unwrap_or(0),
        0,
        "the third connection must be closed"
    );
    assert_eq!(gateway.metric("gateway_connections_refused_total", &[("reason", "address")]), 1.0);
    drop(two);
    crate::harness::eventually("a connection slot is free again", async || {
        let mut tcp = TcpStream::connect(gateway.https).await.unwrap();
        // A rejected connection is closed immediately, an accepted one waits for the handshake.
        tokio::time::timeout(std::time::Duration::from_millis(100), tcp.read(&mut [0; 1]))
            .await
            .is_err()
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_closed_after_keepalive_requests() {
    let (gateway, _backend) = limited("keepalive_requests = 2").await;
    let two = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
    let answer = gateway.exchange(two.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_response() {
    let (gateway, _backend) = limited("keepalive_timeout = \"1s\"").await;
    let mut stream = gateway.raw().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!(
        (answer.matches("HTTP/1.1 ").count(), answer.starts_with("HTTP/1.1 200 ")),
        (1, true),
        "{answer}"
    );
}

/// A client that sends its whole request before it reads.
async fn answer_after_sending(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = gateway.raw().await;
    let sent = stream.write_all(bytes).await;
    assert!(sent.is_ok(), "{sent:?}");
    let flushed = stream.flush().await;
    assert!(flushed.is_ok(), "{flushed:?}");
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_client_that_is_still_sending_receives_the_rejection() {
    let (gateway, _backend) = limited("").await;
    let body = "x".repeat(300 * 1024);
    let counted = format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let chunked =
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let nonsense = format!("Host: twice\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for (rest, status) in [(&counted, 413), (&chunked, 413), (&nonsense, 400)] {
        let head = format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\n{rest}");
        let answer = answer_after_sending(&gateway, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    for _ in 0..10 {
        let client = gateway.client_h1();
        let refused = client.post(gateway.url("/api/x")).body(body.clone()).send().await.unwrap();
        assert_eq!(refused.status(), 413);
        assert!(refused.text().await.unwrap().contains(r#""type":"too-large""#));
    }
}

#[tokio::test]
async fn an_early_response_of_a_backend_reaches_the_client() {
    let backend = Backend::raw(async |mut tcp: TcpStream| {
        let _ = tcp.read(&mut [0; 1024]).await;
        let answer =
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong";
        let _ = tcp.write_all(answer.as_bytes()).await;
        let _ = tcp.shutdown().await;
        while tcp.read(&mut [0; 16 * 1024]).await.unwrap_or(0) > 0 {}
    })
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address]).replace("1KiB", "1MiB")).await;
    for client in [gateway.client_h1(), gateway.client()] {
        let refused = client.post(gateway.url("/")).body(vec![0; 300 * 1024]).send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.text().await.unwrap().as_str()),
            (413, "long")
        );
    }
}
