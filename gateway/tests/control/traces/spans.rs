//! The spans of requests, attempts and WebSockets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{RecordingBackend, ask, id, is_error, trace_of};
use crate::support::pebble::free_port;
use crate::support::{
    Collector, FRONT, SOON, TestGateway, attribute, eventually, fixed_route, websocket, within,
};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

#[tokio::test]
async fn a_request_is_a_span_with_a_child_span_that_the_upstream_receives() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let config = format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0));
    let gateway = TestGateway::start(&config).await;
    let (request, _) = ask(&gateway, "/api/quick?secret=1", &[("user-agent", "some-agent")]).await;

    let spans = collector.trace(&request, 2).await;
    let [server, client] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((server.kind, client.kind), (SERVER, CLIENT));
    assert_eq!((server.name.as_str(), client.name.as_str()), ("GET api", "GET"));
    assert!(server.parent_span_id.is_empty());
    assert_eq!(client.parent_span_id, server.span_id);
    let received = format!("00-{request}-{}-01", id(&client.span_id));
    assert_eq!(backend.last("traceparent"), Some(received));
    for (key, expected) in [
        ("http.request.method", "GET"),
        ("http.route", "api"),
        ("http.response.status_code", "200"),
        ("url.scheme", "https"),
        ("url.path", "/api/quick"),
        ("server.address", "localhost"),
        ("network.protocol.version", "2"),
    ] {
        assert_eq!(attribute(server, key).as_deref(), Some(expected), "{key}");
    }
    assert!(attribute(server, "http.request.header.x-request-id").unwrap().contains(&request));
    assert_eq!(attribute(client, "server.port"), Some(backend.address.port().to_string()));
    assert_eq!(attribute(client, "http.response.status_code").as_deref(), Some("200"));
    // The pseudonym of the network has sixteen digits.
    assert_eq!(attribute(server, "client.address").unwrap().len(), 16);
    let all = format!("{spans:?}");
    assert!(
        !all.contains("secret") && !all.contains("some-agent") && !all.contains("127.0.0.1, "),
        "{all}"
    );
    assert!(!is_error(server) && !is_error(client));
    let (start, end) = (server.start_time_unix_nano, server.end_time_unix_nano);
    assert!(
        start <= client.start_time_unix_nano && client.end_time_unix_nano <= end && start < end,
        "{all}"
    );
    let resource =
        format!("{:?}", collector.seen.lock().unwrap().requests[0].resource_spans[0].resource);
    assert!(resource.contains("service.name") && resource.contains("\"gateway\""), "{resource}");
    eventually(Some(2.0), || gateway.metric("gateway_trace_spans_total{result=\"exported\"}"))
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn failed_requests_are_error_spans_and_local_responses_have_no_child_span() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let config =
        format!("{FRONT}{}{}{}", backend.routes(""), fixed_route("word"), collector.section(1.0));
    let gateway = TestGateway::start(&config).await;

    let (own, _) = ask(&gateway, "/word", &[]).await;
    let spans = collector.trace(&own, 1).await;
    assert_eq!(attribute(&spans[0], "http.route").as_deref(), Some("word"));
    let (nothing, status) = ask(&gateway, "/elsewhere", &[]).await;
    let spans = collector.trace(&nothing, 1).await;
    assert_eq!(
        (status, spans[0].name.as_str(), attribute(&spans[0], "http.route")),
        (404, "GET", None)
    );
    assert!(!is_error(&spans[0]), "a client error must not be an error of the server span");

    let (failed, _) = ask(&gateway, "/api/500", &[]).await;
    for span in collector.trace(&failed, 2).await {
        assert_eq!(
            (attribute(&span, "error.type").as_deref(), is_error(&span)),
            (Some("500"), true)
        );
    }
    let (missing, _) = ask(&gateway, "/api/404", &[]).await;
    let spans = collector.trace(&missing, 2).await;
    assert_eq!((is_error(&spans[0]), is_error(&spans[1])), (false, true));
    gateway.stop().await;
}

