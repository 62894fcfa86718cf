//! A minimal OpenTelemetry collector: decodes what it receives and responds as configured.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::eventually;

#[derive(Default)]
pub(crate) struct Seen {
    /// Accepted requests.
    pub(crate) requests: Vec<ExportTraceServiceRequest>,
    /// The headers of every request.
    pub(crate) headers: Vec<HeaderMap>,
    /// Status to respond with instead of 200.
    refuse: Option<StatusCode>,
    /// Number of spans to report as rejected.
    reject: i64,
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
            .abort_handle();
        Self { address, seen, task }
    }

    /// The `[tracing]` section of a gateway that exports to this collector.
    pub(crate) fn section(&self, sample: f64) -> String {
        format!(
            "\n[tracing]\nendpoint = \"http://{}/v1/traces\"\nsample = {sample:?}\n",
            self.address
        )
    }

    pub(crate) fn refuse(&self, status: Option<u16>) {
        self.seen.lock().unwrap().refuse =
            status.map(|status| StatusCode::from_u16(status).unwrap());
    }

    pub(crate) fn reject(&self, spans: i64) {
        self.seen.lock().unwrap().reject = spans;
    }

    /// Number of requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.seen.lock().unwrap().headers.len()
    }

    /// All spans received so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let seen = self.seen.lock().unwrap();
        let resources = seen.requests.iter().flat_map(|request| &request.resource_spans);
        resources
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| scope.spans.clone())
            .collect()
    }

    /// The spans of a trace, as soon as there are at least this many; the server span first.
    pub(crate) async fn trace(&self, trace: &str, count: usize) -> Vec<Span> {
        eventually(true, || async { spans_of(&self.spans(), trace).len() >= count }).await;
        spans_of(&self.spans(), trace)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = seen.lock().unwrap();
    seen.headers.push(headers);
    if let Some(status) = seen.refuse {
        return (status, [("retry-after", "0")]).into_response();
    }
    seen.requests.push(ExportTraceServiceRequest::decode(body).unwrap());
    let printed = ExportTracePartialSuccess {
        rejected_spans: seen.reject,
        error_message: "too old".to_owned(),
    };
    let answer =
        ExportTraceServiceResponse { partial_success: (seen.reject > 0).then_some(printed) };
    ([("content-type", "application/x-protobuf")], answer.encode_to_vec()).into_response()
}

/// The spans of one trace, sorted by start time.
pub(crate) fn spans_of(spans: &[Span], trace: &str) -> Vec<Span> {
    let mut found: Vec<Span> =
        spans.iter().filter(|span| hex::encode(&span.trace_id) == trace).cloned().collect();
    found.sort_by_key(|span| (span.kind, span.start_time_unix_nano));
    found
}

/// An attribute as text.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => format!("{:?}", list.values),
        other => panic!("{other:?}"),
    })
}
