//! The admin address: a web page must not reach it under its own name (DNS rebinding), and no
//! client may block it.

use std::time::{Duration, Instant};

use e2e::attack::wire::Wire;
use e2e::attack::{Attacked, NO_RATE};
use e2e::process::TIMEOUT;
use e2e::scrape;
use futures::{StreamExt as _, stream};

async fn status_of(attacked: &Attacked, request: &str) -> Result<u16, String> {
    let mut wire = Wire::new(attacked.tcp(attacked.admin).await);
    // The answer may arrive before everything is sent.
    let _ = wire.send(request.as_bytes()).await;
    wire.answer(false).await.map(|answer| answer.status)
}

const ENDPOINTS: [(&str, &str); 5] = [
    ("GET", "/metrics"),
    ("GET", "/config"),
    ("GET", "/readyz"),
    ("GET", "/ca.pem"),
    ("POST", "/reload?dry_run=true"),
];

/// 421 for other names (RFC 9110 section 15.5.20), 400 for invalid hosts.
const REJECTED_HOSTS: &[(&str, u16)] = &[
    ("evil.example", 421),
    ("evil.example:9090", 421),
    ("127.0.0.1.evil.example", 421),
    ("localhost.evil.example", 421),
    ("evil-localhost", 421),
    ("evil.localhost", 421),
    ("2130706433", 421),
    ("127.1", 421),
    ("0x7f000001", 421),
    ("gateway.internal", 421),
    ("metrics", 421),
    ("127.0.0.1@evil.example", 400),
    ("evil.example, localhost", 400),
    ("[::1].evil.example", 400),
    ("localhost/evil.example", 400),
    ("", 400),
];

const REJECTED_REQUESTS: &[(&str, u16, &str)] = &[
    ("no Host", 400, "GET /metrics HTTP/1.1\r\n\r\n"),
    ("two Hosts", 400, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
    (
        "absolute form",
        421,
        "GET http://evil.example/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ),
    (
        "absolute form that differs from Host",
        421,
        "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    (
        "Host that differs from absolute form",
        421,
        "GET http://localhost/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ),
    ("a foreign Host with HTTP/1.0", 421, "GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n"),
    (
        "a page's origin",
        403,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n",
    ),
    (
        "a page's fetch",
        403,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_address_rejects_host_names_of_web_pages() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let port = attacked.admin;
    let accepted = [
        "127.0.0.1".to_owned(),
        format!("127.0.0.1:{port}"),
        "[::1]".to_owned(),
        format!("[::1]:{port}"),
        "10.1.2.3:9090".to_owned(),
        "[2001:db8::1]:9090".to_owned(),
        "localhost".to_owned(),
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
    ];
    let mut wrong = Vec::new();
    for (method, path) in ENDPOINTS {
        let accepted = accepted.iter().map(|host| (host.as_str(), 200));
        for (host, status) in accepted.chain(REJECTED_HOSTS.iter().copied()) {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
            let answered = status_of(&attacked, &request).await;
            if answered != Ok(status) {
                wrong.push(format!("{method} {path} to {host:?}: {answered:?}, not {status}"));
            }
        }
    }
    for (name, status, request) in REJECTED_REQUESTS {
        let answered = status_of(&attacked, request).await;
        if answered != Ok(*status) {
            wrong.push(format!("{name}: {answered:?}, not {status}"));
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_address_accepts_only_configured_names() {
    let mut attacked = Attacked::start(NO_RATE, "hosts = [\"gateway.internal\"]").await;
    for (host, answered) in [
        ("gateway.internal", true),
        ("Gateway.Internal:9090", true),
        ("localhost", true),
        ("sub.gateway.internal", false),
        ("gateway.internal.evil.example", false),
        ("evil.example", false),
    ] {
        let status =
            status_of(&attacked, &format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n"))
                .await
                .expect(host);
        assert!(if answered { status == 200 } else { status == 421 }, "{host}: {status}");
    }
    attacked.assert_healthy().await;
}

/// Connections with an incomplete request.
const HALF_OPEN: usize = 300;
/// Maximum number of connections to the admin address.
const SLOTS: usize = 64;
/// Its timeout for a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The same with a margin for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_requests_time_out_and_leave_room_for_operators() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let before = attacked.open_descriptors();
    let half = |index: usize| {
        let started = [
            "",
            "G",
            "GET /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ",
        ];
        started[index % started.len()].as_bytes()
    };
    let mut open = Vec::new();
    for index in 0..HALF_OPEN {
        let mut wire = Wire::new(attacked.tcp(attacked.admin).await);
        // A connection above the limit may be closed already.
        let _ = wire.send(half(index)).await;
        open.push(wire);
    }
    // This connection is accepted after the others, so each of them has a slot or has lost it.
    assert!(scrape::metrics(attacked.admin).contains("gateway_ready"), "an operator can connect");
    let (most, began) = (before + SLOTS + 24, Instant::now());
    while attacked.open_descriptors() > most {
        assert!(
            began.elapsed() < HEAD_TIMEOUT / 2,
            "{} descriptors, {before} before",
            attacked.open_descriptors()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let closing = stream::iter(open.iter_mut())
        .for_each_concurrent(None, |wire| async { while wire.more().await.unwrap_or(0) > 0 {} });
    let closed = tokio::time::timeout(CLOSED_WITHIN, closing).await;
    assert!(closed.is_ok(), "an incomplete request stays open longer than {CLOSED_WITHIN:?}");
    assert!(scrape::metrics(attacked.admin).contains("gateway_ready"));
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_request_heads_are_rejected() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let begin = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
    for (name, request) in [
        ("a long value", format!("{begin}X: {}\r\n\r\n", "y".repeat(4 << 20))),
        (
            "a long target",
            format!("GET /metrics?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(4 << 20)),
        ),
        ("many fields", format!("{begin}{}\r\n", "X: y\r\n".repeat(500_000))),
        ("no line end", "y".repeat(4 << 20)),
    ] {
        let mut wire = Wire::new(attacked.tcp(attacked.admin).await);
        let _ = wire.send(request.as_bytes()).await;
        match tokio::time::timeout(TIMEOUT, wire.answer(false))
            .await
            .expect("the connection ends in time")
        {
            Ok(answer) => {
                assert!(matches!(answer.status, 400 | 414 | 431), "{name}: {}", answer.status)
            }
            // A client that is still sending may lose the answer to a reset.
            Err(end) => assert!(!end.contains("silence"), "{name}: {end}"),
        }
    }
    attacked.assert_healthy().await;
}