#[tokio::test]
async fn a_truncated_response_is_an_error_span_regardless_of_its_status() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let breaking = backend
        .routes("")
        .replace(&backend.address.to_string(), &listener.local_addr().unwrap().to_string());
    let config = format!("{FRONT}{breaking}{}", collector.section(1.0));
    let gateway = TestGateway::start(&config).await;
    let port = gateway.address("https").await.port();
    let request = gateway.client().get(format!("https://localhost:{port}/api/quick")).send();
    let upstream = async {
        let (mut tcp, _) = within(SOON, listener.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(tcp.read_buf(&mut head).await.unwrap() > 0);
        }
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
    };
    let (answer, ()) = tokio::join!(request, upstream);
    let answer = answer.unwrap();
    let request = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    answer.text().await.unwrap_err();
    let spans = collector.trace(&request, 2).await;
    for (span, expected) in spans.iter().zip(["upstream", "reset"]) {
        assert_eq!(attribute(span, "http.response.status_code").as_deref(), Some("200"));
        assert_eq!(
            (attribute(span, "error.type").as_deref(), is_error(span)),
            (Some(expected), true)
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn each_attempt_is_a_span_and_the_upstream_receives_the_last_one() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let gone = format!(", \"127.0.0.1:{}\"", free_port());
    let more =
        "[upstream.retries]\nbudget_percent = 100\n[upstream.ejection]\nconsecutive_failures = 0\n";
    let config = format!("{FRONT}{}{more}{}", backend.routes(&gone), collector.section(1.0));
    let gateway = TestGateway::start(&config).await;
    let mut retried = None;
    for _ in 0..100 {
        let (request, status) = ask(&gateway, "/api/quick", &[]).await;
        assert_eq!(status, 200);
        let spans = collector.trace(&request, 2).await;
        if is_error(&spans[1]) {
            retried = Some((request, backend.last("traceparent").unwrap()));
            break;
        }
    }
    let (request, received) = retried.expect("half of all requests try the dead target first");
    let spans = collector.trace(&request, 3).await;
    let [server, first, second] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((&first.parent_span_id, &second.parent_span_id), (&server.span_id, &server.span_id));
    assert_eq!(attribute(first, "error.type").as_deref(), Some("connect"));
    assert_eq!(attribute(first, "http.response.status_code"), None);
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert_eq!(attribute(second, "http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(attribute(second, "http.response.status_code").as_deref(), Some("200"));
    assert!(!is_error(second) && !is_error(server));
    assert_eq!(received, format!("00-{request}-{}-01", id(&second.span_id)));
    gateway.stop().await;
}

#[tokio::test]
async fn a_websocket_span_lasts_until_close_and_its_child_until_the_handshake() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0)))
            .await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let received = backend.last("traceparent").unwrap();
    assert!(collector.spans().is_empty(), "the span of an open WebSocket must not be exported");
    drop(socket);
    let spans = collector.trace(trace_of(&received), 2).await;
    let [server, client] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(received, format!("00-{}-{}-01", id(&server.trace_id), id(&client.span_id)));
    for span in [server, client] {
        assert_eq!(attribute(span, "http.response.status_code").as_deref(), Some("101"));
        assert!(!is_error(span));
    }
    assert_eq!(attribute(server, "http.route").as_deref(), Some("live"));
    assert_eq!(attribute(server, "network.protocol.version").as_deref(), Some("1.1"));
    assert!(client.end_time_unix_nano < server.end_time_unix_nano);
    gateway.stop().await;
}

#[tokio::test]
async fn no_spans_are_created_without_tracing() {
    let backend = RecordingBackend::start().await;
    let gateway = TestGateway::start(&format!("{FRONT}{}", backend.routes(""))).await;
    ask(&gateway, "/api/quick", &[]).await;
    let received = backend.last("traceparent").unwrap();
    assert!(received.ends_with("-00"), "{received}");
    for result in ["exported", "dropped", "failed"] {
        assert_eq!(
            gateway.metric(&format!("gateway_trace_spans_total{{result=\"{result}\"}}")).await,
            Some(0.0)
        );
    }
    gateway.stop().await;
}
