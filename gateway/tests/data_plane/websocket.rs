//! WebSockets through the tunnel.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Backend, Gateway, PATIENCE, eventually, read_to_end, routes_to};

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn echoing() -> (Gateway, Backend) {
    let upgrade = async |headers: HeaderMap, upgrade: WebSocketUpgrade| {
        if headers.contains_key("x-reject") {
            return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
        }
        assert!(!headers.contains_key("sec-websocket-extensions"));
        let client = headers["x-forwarded-for"].to_str().unwrap().to_owned();
        let mut response = upgrade.protocols(["gatehouse.v1"]).on_upgrade(echo);
        response.headers_mut().insert("x-seen-client", client.parse().unwrap());
        response
    };
    let router = Router::new().route("/ws", get(upgrade)).fallback(any(async || "plain"));
    let backend = Backend::start(router).await;
    (Gateway::start(&routes_to(&[backend.address])).await, backend)
}

fn handshake(gateway: &Gateway, extra: &str) -> String {
    let port = gateway.https.port();
    format!(
        "GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: gatehouse.v1\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nX-Forwarded-For: 6.6.6.6\r\n{extra}\r\n"
    )
}

fn origin(gateway: &Gateway) -> String {
    format!("Origin: https://localhost:{}\r\n", gateway.https.port())
}

async fn read_head(stream: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8())
            .await
            .expect("timed out")
            .expect("the connection is closed");
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

