//! The access log, and how little of it a client can cause.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::any;
use gateway::Idle;
use tokio::io::AsyncWriteExt as _;
use tracing::subscriber::DefaultGuard;

use crate::h2_floods::{END_HEADERS, END_STREAM, HEADERS, connected_to, frame};
use crate::harness::{Backend, Gateway, PATIENCE, eventually, routes_to};

/// Captured log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Captures the log of this thread from now on.
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn access(&self) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(" access: ")).map(str::to_owned).collect()
    }
}

async fn answering(limits: &str) -> (Gateway, Backend) {
    let backend = Backend::start(Router::new().fallback(any(async || "answered"))).await;
    (
        Gateway::start(&format!("{}\n[limits]\n{limits}", routes_to(&[backend.address]))).await,
        backend,
    )
}

#[tokio::test]
async fn a_rejected_head_is_logged_without_path_and_address() {
    let (lines, _guard) = Lines::listen();
    let (gateway, _backend) = answering("").await;
    gateway.exchange(b"GET /path?secret=1 HTTP/1.1\r\n\r\n").await;
    let access = lines.access();
    let line = access.first().map(String::as_str).unwrap_or_default();
    assert!(line.contains("status=400") && line.contains(r#"reason="head""#), "{}", lines.text());
    assert!(!lines.text().contains("secret") && !line.contains("127.0.0.1"), "{}", lines.text());
}

#[tokio::test]
async fn a_long_request_is_truncated_in_the_log() {
    let (lines, _guard) = Lines::listen();
    let (gateway, _backend) = answering("").await;
    let (method, path) = ("M".repeat(9000), "p".repeat(8000));
    let host = "h".repeat(60);
    let answer = gateway
        .exchange(
            format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    eventually("the request is logged", async || lines.access().len() == 1).await;
    let line = lines.access().remove(0);
    assert!(line.len() < 1200, "{} bytes: {line}", line.len());
    assert!(line.contains(&format!("method=\"{}\u{2026}\"", "M".repeat(29))), "{line}");
    assert!(line.contains(&format!("path=\"/{}\u{2026}\"", "p".repeat(508))), "{line}");
}

#[tokio::test]
async fn a_flood_of_rejected_requests_is_summarised_in_a_few_lines() {
    const REQUESTS: u32 = 300;
    let (lines, _guard) = Lines::listen();
    let backend = Backend::start(Router::new().fallback(any(async || "answered"))).await;
    let limits = "rate_limit = { per_second = 0.01, burst = 1 }\nh2_concurrent_streams = 1000";
    let (gateway, _backend, stream) = connected_to(backend, limits).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let reading =
        tokio::spawn(async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await });
    // A path of 4,000 bytes, as a literal without indexing (RFC 7541 section 6.2.2).
    let path = [&[0x04, 0x7f, 0xa1, 0x1e, b'/'], vec![b'p'; 3999].as_slice()].concat();
    let head = [b"\x82\x87\x41\x09localhost".as_slice(), &path].concat();
    for number in 0..REQUESTS {
        let open = frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, &head);
        writing.write_all(&open).await.unwrap();
    }
    // TLS may hold back the last record if the socket did not accept more.
    writing.flush().await.unwrap();
    let refused = f64::from(REQUESTS - 1);
    eventually("all requests are rejected", async || {
        gateway.metric("gateway_requests_refused_total", &[("reason", "rate_limit")]) == refused
    })
    .await;
    drop(writing);
    reading.abort();
    gateway.plane.drain(PATIENCE, Idle::Ends).await;
    let text = lines.text();
    assert!(text.len() < 16 * 1024, "{} bytes of log for {REQUESTS} requests", text.len());
    // The accepted request, the first rejected one, and the number of further ones.
    let access = lines.access();
    assert_eq!(access.len(), 3, "{text}");
    assert!(access.iter().any(|line| line.contains("status=200")), "{text}");
    let first =
        access.iter().find(|line| line.contains("path=")).filter(|line| line.contains("pppp"));
    assert!(first.is_some(), "{text}");
    assert_eq!(access.iter().filter(|line| line.contains("status=429")).count(), 1, "{text}");
    assert!(
        access.iter().any(|line| line.contains(&format!("refused={}", REQUESTS - 2))
            && line.contains(r#"reason="rate_limit""#)),
        "{text}"
    );
}

#[tokio::test]
async fn the_number_of_rejections_is_logged_at_the_end_of_the_interval() {
    let (lines, _guard) = Lines::listen();
    let (gateway, _backend) = answering("").await;
    for _ in 0..4 {
        gateway.exchange(b"GET / HTTP/1.1\r\n\r\n").await;
    }
    eventually("the number of rejections is logged", async || lines.access().len() == 2).await;
    let access = lines.access();
    assert!(
        access[0].contains(r#"reason="head""#) && access[0].contains("status=400"),
        "{access:?}"
    );
    assert!(
        access[1].contains(r#"reason="head""#) && access[1].contains("refused=3"),
        "{access:?}"
    );
}
