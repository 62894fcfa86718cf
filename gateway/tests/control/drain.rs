//! Drain: not ready, still serving, then stopped within the deadline.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::{
    Backend, FRONT, SOON, TestGateway, backend_routes, eventually, websocket, within,
};

#[tokio::test]
async fn a_draining_gateway_is_not_ready_but_accepts_during_the_delay() {
    let backend = Backend::start().await;
    let drain = "\n[drain]\ndelay = \"1h\"\ndeadline = \"5s\"\n";
    let gateway = TestGateway::start(&format!("{FRONT}{}{drain}", backend_routes(&backend))).await;
    let url = format!("http://{}/drain", gateway.admin().await);
    assert_eq!(reqwest::Client::new().post(url).send().await.unwrap().status(), 202);
    eventually((503, "draining\n".to_owned()), || gateway.get_admin("/readyz")).await;
    assert_eq!(gateway.get("/api/quick").await, "quick");
    assert_eq!(gateway.metric("gateway_draining").await, Some(1.0));
    gateway.handle.cut();
    within(SOON, gateway.running).await.unwrap();
}

#[tokio::test]
async fn open_requests_finish_and_new_connections_are_refused() {
    let backend = Backend::start().await;
    let gateway = TestGateway::start(&format!("{FRONT}{}", backend_routes(&backend))).await;
    let address = gateway.address("https").await;
    let request =
        gateway.client().get(format!("https://localhost:{}/api/slow", address.port())).send();
    let request = tokio::spawn(request);
    within(SOON, backend.asked.notified()).await;

    gateway.handle.request_drain();
    eventually(true, || async { TcpStream::connect(address).await.is_err() }).await;
    assert!(!gateway.running.is_finished());
    backend.answer.notify_one();
    let answer = within(SOON, request).await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "slow");
    assert_eq!(within(SOON, gateway.running).await.unwrap().cut, 0);
}

#[tokio::test]
async fn an_open_websocket_is_closed_at_the_drain_deadline() {
    let backend = Backend::start().await;
    let drain = "\n[drain]\ndeadline = \"700ms\"\n";
    let gateway = TestGateway::start(&format!("{FRONT}{}{drain}", backend_routes(&backend))).await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let began = Instant::now();
    gateway.handle.request_drain();
    eventually(true, || async { gateway.handle.is_ending() }).await;
    assert_eq!(
        socket.echo("two").await.as_deref(),
        Some("two"),
        "the WebSocket works until the deadline"
    );
    let drained = within(SOON, gateway.running).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(700));
    assert_eq!(drained.cut, 1);
    assert_eq!(within(SOON, socket.echo("three")).await, None);
}

#[tokio::test]
async fn a_second_stop_request_ends_the_drain_immediately() {
    let backend = Backend::start().await;
    let drain = "\n[drain]\ndeadline = \"1h\"\n";
    let gateway = TestGateway::start(&format!("{FRONT}{}{drain}", backend_routes(&backend))).await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    gateway.handle.request_drain();
    gateway.handle.cut();
    assert_eq!(within(SOON, gateway.running).await.unwrap().cut, 1);
}
