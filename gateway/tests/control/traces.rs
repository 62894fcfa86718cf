//! Traces: sampling, span contents, trace context for upstreams, and export to the collector.

mod parents;
mod spans;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode as Status};
use axum::response::Response;
use axum::routing::{any, get};
use gateway::Options;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::support::pebble::free_port;
use crate::support::{
    Collector, FRONT, SOON, TestGateway, eventually, install_provider, spans_of, websocket, within,
};

/// A backend that responds with the status at the end of the path and records the headers.
struct RecordingBackend {
    address: SocketAddr,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    task: AbortHandle,
}

impl RecordingBackend {
    async fn start() -> Self {
        let headers: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let router = Router::new()
            .route("/ws", get(echo))
            .fallback(any(answer))
            .with_state(Arc::clone(&headers));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
            .abort_handle();
        Self { address, headers, task }
    }

    /// A header of the last request.
    fn last(&self, name: &str) -> Option<String> {
        let headers = self.headers.lock().unwrap();
        Some(headers.last()?.get(name)?.to_str().unwrap().to_owned())
    }

    fn routes(&self, more: &str) -> String {
        format!(
            "\n[[route]]\nname = \"live\"\npath = \"/ws\"\nupstream = \"backend\"\nwebsocket = true\n\
             \n[[route]]\nname = \"api\"\npath_prefix = \"/api\"\nupstream = \"backend\"\n\
             \n[[upstream]]\nname = \"backend\"\ntargets = [\"{}\"{more}]\n",
            self.address
        )
    }
}

impl Drop for RecordingBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Headers = State<Arc<Mutex<Vec<HeaderMap>>>>;

async fn answer(State(headers): Headers, request: Request) -> (Status, &'static str) {
    headers.lock().unwrap().push(request.headers().clone());
    let status = request.uri().path().rsplit('/').next().unwrap().parse().unwrap_or(200);
    (Status::from_u16(status).unwrap(), "received")
}

