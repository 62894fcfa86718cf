//! Idle connections to backends, kept for reuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::harness::{Backend, Gateway, PATIENCE, eventually, routes_to};

/// Connection and request counts of a backend.
#[derive(Default)]
struct Connections {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Connections {
    fn now(&self) -> (usize, usize) {
        (self.accepted.load(Ordering::SeqCst), self.open.load(Ordering::SeqCst))
    }
}

/// A backend that responds to `/together` when this many such requests have arrived.
async fn counting(together: usize) -> (Backend, Arc<Connections>) {
    let connections = Arc::new(Connections::default());
    let (counted, barrier) = (Arc::clone(&connections), Arc::new(Barrier::new(together)));
    let backend = Backend::raw(move |mut tcp: TcpStream| {
        let (connections, barrier) = (Arc::clone(&counted), Arc::clone(&barrier));
        async move {
            connections.accepted.fetch_add(1, Ordering::SeqCst);
            connections.open.fetch_add(1, Ordering::SeqCst);
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = tcp.read(&mut bytes).await {
                if bytes[..read].starts_with(b"GET /together") {
                    barrier.wait().await;
                }
                let body = if bytes[..read].starts_with(b"HEAD") { "" } else { "ok" };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                if tcp.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
            connections.open.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    (backend, connections)
}

async fn at_once(gateway: &Gateway, requests: usize) {
    let client = gateway.client();
    let send = || async {
        client.get(gateway.url("/together")).send().await.unwrap().text().await.unwrap()
    };
    let answers =
        tokio::time::timeout(PATIENCE, join_all((0..requests).map(|_| send()))).await.unwrap();
    assert!(answers.iter().all(|answer| answer == "ok"), "{answers:?}");
}

#[tokio::test]
async fn keepalive_connections_limits_idle_connections_per_target() {
    let (one, at_one) = counting(6).await;
    let (two, at_two) = counting(6).await;
    let kept = "\nkeepalive_connections = 2";
    let gateway = Gateway::start(&(routes_to(&[one.address, two.address]) + kept)).await;
    // With the least-request algorithm and no load, twelve requests at once are six for each
    // target.
    at_once(&gateway, 12).await;
    eventually("the other connections are closed", async || {
        (at_one.now(), at_two.now()) == ((6, 2), (6, 2))
    })
    .await;
    let client = gateway.client();
    for _ in 0..20 {
        assert_eq!(client.get(gateway.url("/")).send().await.unwrap().text().await.unwrap(), "ok");
        assert_eq!(client.head(gateway.url("/")).send().await.unwrap().status(), 200);
    }
    assert_eq!((at_one.now(), at_two.now()), ((6, 2), (6, 2)), "idle connections are reused");
}

#[tokio::test]
async fn no_idle_connection_is_kept_if_the_limit_is_zero() {
    let (backend, connections) = counting(3).await;
    let gateway =
        Gateway::start(&(routes_to(&[backend.address]) + "\nkeepalive_connections = 0")).await;
    at_once(&gateway, 3).await;
    eventually("all connections are closed", async || connections.now() == (3, 0)).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_keepalive_timeout() {
    let (backend, connections) = counting(3).await;
    let gateway =
        Gateway::start(&(routes_to(&[backend.address]) + "\nkeepalive_timeout = \"1s\"")).await;
    at_once(&gateway, 3).await;
    assert_eq!(connections.now(), (3, 3));
    eventually("all connections are closed", async || connections.now() == (3, 0)).await;
}

#[tokio::test]
async fn a_connection_closed_by_the_backend_is_not_reused() {
    let served = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&served);
    // Accepts one request per connection without announcing it.
    let backend = Backend::raw(move |mut tcp: TcpStream| {
        let served = Arc::clone(&counted);
        async move {
            let _ = tcp.read(&mut [0; 4096]).await;
            let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            drop(tcp);
            served.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let gateway =
        Gateway::start(&(routes_to(&[backend.address]) + "\nretries = { per_request = 0 }")).await;
    let client = gateway.client();
    for served_before in 0..5 {
        eventually("the backend has closed the connection", async || {
            served.load(Ordering::SeqCst) == served_before
        })
        .await;
        // POST is not idempotent, so no retry can hide a failure.
        assert_eq!(client.post(gateway.url("/")).send().await.unwrap().status(), 200);
    }
    assert_eq!(gateway.metric("gateway_upstream_failures_total", &[]), 0.0);
}
