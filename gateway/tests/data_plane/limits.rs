//! How much is taken from whom.

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Backend, Gateway, PATIENCE, read_to_end, routes_to};

async fn limited(limits: &str) -> (Gateway, Backend) {
    let backend =
        Backend::start(Router::new().fallback(any(async |body: Bytes| body.len().to_string())))
            .await;
    let text = format!("{}\n[limits]\n{limits}", routes_to(&[backend.address]));
    (Gateway::start(&text).await, backend)
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_413_with_and_without_a_length() {
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
    // Chunked, so that only counting finds out.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = gateway.exchange(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let (gateway, _backend) = limited("header_bytes = \"4KiB\"\nheader_fields = 20").await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(5000));
    assert!(gateway.exchange(long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(20));
    assert!(gateway.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off_in_time() {
    let (gateway, _backend) = limited("header_timeout = \"1s\"").await;
    let mut stream = gateway.raw().await;
    let started = Instant::now();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    while answer.is_empty() {
        assert!(started.elapsed() < PATIENCE, "still open");
        tokio::select! {
            _ = tick.tick() => stream.write_all(b"A: b\r\n").await.unwrap(),
            read = stream.read_buf(&mut answer) => { read.unwrap(); }
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_408() {
    let (gateway, _backend) = limited("body_timeout = \"1s\"").await;
    let mut stream = gateway.raw().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nsome")
        .await
        .unwrap();
    let mut answer = vec![0; 13];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("in time").unwrap();
    assert_eq!(answer, b"HTTP/1.1 408 ");
    assert_eq!(
        gateway.metric("gateway_requests_refused_total", &[("reason", "body_timeout")]),
        1.0
    );
    assert_eq!(gateway.metric("gateway_upstream_failures_total", &[]), 0.0);
}

#[tokio::test]
async fn silence_instead_of_a_handshake_is_cut_off_in_time() {
    let (gateway, _backend) = limited("handshake_timeout = \"1s\"").await;
    let mut tcp = TcpStream::connect(gateway.https).await.unwrap();
    assert_eq!(read_to_end(&mut tcp).await, "");
    assert_eq!(gateway.metric("gateway_tls_handshakes_total", &[("result", "timeout")]), 1.0);
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let (gateway, _backend) = limited("max_connections_per_address = 2").await;
    let (_one, two) = (gateway.raw().await, gateway.raw().await);
    let mut three = TcpStream::connect(gateway.https).await.unwrap();
    assert_eq!(three.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at once");
    assert_eq!(gateway.metric("gateway_connections_refused_total", &[("reason", "address")]), 1.0);
    drop(two);
    crate::harness::eventually("a place is free again", async || {
        let mut tcp = TcpStream::connect(gateway.https).await.unwrap();
        // A refused connection is closed at once, an accepted one waits for the handshake.
        tokio::time::timeout(std::time::Duration::from_millis(100), tcp.read(&mut [0; 1]))
            .await
            .is_err()
    })
    .await;
}

#[tokio::test]
async fn too_many_requests_are_answered_429() {
    let (gateway, _backend) = limited("rate_limit = { per_second = 0.01, burst = 3 }").await;
    let client = gateway.client();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let response = client.get(gateway.url("/")).send().await.unwrap();
        assert_eq!(response.headers().contains_key("retry-after"), response.status() == 429);
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(gateway.metric("gateway_requests_rate_limited_total", &[("route", "all")]), 2.0);
}

#[tokio::test]
async fn a_connection_is_closed_after_so_many_requests() {
    let (gateway, _backend) = limited("keepalive_requests = 2").await;
    let two = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
    let answer = gateway.exchange(two.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_quietly() {
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

/// A client that has sent all it wants to send before it reads anything.
async fn answer_after_sending(gateway: &Gateway, octets: &[u8]) -> String {
    let mut stream = gateway.raw().await;
    let sent = stream.write_all(octets).await;
    assert!(sent.is_ok(), "{sent:?}");
    let flushed = stream.flush().await;
    assert!(flushed.is_ok(), "{flushed:?}");
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_client_in_mid_send_reads_why_it_was_refused() {
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
async fn a_backend_that_refuses_early_is_heard() {
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

#[tokio::test]
async fn what_is_refused_before_it_has_a_route_counts_for_its_address_too() {
    let limits = "rate_limit = { per_second = 0.01, burst = 3 }";
    for (head, status) in [
        ("GET /../secret HTTP/1.1\r\nHost: localhost", 400),
        ("TRACE / HTTP/1.1\r\nHost: localhost", 405),
        ("GET / HTTP/1.1", 400),
        ("CONNECT x:1 HTTP/1.1\r\nHost: localhost", 405),
        ("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket", 400),
    ] {
        let (gateway, _backend) = limited(limits).await;
        let mut statuses = Vec::new();
        for _ in 0..5 {
            let answer =
                gateway.exchange(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await;
            let retry = answer.to_ascii_lowercase().contains("retry-after: ");
            assert_eq!(retry, answer.starts_with("HTTP/1.1 429 "), "{answer}");
            statuses.push(answer.get(9..12).unwrap_or_default().parse::<u16>().unwrap_or_default());
        }
        assert_eq!(statuses, [status, status, status, 429, 429], "{head}");
        assert_eq!(
            gateway.metric("gateway_requests_refused_total", &[("reason", "rate_limit")]),
            2.0,
            "{head}"
        );
        // It is the bucket that answered requests have, too.
        assert_eq!(
            gateway.client().get(gateway.url("/")).send().await.unwrap().status(),
            429,
            "{head}"
        );
    }
}

#[tokio::test]
async fn redirects_of_the_plain_port_count_for_their_address_too() {
    let (gateway, _backend) = limited("rate_limit = { per_second = 0.01, burst = 3 }").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let mut tcp = TcpStream::connect(gateway.http).await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        statuses.push(read_to_end(&mut tcp).await.get(9..12).unwrap_or_default().to_owned());
    }
    assert_eq!(statuses, ["308", "308", "308", "429", "429"]);
}

/// A page and an interface, with every limit as it is when nothing is said.
async fn page_and_api() -> (Gateway, Backend, tempfile::TempDir) {
    let backend = Backend::start(Router::new().fallback(any(async || "data"))).await;
    let site = tempfile::tempdir().unwrap();
    std::fs::write(site.path().join("index.html"), "<!doctype html><title>page</title>").unwrap();
    let text = format!(
        r#"
        [[route]]
        name = "api"
        path_prefix = "/api"
        upstream = "backend"

        [[route]]
        name = "page"
        path_prefix = "/"
        static = "page"

        [[site]]
        name = "page"
        root = "{}"

        [[upstream]]
        name = "backend"
        targets = ["{}"]
        "#,
        site.path().display(),
        backend.address
    );
    (Gateway::start(&text).await, backend, site)
}

/// The status codes of so many requests at once, sorted and counted: `(200s, 429s)`.
async fn statuses_of(gateway: &Gateway, path: &str, requests: usize) -> (usize, usize) {
    let client = gateway.client();
    let ask = || async { client.get(gateway.url(path)).send().await.unwrap().status().as_u16() };
    let answers = futures::future::join_all((0..requests).map(|_| ask())).await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    (count(200), count(429))
}

#[tokio::test]
async fn two_hundred_people_behind_one_address_load_the_page_at_once() {
    let (gateway, _backend, _site) = page_and_api().await;
    // Ten requests each: eight files, and two that ask the backend.
    assert_eq!(statuses_of(&gateway, "/", 1600).await, (1600, 0));
    assert_eq!(statuses_of(&gateway, "/api/session", 400).await, (400, 0));
}

#[tokio::test]
async fn two_thousand_files_at_once_are_no_flood_and_as_many_api_requests_are_one() {
    let (gateway, _backend, _site) = page_and_api().await;
    assert_eq!(statuses_of(&gateway, "/", 2000).await, (2000, 0));
    let started = Instant::now();
    let (answered, refused) = statuses_of(&gateway, "/api/session", 3000).await;
    // The files have left 800 of 1,000, and 100 come back each second.
    let most = 1000 + 100 * (started.elapsed().as_secs() as usize + 1);
    assert_eq!(answered + refused, 3000);
    assert!((800..=most).contains(&answered), "{answered} of 3000 were let through");
}
