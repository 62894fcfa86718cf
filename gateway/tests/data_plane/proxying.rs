//! Requests that are proxied to a backend.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::IntoResponse as _;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use reqwest::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::harness::{Backend, Gateway, PATIENCE, eventually, routes_to};

/// Responds with the method, path and headers of the request.
async fn report_request(request: Request) -> Json<BTreeMap<String, String>> {
    let headers = request.headers().iter().map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let mut received: BTreeMap<String, String> = headers.collect();
    received.insert(":method".into(), request.method().to_string());
    received.insert(":path".into(), request.uri().to_string());
    Json(received)
}

async fn reporting_backend() -> (Gateway, Backend) {
    let backend = Backend::start(Router::new().fallback(any(report_request))).await;
    (Gateway::start(&routes_to(&[backend.address])).await, backend)
}

#[tokio::test]
async fn a_request_is_proxied_over_h1_and_h2() {
    let (gateway, _backend) = reporting_backend().await;
    for (client, version) in
        [(gateway.client_h1(), Version::HTTP_11), (gateway.client(), Version::HTTP_2)]
    {
        for _ in 0..3 {
            let response = client.get(gateway.url("/some/path?query=1")).send().await.unwrap();
            assert_eq!((response.status().as_u16(), response.version()), (200, version));
            let received: BTreeMap<String, String> = response.json().await.unwrap();
            assert_eq!(
                (received[":method"].as_str(), received[":path"].as_str()),
                ("GET", "/some/path?query=1")
            );
            assert_eq!(received["host"], format!("localhost:{}", gateway.https.port()));
        }
    }
    let answered = |protocol| {
        gateway.metric(
            "gateway_requests_total",
            &[("route", "all"), ("code", "200"), ("protocol", protocol)],
        )
    };
    assert_eq!((answered("h1"), answered("h2")), (3.0, 3.0));
    eventually("nothing is in flight", async || {
        gateway.metric("gateway_requests_in_flight", &[]) == 0.0
    })
    .await;
}

#[tokio::test]
async fn forwarded_fields_of_clients_are_overwritten() {
    let (gateway, _backend) = reporting_backend().await;
    for client in [gateway.client_h1(), gateway.client()] {
        let request = client
            .get(gateway.url("/"))
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-proto", "http")
            .header("x-forwarded-host", "evil.example")
            .header("forwarded", "for=6.6.6.6")
            .header("x-real-ip", "6.6.6.6")
            .header("x-request-id", "chosen-by-the-client")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .header("connection", "x-secret");
        let response = request.send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let received: BTreeMap<String, String> = response.json().await.unwrap();
        assert_eq!(received["x-forwarded-for"], "127.0.0.1");
        assert_eq!(received["x-forwarded-proto"], "https");
        assert_eq!(received["x-forwarded-host"], received["host"]);
        assert!(
            !received.contains_key("forwarded") && !received.contains_key("x-real-ip"),
            "{received:?}"
        );
        assert_eq!((received["x-request-id"].as_str(), id.len()), (id.as_str(), 32));
        assert!(received["traceparent"].starts_with(&format!("00-{id}-")), "{received:?}");
    }
}

#[tokio::test]
async fn forwarded_fields_of_a_trusted_proxy_are_kept() {
    let backend = Backend::start(Router::new().fallback(any(report_request))).await;
    let text = format!("{}\n[trust]\nforwarded = [\"127.0.0.0/8\"]", routes_to(&[backend.address]));
    let gateway = Gateway::start(&text).await;
    let request = gateway
        .client()
        .get(gateway.url("/"))
        .header("x-forwarded-for", "6.6.6.6, 192.0.2.7, 127.0.0.9")
        .header("x-request-id", "from-the-proxy");
    let received: BTreeMap<String, String> = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (received["x-forwarded-for"].as_str(), received["x-request-id"].as_str()),
        ("192.0.2.7", "from-the-proxy")
    );
}