async fn open_on(
    gateway: &Gateway,
    mut stream: TlsStream<TcpStream>,
) -> WebSocketStream<TlsStream<TcpStream>> {
    stream.write_all(handshake(gateway, &origin(gateway)).as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(head.contains("sec-websocket-protocol: gatehouse.v1"), "{head}");
    assert!(head.contains("x-seen-client: 127.0.0.1"), "{head}");
    WebSocketStream::from_raw_socket(
        stream,
        tokio_tungstenite::tungstenite::protocol::Role::Client,
        None,
    )
    .await
}

async fn open(gateway: &Gateway) -> WebSocketStream<TlsStream<TcpStream>> {
    open_on(gateway, gateway.raw().await).await
}

async fn echoes(socket: &mut WebSocketStream<TlsStream<TcpStream>>, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    let answer =
        tokio::time::timeout(PATIENCE, socket.next()).await.expect("timed out").unwrap().unwrap();
    assert_eq!(answer.into_text().unwrap(), text);
}

#[tokio::test]
async fn messages_are_echoed_and_counted() {
    let (gateway, _backend) = echoing().await;
    let mut socket = open(&gateway).await;
    echoes(&mut socket, "hello").await;
    echoes(&mut socket, &"large ".repeat(200_000)).await;
    echoes(&mut socket, "small again").await;
    assert_eq!(gateway.metric("gateway_websockets_open", &[("route", "live")]), 1.0);
    assert!(gateway.metric("gateway_websocket_bytes_total", &[("direction", "in")]) > 1_200_000.0);
    socket.close(None).await.unwrap();
    eventually("the socket is counted as closed", async || {
        gateway.metric("gateway_websockets_open", &[]) == 0.0
    })
    .await;
    eventually("the connection is gone", async || gateway.plane.connections() == 0).await;
    assert_eq!(
        gateway.metric("gateway_requests_total", &[("route", "live"), ("code", "101")]),
        1.0
    );
}

#[tokio::test]
async fn a_kept_connection_can_become_a_websocket() {
    let (gateway, _backend) = echoing().await;
    let mut stream = gateway.raw().await;
    stream.write_all(b"GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    stream.read_exact(&mut [0; 5]).await.unwrap();
    let mut socket = open_on(&gateway, stream).await;
    echoes(&mut socket, "hello").await;
}

#[tokio::test]
async fn only_pages_of_the_same_origin_can_open_a_websocket() {
    let (gateway, _backend) = echoing().await;
    for wrong in
        ["", "Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: http://localhost\r\n"]
    {
        let answer = gateway.exchange(handshake(&gateway, wrong).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{wrong:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    assert_eq!(gateway.metric("gateway_requests_refused_total", &[("reason", "origin")]), 4.0);
}

#[tokio::test]
async fn a_rejection_by_the_backend_reaches_the_client_unchanged() {
    let (gateway, _backend) = echoing().await;
    let answer = gateway
        .exchange(handshake(&gateway, &format!("{}X-Reject: 1\r\n", origin(&gateway))).as_bytes())
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\nwho are you?"),
        "{answer}"
    );
    assert_eq!(gateway.metric("gateway_websockets_open", &[]), 0.0);
}

#[tokio::test]
async fn other_versions_and_malformed_handshakes_are_rejected() {
    let (gateway, _backend) = echoing().await;
    let old = handshake(&gateway, &origin(&gateway)).replace("Version: 13", "Version: 8");
    let answer = gateway.exchange(old.as_bytes()).await.to_ascii_lowercase();
    assert!(
        answer.starts_with("http/1.1 426 ") && answer.contains("sec-websocket-version: 13"),
        "{answer}"
    );
    let keyless = handshake(&gateway, &origin(&gateway)).replace("Sec-WebSocket-Key", "X-Key");
    assert!(gateway.exchange(keyless.as_bytes()).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_route_without_websockets_forwards_a_plain_request() {
    let (gateway, _backend) = echoing().await;
    let elsewhere = handshake(&gateway, "")
        .replace("/ws", "/elsewhere")
        .replace("keep-alive, Upgrade", "close, Upgrade");
    let answer = gateway.exchange(elsewhere.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("plain"), "{answer}");
}

#[tokio::test]
async fn an_idle_websocket_is_closed_after_the_routes_idle_timeout() {
    let (_, backend) = echoing().await;
    let text = routes_to(&[backend.address])
        .replace("websocket = true", "websocket = true\nwebsocket_idle_timeout = \"1s\"");
    let gateway = Gateway::start(&text).await;
    let mut socket = open(&gateway).await;
    echoes(&mut socket, "hello").await;
    let ended = tokio::time::timeout(PATIENCE, socket.next())
        .await
        .expect("the connection is not closed in time");
    assert!(matches!(ended, None | Some(Err(_))), "{ended:?}");
}

#[tokio::test]
async fn an_open_websocket_survives_reloads_and_is_closed_at_the_end_of_a_drain() {
    let (gateway, backend) = echoing().await;
    let mut socket = open(&gateway).await;
    gateway.reload(&routes_to(&[backend.address]).replace("\"live\"", "\"renamed\""));
    echoes(&mut socket, "still here").await;
    let idle = gateway.raw().await;
    let drained = gateway.plane.drain(Duration::from_millis(300), gateway::Idle::Ends);
    let (drained, after) = tokio::join!(drained, async {
        echoes(&mut socket, "even while draining").await;
        tokio::time::timeout(PATIENCE, socket.next())
            .await
            .expect("the WebSocket is not closed in time")
    });
    assert!(matches!(after, None | Some(Err(_))), "{after:?}");
    assert_eq!(
        (drained.cut, gateway.plane.connections()),
        (1, 0),
        "the idle connection went at once"
    );
    drop(idle);
}

#[tokio::test]
async fn a_half_close_lets_both_sides_finish_sending() {
    // Each side sends, then closes its half; the other side's data still arrives.
    let backend = Backend::raw(async |mut tcp: TcpStream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        tcp.write_all(answer).await.unwrap();
        let mut printed = Vec::new();
        tcp.read_to_end(&mut printed).await.unwrap();
        tcp.write_all(&printed).await.unwrap();
    })
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let mut stream = gateway.raw().await;
    stream.write_all(handshake(&gateway, &origin(&gateway)).as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    stream.write_all(b"last words").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "last words");
}

#[tokio::test]
async fn a_repeated_handshake_field_gets_400() {
    let (gateway, _backend) = echoing().await;
    let origin = origin(&gateway);
    for repeated in [
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 8\r\n",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Key: \r\n",
    ] {
        let answer =
            gateway.exchange(handshake(&gateway, &format!("{origin}{repeated}")).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{repeated:?}: {answer:?}");
    }
}
