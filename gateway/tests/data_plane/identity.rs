//! Header fields in which clients claim an identity are removed, from proxied requests and from
//! WebSocket handshakes.

use reqwest::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Backend, Gateway, Seen, eventually, read_to_end, routes_to};

/// Header fields that are trusted only from a proxy.
const CLAIMS: [&str; 32] = [
    "forwarded",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-user",
    "x-forwarded-client-cert",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-host",
    "x-host",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-client-cert-subject",
    "proxy",
    // The same names in the spelling of services that follow the CGI rules.
    "x_real_ip",
    "x-forwarded_for",
    "x_forwarded_for",
    "x_forwarded_proto",
    "x_client_cert_subject",
    "x_request_id",
    "x.forwarded.for",
    "x_anything",
    "_",
];

/// A backend that records the heads of requests in lower case and sends an empty response.
async fn keeping() -> (Backend, Seen<String>) {
    let seen = Seen::<String>::default();
    let kept = seen.clone();
    let backend = Backend::raw(move |mut tcp| {
        let kept = kept.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n")
                && tcp.read_buf(&mut head).await.is_ok_and(|read| read > 0)
            {}
            kept.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
            let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // The write may fail: only the request matters.
            let _ = tcp.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (backend, seen)
}

/// The heads that reach the backend for requests with all these names: over HTTP/1.1, over HTTP/2,
/// and for a WebSocket.
async fn arriving(names: &[&str], further: &str) -> Vec<String> {
    let (backend, seen) = keeping().await;
    let gateway = Gateway::start(&format!("{}{further}", routes_to(&[backend.address]))).await;
    for client in [gateway.client_h1(), gateway.client()] {
        let mut request = client.get(gateway.url("/x"));
        for name in names {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request = request.header(name, HeaderValue::from_static("claim"));
        }
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    let port = gateway.https.port();
    let fields: String = names.iter().map(|name| format!("{name}: claim\r\n")).collect();
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: https://localhost:{port}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    assert!(gateway.exchange(handshake.as_bytes()).await.starts_with("HTTP/1.1 403 "));
    eventually("all three requests have arrived", async || seen.lock().unwrap().len() == 3).await;
    let heads = seen.lock().unwrap().clone();
    assert!(heads[2].contains("upgrade: websocket"), "{}", heads[2]);
    heads
}

fn names_of(head: &str) -> Vec<&str> {
    head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect()
}

#[tokio::test]
async fn identity_claims_of_a_client_are_removed_in_every_spelling() {
    for head in arriving(&CLAIMS, "").await {
        assert!(!head.contains("claim"), "{head}");
        let left: Vec<_> =
            names_of(&head).into_iter().filter(|name| CLAIMS.contains(name)).collect();
        assert!(left.is_empty(), "{left:?} in {head}");
        assert!(
            head.contains("x-forwarded-for: 127.0.0.1\r\n")
                && head.contains("x-forwarded-proto: https\r\n")
        );
    }
}

#[tokio::test]
async fn names_with_underscores_are_forwarded_if_enabled_except_identity_claims() {
    let further = "\n[trust]\nunderscores_in_headers = true\n";
    for head in arriving(&CLAIMS, further).await {
        let mut left: Vec<_> =
            names_of(&head).into_iter().filter(|name| CLAIMS.contains(name)).collect();
        left.sort_unstable();
        assert_eq!(left, ["_", "x_anything"], "{head}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_send_further_forwarded_fields_but_not_in_disguise() {
    let further = "\n[trust]\nforwarded = [\"127.0.0.0/8\"]\n";
    for head in arriving(&["x-forwarded-user", "x_forwarded_user", "x-real-ip"], further).await {
        assert!(head.contains("x-forwarded-user: claim\r\n"), "{head}");
        assert_eq!(head.matches("claim").count(), 1, "{head}");
    }
}

#[tokio::test]
async fn a_client_cannot_remove_the_gateways_fields_through_connection() {
    let (backend, seen) = keeping().await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let port = gateway.https.port();
    let own = "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, Traceparent";
    for (path, connection, further) in [
        ("/x", "close", ""),
        (
            "/ws",
            "Upgrade",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: https://localhost:{port}\r\n\
             Connection: {connection}, {own}\r\n{further}\r\n"
        );
        let mut stream = gateway.raw().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 403 "), "{path}");
    }
    eventually("both requests have arrived", async || seen.lock().unwrap().len() == 2).await;
    for head in seen.lock().unwrap().iter() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-request-id",
            "traceparent",
        ] {
            assert!(names_of(head).contains(&name), "{name} is missing: {head}");
        }
    }
}
