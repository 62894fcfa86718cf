//! Traces: who is traced, what the spans say, what the upstream is told, and what happens when the
//! collector does not answer.

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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::support::pebble::free_port;
use crate::support::{
    Collector, FRONT, SOON, TestGateway, attribute, eventually, install_provider, says, spans_of,
    websocket, within,
};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// Answers everything, with the status that the path ends with, and remembers the headers.
struct Told {
    address: SocketAddr,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    task: AbortHandle,
}

impl Told {
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

impl Drop for Told {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Headers = State<Arc<Mutex<Vec<HeaderMap>>>>;

async fn answer(State(headers): Headers, request: Request) -> (Status, &'static str) {
    headers.lock().unwrap().push(request.headers().clone());
    let status = request.uri().path().rsplit('/').next().unwrap().parse().unwrap_or(200);
    (Status::from_u16(status).unwrap(), "told")
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

/// Asks, and gives the request's id and the status.
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

fn id(octets: &[u8]) -> String {
    hex::encode(octets)
}

/// The trace that a `traceparent` names.
fn trace_of(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

#[tokio::test]
async fn a_request_is_a_span_with_a_child_for_its_attempt_and_the_upstream_is_told_the_child() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let config = format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0));
    let gateway = TestGateway::start(&config).await;
    let (request, _) = ask(&gateway, "/api/quick?secret=1", &[("user-agent", "somebody")]).await;

