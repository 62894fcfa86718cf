//! What every request passes, in one place and in order.

pub(crate) mod deadline;
mod navigation;
mod observe;
mod panics;
pub(crate) mod same_origin;
mod security_headers;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use backend_protocol::limits::MAX_BODY;
use tower_http::catch_panic::CatchPanicLayer;

use crate::metrics::HttpMetrics;

/// Wraps the router. The last layer is the outermost one, so read from the bottom up:
///
/// 1. `observe`: the request id, one log line and the metrics cover whatever happens further in.
/// 2. `security_headers`: on every answer, also on refusals and panics.
/// 3. `panics`: a fault in one handler is that request's 500, not a dead connection.
/// 4. `navigation`: an answer to a page that is opened sets no cookie, even when a handler did.
/// 5. `same_origin`: another site's write is refused before anything is read or an account is made.
/// 6. the body limit: obeyed by the extractors, which answer 413.
///
/// Then the router, and for its routes: `identify` (the visitor's account) and, except for streams,
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
