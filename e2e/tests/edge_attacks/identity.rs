//! Spoofed fields: the gateway is the backend's only source for the client's identity and the
//! original request. It removes every field with which a client could claim otherwise.

use std::collections::BTreeSet;

use e2e::attack::{Attacked, Listener, NO_RATE};
use e2e::frames::{H2, Outcome, WHOLE, field, frame, kind, request};

/// A value that only the client can have sent.
const SPOOFED: &str = "198.51.100.66";

/// Fields that backends, frameworks and other proxies use for the client or the original request.
const FIELDS: &[&str] = &[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-client-cert",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-url",
    "x-original-host",
    "x-host",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-client-cert-subject",
    "x-request-id",
    "traceparent",
    "tracestate",
    "proxy",
];

/// The fields in different case, and in spellings that a CGI-like backend treats as equal.
fn spellings() -> BTreeSet<String> {
    let capitals = |name: &str| name.split('-').map(capital).collect::<Vec<_>>().join("-");
    let mut all = BTreeSet::new();
    for name in FIELDS {
        all.extend([(*name).to_owned(), capitals(name), name.to_ascii_uppercase()]);
        if name.contains('-') {
            all.extend([
                name.replace('-', "_"),
                capitals(name).replace('-', "_"),
                name.replacen('-', "_", 1),
            ]);
        }
    }
    all
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

/// Checks the fields of a forwarded request from a client on loopback.
fn assert_forwarded(attacked: &Attacked, path: &str, scheme: &str, count: usize) {
    let all = attacked.backend.of(path);
    assert_eq!(all.len(), count, "{path}");
    for seen in all {
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains(SPOOFED), "a spoofed field reached the backend: {head}");
        assert!(seen.fields().iter().all(|(name, _)| !name.contains('_')), "{head}");
        assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"], "{head}");
        assert_eq!(seen.values("x-forwarded-proto"), [scheme], "{head}");
        assert_eq!(seen.values("x-forwarded-host"), ["localhost"], "{head}");
        assert_eq!(
            (seen.values("x-request-id").len(), seen.values("traceparent").len()),
            (1, 1),
            "{head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spoofed_fields_are_removed_over_http_1() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    for (listener, scheme) in [(Listener::Plain, "http"), (Listener::Tls, "https")] {
        let mut wire = attacked.connect(listener).await;
        for name in spellings() {
            let path = format!("/api/spoofed/{scheme}/{name}");
            // Once, twice, and as a connection option: a proxy removes those fields and might not
            // add its own.
            for fields in [
                format!("{name}: {SPOOFED}\r\n"),
                format!("{name}: {SPOOFED}\r\n{name}: {SPOOFED}\r\n"),
                format!(
                    "Connection: {name}, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n{name}: {SPOOFED}\r\n"
                ),
            ] {
                let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
                wire.send(request.as_bytes()).await.expect("send the request");
                assert_eq!(
                    wire.answer(false).await.expect("receive an answer").status,
                    200,
                    "{fields}"
                );
            }
            assert_forwarded(&attacked, &format!(" {path} "), scheme, 3);
        }
    }
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spoofed_fields_are_removed_over_h2() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut connection = H2::open(&attacked, &[]).await;
    for (stream, name) in (1..)
        .step_by(2)
        .zip(spellings().into_iter().filter(|name| *name == name.to_ascii_lowercase()))
    {
        let path = format!("/api/spoofed/{name}");
        let head = [request("GET", &path), field(&name, SPOOFED), field(&name, SPOOFED)].concat();
        connection
            .send(&frame(kind::HEADERS, WHOLE, stream, &head))
            .await
            .expect("send the request");
        assert_eq!(connection.outcome(stream).await, Outcome::Status(200), "{name}");
        assert_forwarded(&attacked, &format!(" {path} "), "https", 1);
    }
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spoofed_fields_are_removed_from_websocket_handshakes() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    for (listener, scheme) in [(Listener::Plain, "http"), (Listener::Tls, "https")] {
        for name in spellings() {
            let path = format!("/ws?{scheme}/{name}");
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: {scheme}://localhost\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade, {name}, X-Forwarded-For, Host\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{name}: {SPOOFED}\r\n\r\n"
            );
            let answer =
                attacked.exchange(listener, request.as_bytes()).await.expect("receive an answer");
            assert_eq!(answer.status, 101, "{name}");
            assert_forwarded(&attacked, &format!(" {path} "), scheme, 1);
        }
    }
    attacked.assert_healthy().await;
}
