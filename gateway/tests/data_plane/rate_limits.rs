//! Rate limits: per address and per route.

use std::time::Instant;

use axum::Router;
use axum::routing::any;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{Backend, Gateway, read_to_end};
use crate::limits::limited;

#[tokio::test]
async fn requests_over_the_rate_limit_get_429() {
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
async fn requests_rejected_before_routing_count_towards_the_rate_limit() {
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
        // These requests and proxied ones share a bucket.
        assert_eq!(
            gateway.client().get(gateway.url("/")).send().await.unwrap().status(),
            429,
            "{head}"
        );
    }
}

#[tokio::test]
async fn redirects_of_the_http_port_count_towards_the_rate_limit() {
    let (gateway, _backend) = limited("rate_limit = { per_second = 0.01, burst = 3 }").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let mut tcp = TcpStream::connect(gateway.http).await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        statuses.push(read_to_end(&mut tcp).await.get(9..12).unwrap_or_default().to_owned());
    }
    assert_eq!(statuses, ["308", "308", "308", "429", "429"]);
}

/// A page and an API, with default limits.
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

/// Sends this many requests at once; the number of responses with 200 and with 429.
async fn statuses_of(gateway: &Gateway, path: &str, requests: usize) -> (usize, usize) {
    let client = gateway.client();
    let ask = || async { client.get(gateway.url(path)).send().await.unwrap().status().as_u16() };
    let answers = futures::future::join_all((0..requests).map(|_| ask())).await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    (count(200), count(429))
}

#[tokio::test]
async fn two_hundred_visitors_behind_one_address_can_load_the_page_at_once() {
    let (gateway, _backend, _site) = page_and_api().await;
    // Ten requests per visit: eight files, and two to the API.
    assert_eq!(statuses_of(&gateway, "/", 1600).await, (1600, 0));
    assert_eq!(statuses_of(&gateway, "/api/session", 400).await, (400, 0));
}

#[tokio::test]
async fn two_thousand_files_stay_below_the_rate_limit_but_api_requests_do_not() {
    let (gateway, _backend, _site) = page_and_api().await;
    assert_eq!(statuses_of(&gateway, "/", 2000).await, (2000, 0));
    let started = Instant::now();
    let (answered, refused) = statuses_of(&gateway, "/api/session", 3000).await;
    // The files leave 800 of 1,000 tokens, and 100 are added each second.
    let most = 1000 + 100 * (started.elapsed().as_secs() as usize + 1);
    assert_eq!(answered + refused, 3000);
    assert!((800..=most).contains(&answered), "{answered} of 3000 requests were accepted");
}
