//! The admin address: a web page must not read it under a name of its own (DNS rebinding), and no
//! client may occupy it.

use std::time::{Duration, Instant};

use e2e::attack::wire::Wire;
use e2e::attack::{Attacked, NO_RATE};
use e2e::process::PATIENCE;
use e2e::scrape;
use futures::{StreamExt as _, stream};

async fn ask(attacked: &Attacked, request: &str) -> Result<u16, String> {
    let mut wire = Wire::new(attacked.tcp(attacked.admin).await);
    // The answer may come before all was sent.
    let _ = wire.send(request.as_bytes()).await;
    wire.answer(false).await.map(|answer| answer.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_hosts_that_no_web_page_can_have_are_answered() {
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
    // RFC 9110 section 15.5.20 for names of others, 400 for what is no host.
    let refused = [
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
    let mut wrong = Vec::new();
    for (paths, method) in [
        (["/metrics", "/config", "/readyz", "/ca.pem"].as_slice(), "GET"),
        (["/reload?dry_run=true"].as_slice(), "POST"),
    ] {
        for path in paths {
            for host in &accepted {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
                );
                match ask(&attacked, &request).await {
                    Ok(200) => {}
                    other => wrong.push(format!("{method} {path} to {host:?}: {other:?}")),
                }
            }
            for (host, status) in refused {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
                );
                match ask(&attacked, &request).await {
                    Ok(answered) if answered == status => {}
                    other => {
                        wrong.push(format!("{method} {path} to {host:?}: {other:?}, not {status}"))
                    }
                }
            }
        }
    }
    for (name, status, request) in [
        ("no Host", 400, "GET /metrics HTTP/1.1\r\n\r\n"),
        (
            "two Hosts",
            400,
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        ),
        (
            "absolute form",
            421,
            "GET http://evil.example/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        ),
        (
            "absolute form beside Host",
            421,
            "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        (
            "Host beside absolute form",
            421,
            "GET http://localhost/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        ),
        ("a foreign Host of HTTP/1.0", 421, "GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n"),
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
    ] {
        match ask(&attacked, request).await {
            Ok(answered) if answered == status => {}
            other => wrong.push(format!("{name}: {other:?}, not {status}")),
        }
    }
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_configured_are_answered_and_no_others() {
    let mut attacked = Attacked::start(NO_RATE, "hosts = [\"gateway.internal\"]").await;
    for (host, answered) in [
        ("gateway.internal", true),
        ("Gateway.Internal:9090", true),
        ("localhost", true),
        ("sub.gateway.internal", false),
        ("gateway.internal.evil.example", false),
        ("evil.example", false),
    ] {
        let status = ask(&attacked, &format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await
            .expect(host);
        assert!(if answered { status == 200 } else { status == 421 }, "{host}: {status}");
    }
    attacked.assert_well().await;
}

/// Connections that begin a request and do not end it.
const HALF_OPEN: usize = 300;
/// Connections that the admin address has at once.
const PLACES: usize = 64;
/// Its deadline for a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// That, on a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_is_closed_and_many_do_not_occupy_it() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let before = attacked.open_descriptors();
    let half = |index: usize| {
        let begun = [
            "",
            "G",
            "GET /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ",
        ];
        begun[index % begun.len()].as_bytes()
    };
    let mut open = Vec::new();
    for index in 0..HALF_OPEN {
        let mut wire = Wire::new(attacked.tcp(attacked.admin).await);
        // A connection above the limit may be closed already.
        let _ = wire.send(half(index)).await;
        open.push(wire);
    }
    // It was accepted after them, so all of them have their place or lost it.
    assert!(scrape::metrics(attacked.admin).contains("gateway_ready"), "an operator is let in");
    let (most, began) = (before + PLACES + 24, Instant::now());
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
    assert!(closed.is_ok(), "half a request stays open longer than {CLOSED_WITHIN:?}");
    assert!(scrape::metrics(attacked.admin).contains("gateway_ready"));
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_end_is_refused() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let begin = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
    for (name, request) in [
        ("a long value", format!("{begin}X: {}\r\n\r\n", "y".repeat(4 << 20))),
        (
            "a long target",
            format!("GET /metrics?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(4 << 20)),
        ),
        ("many fields", format!("{begin}{}\r\n", "X: y\r\n".repeat(500_000))),
        ("no line", "y".repeat(4 << 20)),
    ] {
        let mut wire = Wire::new(attacked.tcp(attacked.admin).await);
        let _ = wire.send(request.as_bytes()).await;
        match tokio::time::timeout(PATIENCE, wire.answer(false)).await.expect("it ends in time") {
            Ok(answer) => {
                assert!(matches!(answer.status, 400 | 414 | 431), "{name}: {}", answer.status)
            }
            // A reset takes the answer away from a client that still sends.
            Err(end) => assert!(!end.contains("silence"), "{name}: {end}"),
        }
    }
    attacked.assert_well().await;
}
