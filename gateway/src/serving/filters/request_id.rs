//! Gives each request an id and a position in a trace (W3C Trace Context, section 3).

use http::{HeaderName, HeaderValue};

use super::exchange::{Exchange, Refusal};
use crate::serving::traces::{Span, TRACEPARENT, TRACESTATE, TraceParent};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn give(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let trusted = exchange.snapshot.trusts(exchange.facts.client.ip());
    let text =
        |name: HeaderName| exchange.request.headers.get(name).and_then(|value| value.to_str().ok());
    let kept_id = text(REQUEST_ID).filter(|id| trusted && is_id(id)).map(str::to_owned);
    let kept_parent = text(TRACEPARENT).filter(|_| trusted).and_then(TraceParent::parse);
    let random = rand::random::<u128>().max(1);
    // A trusted proxy decides on sampling, otherwise the gateway does; without a tracer nothing is
    // sampled.
    let traced = exchange.snapshot.tracer.as_ref().is_some_and(|tracer| {
        kept_parent.map_or_else(|| tracer.samples(), TraceParent::is_sampled)
    });
    match kept_parent {
        Some(parent) if traced => exchange.about.span = Some(Span::below(parent, state(exchange))),
        Some(_) => {}
        None => {
            // The trace id is the request id, so that each can be found by the other. Flags 00: the
            // gateway made no sampling decision.
            let parent =
                TraceParent { trace: random, span: rand::random::<u64>().max(1), flags: 0 };
            set(exchange, TRACEPARENT, &parent.to_string());
            exchange.request.headers.remove(TRACESTATE);
            exchange.about.span = traced.then(|| Span::root(random));
        }
    }
    let id = kept_id.unwrap_or_else(|| format!("{random:032x}"));
    set(exchange, REQUEST_ID, &id);
    exchange.about.request_id = id;
    Ok(())
}

/// The `tracestate` list; several fields form one list.
fn state(exchange: &Exchange<'_>) -> String {
    let fields = exchange.request.headers.get_all(TRACESTATE).iter();
    fields.filter_map(|field| field.to_str().ok()).collect::<Vec<_>>().join(",")
}

fn set(exchange: &mut Exchange<'_>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        exchange.request.headers.insert(name, value);
    }
}

fn is_id(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