    let spans = collector.trace(&request, 2).await;
    let [server, client] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((server.kind, client.kind), (SERVER, CLIENT));
    assert_eq!((server.name.as_str(), client.name.as_str()), ("GET api", "GET"));
    assert!(server.parent_span_id.is_empty());
    assert_eq!(client.parent_span_id, server.span_id);
    let told = format!("00-{request}-{}-01", id(&client.span_id));
    assert_eq!(backend.last("traceparent"), Some(told));
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
    // The network's pseudonym, sixteen digits.
    assert_eq!(attribute(server, "client.address").unwrap().len(), 16);
    let all = format!("{spans:?}");
    assert!(
        !all.contains("secret") && !all.contains("somebody") && !all.contains("127.0.0.1, "),
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
async fn errors_are_marked_and_what_the_gateway_answers_itself_has_no_child() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let config = format!("{FRONT}{}{}{}", backend.routes(""), says("word"), collector.section(1.0));
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
    assert!(!is_error(&spans[0]), "what the client did wrong is no error of the server's span");

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
async fn an_answer_that_breaks_off_is_an_error_whatever_its_status() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
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
async fn each_attempt_is_a_span_and_the_last_one_is_what_the_upstream_is_told() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
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
    let (request, told) =
        retried.expect("half of all requests go to the target that is gone first");
    let spans = collector.trace(&request, 3).await;
    let [server, first, second] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((&first.parent_span_id, &second.parent_span_id), (&server.span_id, &server.span_id));
    assert_eq!(attribute(first, "error.type").as_deref(), Some("connect"));
    assert_eq!(attribute(first, "http.response.status_code"), None);
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert_eq!(attribute(second, "http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(attribute(second, "http.response.status_code").as_deref(), Some("200"));
    assert!(!is_error(second) && !is_error(server));
    assert_eq!(told, format!("00-{request}-{}-01", id(&second.span_id)));
    gateway.stop().await;
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_trusted_parent_decides_and_its_state_goes_on_whatever_the_share() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let base =
        format!("{FRONT}{}\n[trust]\nforwarded = [\"127.0.0.0/8\", \"::1\"]\n", backend.routes(""));
    let gateway = TestGateway::start(&format!("{base}{}", collector.section(0.0))).await;
    let parent = |flags: &str| format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
    let state = ("tracestate", "vendor=opaque,other=1");

    ask(&gateway, "/api/quick", &[]).await;
    let (flags, sampled) = (backend.last("traceparent").unwrap(), "-01");
    assert!(!flags.ends_with(sampled), "{flags}");
    let (request, _) = ask(
        &gateway,
        "/api/quick",
        &[("traceparent", &parent("01")), state, ("x-request-id", "from-the-proxy")],
    )
    .await;
    let spans = collector.trace(TRACE, 2).await;
    assert_eq!(collector.spans().len(), 2, "the first one was not traced");
    assert_eq!(id(&spans[0].parent_span_id), "00f067aa0ba902b7");
    assert_eq!(spans[0].flags & 0x300, 0x300, "the parent is elsewhere");
    assert_eq!(spans[0].trace_state, state.1);
    assert!(
        attribute(&spans[0], "http.request.header.x-request-id")
            .unwrap()
            .contains("from-the-proxy")
    );
    assert_eq!(request, "from-the-proxy");
    assert_eq!(
        backend.last("traceparent"),
        Some(format!("00-{TRACE}-{}-01", id(&spans[1].span_id)))
    );
    assert_eq!(backend.last("tracestate").as_deref(), Some(state.1));

    let (status, report) = gateway.reload(&format!("{base}{}", collector.section(1.0))).await;
    assert_eq!((status, &report["sections"]), (200, &serde_json::json!(["tracing"])), "{report}");
    ask(&gateway, "/api/quick", &[("traceparent", &parent("00")), state]).await;
    assert_eq!(backend.last("traceparent"), Some(parent("00")), "passed on as it came");
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    collector.trace(&request, 2).await;
    assert_eq!(
        spans_of(&collector.spans(), TRACE).len(),
        2,
        "not traced against the parent's will"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_stranger_says_about_its_trace_is_not_believed() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend.routes(""), collector.section(0.0)))
            .await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let claims = [("traceparent", parent.as_str()), ("tracestate", "vendor=opaque")];
    let (first, _) = ask(&gateway, "/api/quick", &claims).await;
    let told = backend.last("traceparent").unwrap();
    assert!(told.starts_with(&format!("00-{first}-")) && told.ends_with("-00"), "{told}");
    assert_eq!(backend.last("tracestate"), None);

    gateway.reload(&format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0))).await;
    let (second, _) = ask(&gateway, "/api/quick", &claims).await;
    assert_eq!(collector.trace(&second, 2).await[0].trace_state, "");
    assert_eq!(
        collector.spans().len(),
        2,
        "the first was not traced, and no trace has the stranger's name"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_websocket_is_a_span_as_long_as_it_is_open_and_its_attempt_ends_with_the_handshake() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend.routes(""), collector.section(1.0)))
            .await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let told = backend.last("traceparent").unwrap();
    assert!(collector.spans().is_empty(), "it is open");
    drop(socket);
    let spans = collector.trace(trace_of(&told), 2).await;
    let [server, client] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(told, format!("00-{}-{}-01", id(&server.trace_id), id(&client.span_id)));
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
async fn without_the_section_nothing_is_made() {
    let backend = Told::start().await;
    let gateway = TestGateway::start(&format!("{FRONT}{}", backend.routes(""))).await;
    ask(&gateway, "/api/quick", &[]).await;
    let told = backend.last("traceparent").unwrap();
    assert!(told.ends_with("-00"), "{told}");
    for result in ["exported", "dropped", "failed"] {
        assert_eq!(
            gateway.metric(&format!("gateway_trace_spans_total{{result=\"{result}\"}}")).await,
            Some(0.0)
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_collector_that_says_later_is_asked_again_and_one_that_refuses_is_not() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
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
async fn a_collector_that_is_down_delays_neither_requests_nor_the_end() {
    let backend = Told::start().await;
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
    // The connection's end is what a request's spans wait for.
    assert_eq!(gateway.stop().await.cut, 0);
    let spans = handle.metrics().traces();
    assert_eq!((spans.exported.get(), spans.dropped.get(), spans.failed.get()), (0, 0, 10));
}

#[tokio::test]
async fn a_drain_sends_what_is_there_the_open_websocket_too() {
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let drain = "\n[drain]\ndeadline = \"100ms\"\n";
    let gateway = TestGateway::start(&format!(
        "{FRONT}{}{drain}{}",
        backend.routes(""),
        collector.section(1.0)
    ))
    .await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let told = backend.last("traceparent").unwrap();
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    assert_eq!(gateway.stop().await.cut, 1);
    let spans = collector.spans();
    assert_eq!((spans_of(&spans, &request).len(), spans_of(&spans, trace_of(&told)).len()), (2, 2));
}

#[tokio::test]
async fn a_reload_changes_the_collector_and_what_the_old_one_was_owed_it_gets() {
    let (backend, one, other) =
        (Told::start().await, Collector::start().await, Collector::start().await);
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
async fn the_collectors_secret_comes_from_a_file_and_its_absence_is_no_start() {
    install_provider();
    let (backend, collector) = (Told::start().await, Collector::start().await);
    let section = collector.section(1.0) + "headers_file = \"headers\"\n";
    let config = format!("{FRONT}{}{section}", backend.routes(""));
    let options = || Options { ignore_files: true, ..Options::default() };
    let missing = TestGateway::try_start(&config, options())
        .await
        .err()
        .expect("it should not start")
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
    assert!(!gateway.ask_admin("/config").await.1.contains("token-1"));

    std::fs::write(gateway.path("headers"), "authorization=Bearer token-2").unwrap();
    gateway.reload(&config).await;
    let (request, _) = ask(&gateway, "/api/quick", &[]).await;
    collector.trace(&request, 2).await;
    assert_eq!(header("authorization").as_deref(), Some("Bearer token-2"));
    gateway.stop().await;
}
