//! The request's id, log line and metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::metrics::HttpMetrics;

/// Sent by the gateway or generated here; returned and logged.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id accepted from a header.
const MAX_ID: usize = 64;

pub(super) async fn request(
    State(metrics): State<HttpMetrics>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = id(&request);
    // The route, not the path: paths contain ids, and labels must be bounded.
    let route =
        request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default(), %method, route);

    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let elapsed = begun.elapsed();
    metrics.observe(&method, &route, status, elapsed);
    span.in_scope(|| {
        tracing::info!(status, elapsed_ms = elapsed.as_secs_f64() * 1000.0, "request completed")
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn id(request: &Request) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=MAX_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(format!("{:032x}", rand::random::<u128>()))
            .expect("hexadecimal digits are valid in a header")
    })
}
