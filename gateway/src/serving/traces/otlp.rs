//! Converts spans to OTLP messages, with the semantic conventions for HTTP spans (1.x, stable).

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::span::{Attempt, Finished};
use crate::serving::upstream::Address;

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` of trace.proto: the next flag is valid.
const PARENT_IS_KNOWN: u32 = 0x100;
/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`: the parent is in another process.
const PARENT_IS_REMOTE: u32 = 0x200;

/// Methods that the conventions allow in span names; other methods have high cardinality.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// One export request for the collector.
pub(super) fn encode(service: &str, batch: &[Finished]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let scope = InstrumentationScope {
        name: "gatehouse.gateway".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let mut spans = Vec::new();
    for finished in batch {
        spans.push(server(finished));
        spans.extend(
            finished
                .span
                .attempts
                .iter()
                .enumerate()
                .map(|(index, attempt)| client(finished, index, attempt)),
        );
    }
    let attributes = vec![text("service.name", service), text("service.version", version)];
    let resource = Resource { attributes, ..Resource::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let spans = ResourceSpans { resource: Some(resource), scope_spans, schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

fn server(finished: &Finished) -> Span {
    let method = method(finished);
    let mut attributes = vec![
        text("http.request.method", method),
        text("url.scheme", if finished.secure { "https" } else { "http" }),
        text("url.path", &finished.path),
        text("server.address", &finished.host),
        text("network.protocol.version", finished.protocol),
        text("client.address", &finished.client),
        texts("http.request.header.x-request-id", &finished.request_id),
    ];
    if !finished.route.is_empty() {
        attributes.push(text("http.route", &finished.route));
    }
    if finished.status != 0 {
        attributes.push(number("http.response.status_code", finished.status.into()));
    }
    let error = match finished.status {
        status @ 500.. => Some(status.to_string()),
        400..500 => None,
        0 => Some(finished.failure.unwrap_or("client").to_owned()),
        _ => finished.failure.map(str::to_owned),
    };
    let verb = if method == "_OTHER" { "HTTP" } else { method };
    let name = if finished.route.is_empty() {
        verb.to_owned()
    } else {
        format!("{verb} {}", finished.route)
    };
    let remote = if finished.span.parent.is_some() { PARENT_IS_REMOTE } else { 0 };
    Span {
        span_id: finished.span.id.to_be_bytes().to_vec(),
        parent_span_id: finished
            .span
            .parent
            .map(|id| id.to_be_bytes().to_vec())
            .unwrap_or_default(),
        ..span(finished, name, SpanKind::Server, remote, finished.times(), attributes, error)
    }
}

fn client(finished: &Finished, index: usize, attempt: &Attempt) -> Span {
    let method = method(finished);
    let mut attributes = vec![text("http.request.method", method)];
    match &attempt.target.address {
        Address::Tcp(address) => {
            attributes.push(text("server.address", &address.ip().to_string()));
            attributes.push(number("server.port", address.port().into()));
        }
        // The label has the format `name:port`.
        Address::Name(_) => {
            let (name, port) =
                attempt.target.label.rsplit_once(':').unwrap_or((&attempt.target.label, ""));
            attributes.push(text("server.address", name));
            attributes
                .extend(port.parse::<u16>().ok().map(|port| number("server.port", port.into())));
        }
        Address::Unix(path) => {
            attributes.push(text("server.address", &path.display().to_string()));
            attributes.push(text("network.transport", "unix"));
        }
    }
    if index > 0 {
        attributes
            .push(number("http.request.resend_count", i64::try_from(index).unwrap_or(i64::MAX)));
    }
    if let Some(status) = attempt.status {
        attributes.push(number("http.response.status_code", status.into()));
    }
    let refused = attempt.status.filter(|status| *status >= 400).map(|status| status.to_string());
    let error = attempt.error.map(str::to_owned).or(refused);
    let name = if method == "_OTHER" { "HTTP" } else { method }.to_owned();
    Span {
        span_id: attempt.id.to_be_bytes().to_vec(),
        parent_span_id: finished.span.id.to_be_bytes().to_vec(),
        ..span(finished, name, SpanKind::Client, 0, finished.times_of(attempt), attributes, error)
    }
}

fn span(
    finished: &Finished,
    name: String,
    kind: SpanKind,
    remote: u32,
    (start, end): (u64, u64),
    mut attributes: Vec<KeyValue>,
    error: Option<String>,
) -> Span {
    let status =
        error.as_ref().map(|_| Status { code: StatusCode::Error.into(), message: String::new() });
    attributes.extend(error.map(|error| text("error.type", &error)));
    Span {
        trace_id: finished.span.trace.to_be_bytes().to_vec(),
        trace_state: finished.span.state.clone(),
        flags: u32::from(finished.span.flags) | PARENT_IS_KNOWN | remote,
        name,
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes,
        status,
        ..Span::default()
    }
}

fn method(finished: &Finished) -> &'static str {
    METHODS.into_iter().find(|known| *known == finished.method).unwrap_or("_OTHER")
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn texts(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    attribute(key, Value::ArrayValue(ArrayValue { values: vec![value] }))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