async fn echo(State(headers): Headers, given: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    headers.lock().unwrap().push(given);
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// Sends a request; its request id and the status of the response.
async fn ask(gateway: &TestGateway, path: &str, headers: &[(&str, &str)]) -> (String, u16) {
    let port = gateway.address("https").await.port();
    let mut request = gateway.client().get(format!("https://localhost:{port}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let status = answer.status().as_u16();
    assert!(!answer.text().await.unwrap().is_empty());
    (id, status)
}

fn id(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// The trace id in a `traceparent`.
fn trace_of(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

#[tokio::test]
async fn an_export_is_retried_after_503_but_not_after_400() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0)))
            .await;
    collector.refuse(Some(503));
    let (later, _) = ask(&gateway, "/api/quick", &[]).await;
    eventually(true, || async { collector.asked() > 0 }).await;
    collector.refuse(None);
    collector.trace(&later, 2).await;
    assert!(collector.asked() >= 2);

    collector.refuse(Some(400));
    let asked = collector.asked();
    let (refused, _) = ask(&gateway, "/api/quick", &[]).await;
    eventually(Some(2.0), || gateway.metric("gateway_trace_spans_total{result=\"failed\"}")).await;
    assert_eq!(collector.asked(), asked + 1);
    collector.refuse(None);
    collector.reject(1);
    let (partly, _) = ask(&gateway, "/api/quick", &[]).await;
    collector.trace(&partly, 2).await;
    eventually(Some(3.0), || gateway.metric("gateway_trace_spans_total{result=\"failed\"}")).await;
    eventually(Some(3.0), || gateway.metric("gateway_trace_spans_total{result=\"exported\"}"))
        .await;
    assert!(spans_of(&collector.spans(), &refused).is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn an_unreachable_collector_delays_neither_requests_nor_shutdown() {
    let backend = RecordingBackend::start().await;
    let section = format!(
        "\n[tracing]\nendpoint = \"http://127.0.0.1:{}/v1/traces\"\nsample = 1\n",
        free_port()
    );
    let gateway = TestGateway::start(&format!("{FRONT}{}{section}", backend.routes(""))).await;
    for _ in 0..5 {
        let (_, status) = within(SOON, ask(&gateway, "/api/quick", &[])).await;
        assert_eq!(status, 200);
    }
    let handle = gateway.handle.clone();
    // The spans of a request are complete when its connection has ended.
    assert_eq!(gateway.stop().await.cut, 0);
    let spans = handle.metrics().traces();
    assert_eq!((spans.exported.get(), spans.dropped.get(), spans.failed.get()), (0, 0, 10));
}

#[tokio::test]
async fn a_drain_exports_all_spans_including_open_websockets() {
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let drain = "\n[drain]\ndeadline = \"100ms\"\n";
    let gateway = TestGateway::start(&format!(
        "{FRONT}{}{drain}{}",
        backend.routes(""),
        collector.section(1.0)
    ))
    .await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let received = backend.last("traceparent").unwrap();
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    assert_eq!(gateway.stop().await.cut, 1);
    let spans = collector.spans();
    assert_eq!(
        (spans_of(&spans, &request).len(), spans_of(&spans, trace_of(&received)).len()),
        (2, 2)
    );
}

#[tokio::test]
async fn a_reload_changes_the_collector_and_the_old_one_receives_its_pending_spans() {
    let (backend, one, other) =
        (RecordingBackend::start().await, Collector::start().await, Collector::start().await);
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend.routes(""), one.section(1.0))).await;
    let (first, _) = ask(&gateway, "/api/quick", &[]).await;
    gateway.reload(&format!("{FRONT}{}{}", backend.routes(""), other.section(1.0))).await;
    let (second, _) = ask(&gateway, "/api/quick", &[]).await;
    one.trace(&first, 2).await;
    other.trace(&second, 2).await;
    gateway.reload(&format!("{FRONT}{}", backend.routes(""))).await;
    ask(&gateway, "/api/quick", &[]).await;
    gateway.stop().await;
    assert_eq!((one.spans().len(), other.spans().len()), (2, 2));
}

#[tokio::test]
async fn collector_headers_come_from_a_file_that_must_exist() {
    install_provider();
    let (backend, collector) = (RecordingBackend::start().await, Collector::start().await);
    let section = collector.section(1.0) + "headers_file = \"headers\"\n";
    let config = format!("{FRONT}{}{section}", backend.routes(""));
    let options = || Options { ignore_files: true, ..Options::default() };
    let missing = TestGateway::try_start(&config, options())
        .await
        .err()
        .expect("the gateway must not start")
        .to_string();
    assert!(
        missing.starts_with("`[tracing]`: ") && missing.contains("headers: No such file"),
        "{missing}"
    );

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("headers"), "authorization=Bearer token-1\nx-scope=one\n")
        .unwrap();
    std::fs::write(directory.path().join("gateway.toml"), &config).unwrap();
    let gateway = TestGateway::start_in(directory, "gateway.toml", options())
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let header = |name: &str| {
        let seen = collector.seen.lock().unwrap();
        seen.headers
            .last()
            .and_then(|headers| Some(headers.get(name)?.to_str().unwrap().to_owned()))
    };
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    collector.trace(&request, 2).await;
    assert_eq!(header("authorization").as_deref(), Some("Bearer token-1"));
    assert_eq!(header("x-scope").as_deref(), Some("one"));
    assert_eq!(header("content-type").as_deref(), Some("application/x-protobuf"));
    assert!(!gateway.get_admin("/config").await.1.contains("token-1"));

    std::fs::write(gateway.path("headers"), "authorization=Bearer token-2").unwrap();
    gateway.reload(&config).await;
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    collector.trace(&request, 2).await;
    assert_eq!(header("authorization").as_deref(), Some("Bearer token-2"));
    gateway.stop().await;
}
