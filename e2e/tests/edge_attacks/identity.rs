//! Who a client is, the backend learns from the gateway alone: no field by which a client can claim
//! to be another, or to ask for something else, gets through.

use std::collections::BTreeSet;

use e2e::attack::{Attacked, Door, NO_RATE};
use e2e::frames::{H2, Outcome, WHOLE, field, frame, kind, request};

/// What only a client could have said.
const CLAIM: &str = "198.51.100.66";

/// Names under which backends, frameworks and other proxies look for the client or for another
/// request.
const CLAIMS: &[&str] = &[
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

/// The same as a CGI-like backend would take for it, and other spellings.
fn spellings() -> BTreeSet<String> {
    let capitals = |name: &str| name.split('-').map(capital).collect::<Vec<_>>().join("-");
    let mut all = BTreeSet::new();
    for name in CLAIMS {
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

/// All that a request of a client on loopback may say about it.
fn assert_told(attacked: &Attacked, path: &str, scheme: &str, count: usize) {
    let all = attacked.backend.of(path);
    assert_eq!(all.len(), count, "{path}");
    for seen in all {
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains(CLAIM), "a claim got through: {head}");
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
async fn no_claim_reaches_the_backend_by_http_1() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    for (door, scheme) in [(Door::Plain, "http"), (Door::Tls, "https")] {
        let mut wire = attacked.connect(door).await;
        for name in spellings() {
            let path = format!("/api/claim/{scheme}/{name}");
            // Once, twice, and as a field of the connection, which a proxy takes away and may
            // forget to put back.
            for fields in [
                format!("{name}: {CLAIM}\r\n"),
                format!("{name}: {CLAIM}\r\n{name}: {CLAIM}\r\n"),
                format!(
                    "Connection: {name}, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n{name}: {CLAIM}\r\n"
                ),
            ] {
                let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
                wire.send(request.as_bytes()).await.expect("it is sent");
                assert_eq!(
                    wire.answer(false).await.expect("it is answered").status,
                    200,
                    "{fields}"
                );
            }
            assert_told(&attacked, &format!(" {path} "), scheme, 3);
        }
    }
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_claim_reaches_the_backend_by_http_2() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut connection = H2::open(&attacked, &[]).await;
    for (stream, name) in (1..)
        .step_by(2)
        .zip(spellings().into_iter().filter(|name| *name == name.to_ascii_lowercase()))
    {
        let path = format!("/api/claim/{name}");
        let head = [request("GET", &path), field(&name, CLAIM), field(&name, CLAIM)].concat();
        connection.send(&frame(kind::HEADERS, WHOLE, stream, &head)).await.expect("it is sent");
        assert_eq!(connection.outcome(stream).await, Outcome::Status(200), "{name}");
        assert_told(&attacked, &format!(" {path} "), "https", 1);
    }
    attacked.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_claim_reaches_the_backend_by_a_websocket() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    for (door, scheme) in [(Door::Plain, "http"), (Door::Tls, "https")] {
        for name in spellings() {
            let path = format!("/ws?{scheme}/{name}");
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: {scheme}://localhost\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade, {name}, X-Forwarded-For, Host\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{name}: {CLAIM}\r\n\r\n"
            );
            let answer = attacked.exchange(door, request.as_bytes()).await.expect("it is answered");
            assert_eq!(answer.status, 101, "{name}");
            assert_told(&attacked, &format!(" {path} "), scheme, 1);
        }
    }
    attacked.assert_well().await;
}
