//! Middleware of all requests, in one place and in order.

mod observe;
mod security_headers;
mod panics;
mod navigation;
pub(crate) mod same_origin;
pub(crate) mod deadline;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use backend_protocol::limits::MAX_BODY;
use tower_http::catch_panic::CatchPanicLayer;

use crate::metrics::HttpMetrics;

/// Adds the middleware to the router. The last layer is the outermost one, so requests pass:
///
/// 1. `observe`: the request id, the log line and the metrics cover everything below.
/// 2. `security_headers`: on every response, including rejections and panics.
/// 3. `panics`: a panic in a handler becomes a 500 and does not break the connection.
/// 4. `navigation`: the response to a navigation sets no cookie, even when a handler did.
/// 5. `same_origin`: rejects another site's write before the body is read or an account created.
/// 6. the body limit: applied by the extractors, which respond with 413.
///
/// Then the router, and for its routes: `identify` (the client's account) and, except for streams,
/// `deadline`.
pub(crate) fn apply(router: Router, metrics: HttpMetrics) -> Router {
    router
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(same_origin::check))
        .layer(from_fn(navigation::withhold_cookies))
        .layer(CatchPanicLayer::custom(panics::answer))
        .layer(from_fn(security_headers::add))
        .layer(from_fn_with_state(metrics, observe::request))
}
