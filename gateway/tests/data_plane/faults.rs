//! Backends that fail in the middle of a request.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Backend, Gateway, Seen, routes_to};

/// A backend that records each request and closes the connection without a response.
async fn closing() -> (Backend, Seen<()>) {
    let seen: Seen<()> = Seen::default();
    let noted = Arc::clone(&seen);
    let backend = Backend::raw(move |mut tcp: TcpStream| {
        let noted = Arc::clone(&noted);
        async move {
            let mut bytes = [0; 1024];
            if tcp.read(&mut bytes).await.unwrap_or(0) > 0 {
                noted.lock().unwrap().push(());
            }
        }
    })
    .await;
    (backend, seen)
}

#[tokio::test]
async fn only_idempotent_requests_are_retried() {
    let (backend, seen) = closing().await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let client = gateway.client();
    assert_eq!(client.post(gateway.url("/")).body("once").send().await.unwrap().status(), 502);
    assert_eq!(seen.lock().unwrap().len(), 1, "a POST must not be retried");
    assert_eq!(client.get(gateway.url("/")).send().await.unwrap().status(), 502);
    assert_eq!(seen.lock().unwrap().len(), 3, "a GET is retried once");
}

#[tokio::test]
async fn a_truncated_response_is_not_forwarded_as_complete() {
    let backend = Backend::raw(async |mut tcp: TcpStream| {
        let _ = tcp.read(&mut [0; 1024]).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    for client in [gateway.client_h1(), gateway.client()] {
        let response = client.get(gateway.url("/")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap_err();
    }
}

#[tokio::test]
async fn a_malformed_response_gets_502() {
    let backend = Backend::raw(async |mut tcp: TcpStream| {
        let _ = tcp.read(&mut [0; 1024]).await;
        let _ = tcp.write_all(b"this is not HTTP\r\n\r\n").await;
    })
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    assert_eq!(gateway.client().get(gateway.url("/")).send().await.unwrap().status(), 502);
}

#[tokio::test]
async fn a_client_disconnect_closes_the_upstream_connection() {
    let (gone, mut left) = tokio::sync::mpsc::channel(1);
    let backend = Backend::raw(move |mut tcp: TcpStream| {
        let gone = gone.clone();
        async move {
            let _ = tcp.read(&mut [0; 1024]).await;
            // Sends no response and waits until the gateway closes the connection.
            while tcp.read(&mut [0; 1024]).await.unwrap_or(0) > 0 {}
            let _ = gone.send(()).await;
        }
    })
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let mut stream = gateway.raw().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    crate::harness::eventually("the request has arrived", async || {
        gateway.metric("gateway_upstream_requests_in_flight", &[]) == 1.0
    })
    .await;
    drop(stream);
    tokio::time::timeout(crate::harness::PATIENCE, left.recv())
        .await
        .expect("the upstream connection is not closed in time");
}
