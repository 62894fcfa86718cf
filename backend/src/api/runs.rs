//! Reading and stopping runs.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use backend_protocol::id::RunId;
use backend_protocol::problem::{Problem, ProblemType};
use backend_protocol::run::RunEvent;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::PathId;
use crate::identity::Visitor;
use crate::sse;

/// Read a run's events
///
/// Starts after `Last-Event-ID`, or at the beginning.
#[utoipa::path(
    get, path = "/api/runs/{id}/events", tag = "assistant",
    params(
        ("id" = RunId, Path, description = "The run"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last position read"),
    ),
    responses(
        (status = 200, description = "The events, as server-sent events", body = RunEvent, content_type = "text/event-stream"),
        (status = 204, description = "The run has finished and was read to its end"),
        (status = 410, description = "The run's events are no longer kept", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn events(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    PathId(run): PathId<RunId>,
) -> Result<Response, ApiError> {
    let tail = app.assistant.tail(&visitor.account.id, &run, position(&headers)?).await?;
    if tail.is_at_end() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(sse::stream(tail, app.closing))
}

fn position(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    value.to_str().ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        ApiError::new(
            ProblemType::BadRequest,
            "Last-Event-ID must be the `id:` of an event: a number.",
        )
    })
}

/// Stop a run
///
/// Cancels the request at the model provider and keeps the answer so far. Stopping a finished run
/// changes nothing.
#[utoipa::path(
    post, path = "/api/runs/{id}/stop", tag = "assistant",
    params(("id" = RunId, Path, description = "The run")),
    responses(
        (status = 204, description = "The run stops, or has already ended"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stop(
    State(app): State<App>,
    visitor: Visitor,
    PathId(run): PathId<RunId>,
) -> Result<StatusCode, ApiError> {
    match app.assistant.stop(&visitor.account.id, &run).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("run")),
    }
}