#[tokio::test]
async fn the_proxy_protocol_header_sets_the_client_address() {
    let (gateway, _backend) = reporting_backend().await;
    let v1: &[u8] = b"PROXY TCP4 192.0.2.9 198.51.100.1 1234 443\r\n";
    let v2: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\x04\xd2\x01\xbb";
    for header in [v1, v2] {
        let mut tcp = TcpStream::connect(gateway.proxied).await.unwrap();
        tcp.write_all(header).await.unwrap();
        let mut stream = gateway.raw_on(tcp).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let answer = crate::harness::read_to_end(&mut stream).await;
        assert!(answer.contains(r#""x-forwarded-for":"192.0.2.9""#), "{answer}");
    }
    let mut tcp = TcpStream::connect(gateway.proxied).await.unwrap();
    tcp.write_all(b"\x16\x03\x01 this is no PROXY header").await.unwrap();
    assert_eq!(
        tokio::time::timeout(PATIENCE, tcp.read(&mut [0; 1])).await.unwrap().unwrap_or(0),
        0,
        "a connection without the header must be rejected"
    );
    assert_eq!(
        gateway.metric("gateway_connections_refused_total", &[("reason", "proxy_header")]),
        1.0
    );
}

#[tokio::test]
async fn the_first_event_of_a_stream_arrives_before_the_second_is_sent() {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(Some(receiver)));
    let stream = move || {
        let mut receiver = receiver.lock().unwrap().take().expect("only one request");
        async move {
            let events = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
                .map(Ok::<_, std::io::Error>);
            ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
        }
    };
    let backend = Backend::start(Router::new().route("/api/stream", get(stream))).await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    sender.send("data: one\n\n".into()).await.unwrap();
    let client = gateway.client();
    let request = client.get(gateway.url("/api/stream")).header("accept-encoding", "gzip, br");
    let mut response = request.send().await.unwrap();
    assert!(response.headers().get("content-encoding").is_none());
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: one\n\n");
    assert_eq!(gateway.metric("gateway_event_streams_open", &[("route", "all")]), 1.0);
    sender.send("data: two\n\n".into()).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: two\n\n");
    drop(sender);
    while let Some(rest) = response.chunk().await.unwrap() {
        assert!(rest.is_empty(), "{rest:?}");
    }
    eventually("the stream is counted as closed", async || {
        gateway.metric("gateway_event_streams_open", &[]) == 0.0
    })
    .await;
    assert_eq!(gateway.metric("gateway_event_stream_stalls_total", &[]), 0.0);
}

#[tokio::test]
async fn an_upload_arrives_unchanged() {
    let backend =
        Backend::start(Router::new().route("/echo", post(async |body: Bytes| body))).await;
    let text = routes_to(&[backend.address]).replace("1KiB", "2MiB");
    let gateway = Gateway::start(&text).await;
    let body: Vec<u8> = (0..1_000_000_u32)
        .map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1])
        .collect();
    for client in [gateway.client_h1(), gateway.client()] {
        let whole = client.post(gateway.url("/echo")).body(body.clone()).send().await.unwrap();
        assert!(whole.bytes().await.unwrap() == body);
        let pieces = futures::stream::iter(
            body.clone()
                .chunks(10_000)
                .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
                .collect::<Vec<_>>(),
        );
        let chunked = client
            .post(gateway.url("/echo"))
            .body(reqwest::Body::wrap_stream(pieces))
            .send()
            .await
            .unwrap();
        assert!(chunked.bytes().await.unwrap() == body);
    }
}

#[tokio::test]
async fn security_headers_are_added_to_responses() {
    let backend = Backend::start(Router::new().fallback(async || {
        ([("server", "axum/secret"), ("x-powered-by", "axum"), ("alt-svc", "h3")], "hello")
    }))
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let response = gateway
        .client()
        .get(format!("https://chat.example.org:{}/", gateway.https.port()))
        .send()
        .await
        .unwrap();
    let headers = response.headers();
    for name in ["server", "x-powered-by", "alt-svc"] {
        assert!(!headers.contains_key(name), "{name} must be removed");
    }
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert!(headers["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
    let local = gateway.client().get(gateway.url("/")).send().await.unwrap();
    assert!(
        !local.headers().contains_key("strict-transport-security"),
        "localhost is shared with other programs"
    );
}

#[tokio::test]
async fn a_reload_changes_routes_for_the_next_request_on_the_same_connection() {
    let (gateway, backend) = reporting_backend().await;
    let client = gateway.client_h1();
    assert_eq!(client.get(gateway.url("/a")).send().await.unwrap().status(), 200);
    let text = routes_to(&[backend.address])
        + "\n[[route]]\nname = \"gone\"\npath = \"/a\"\nrespond = { status = 410 }";
    gateway.reload(&text);
    assert_eq!(client.get(gateway.url("/a")).send().await.unwrap().status(), 410);
    assert_eq!(gateway.metric("gateway_connections_total", &[("listener", "https")]), 1.0);
}

#[tokio::test]
async fn event_streams_are_measured() {
    let backend = Backend::raw(async |mut tcp: TcpStream| {
        let mut bytes = [0; 1024];
        let read = tcp.read(&mut bytes).await.unwrap();
        let breaks_off = bytes[..read].starts_with(b"GET /broken");
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        tcp.write_all(head).await.unwrap();
        for _ in 0..2 {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            tcp.write_all(b"9\r\ndata: x\n\n\r\n").await.unwrap();
        }
        if !breaks_off {
            tcp.write_all(b"0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let client = gateway.client();
    let whole = client.get(gateway.url("/whole")).send().await.unwrap().text().await.unwrap();
    assert_eq!(whole, "data: x\n\ndata: x\n\n");
    eventually("the event stream is measured", async || {
        gateway.observed("gateway_event_stream_longest_gap_seconds").0 == 1
    })
    .await;
    let (first, waited) = gateway.observed("gateway_event_stream_first_event_seconds");
    assert!(first == 1 && waited >= 0.25, "{first} {waited}");
    let (_, gap) = gateway.observed("gateway_event_stream_longest_gap_seconds");
    assert!(gap >= 0.25, "{gap}");
    assert_eq!(gateway.metric("gateway_event_stream_stalls_total", &[]), 0.0);

    client.get(gateway.url("/broken")).send().await.unwrap().text().await.unwrap_err();
    eventually("the event stream is counted", async || {
        gateway.metric("gateway_event_stream_stalls_total", &[("route", "all")]) == 1.0
    })
    .await;
}
