//! The account's chat sessions with the assistant.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use backend_protocol::api::{History, Session, SessionList, SessionPatch};
use backend_protocol::id::SessionId;
use backend_protocol::limits::{MAX_SYSTEM_PROMPT, MAX_TITLE};
use backend_protocol::problem::Problem;
use backend_store::sessions::Deleted;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, PathId};
use crate::identity::Visitor;

fn no_session() -> ApiError {
    ApiError::not_found("session")
}

/// List chat sessions, latest first
#[utoipa::path(
    get, path = "/api/sessions", tag = "assistant",
    responses(
        (status = 200, body = SessionList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<SessionList>, ApiError> {
    Ok(Json(SessionList { sessions: app.store.sessions(&visitor.account.id).await? }))
}

/// Read a chat session's messages, oldest first
#[utoipa::path(
    get, path = "/api/sessions/{id}/messages", tag = "assistant",
    params(("id" = SessionId, Path, description = "The chat session")),
    responses(
        (status = 200, body = History),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn messages(
    State(app): State<App>,
    visitor: Visitor,
    PathId(session): PathId<SessionId>,
) -> Result<Json<History>, ApiError> {
    let messages =
        app.store.history(&visitor.account.id, &session).await?.ok_or_else(no_session)?;
    Ok(Json(History { messages }))
}

/// Show a chat session
#[utoipa::path(
    get, path = "/api/sessions/{id}/info", tag = "assistant",
    params(("id" = SessionId, Path, description = "The chat session")),
    responses(
        (status = 200, body = Session),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn info(
    State(app): State<App>,
    visitor: Visitor,
    PathId(session): PathId<SessionId>,
) -> Result<Json<Session>, ApiError> {
    app.store.session(&visitor.account.id, &session).await?.map(Json).ok_or_else(no_session)
}

/// Change a chat session's title, system prompt or model
#[utoipa::path(
    patch, path = "/api/sessions/{id}", tag = "assistant", request_body = SessionPatch,
    params(("id" = SessionId, Path, description = "The chat session")),
    responses(
        (status = 200, description = "The changed session", body = Session),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn patch(
    State(app): State<App>,
    visitor: Visitor,
    PathId(session): PathId<SessionId>,
    Body(mut patch): Body<SessionPatch>,
) -> Result<Json<Session>, ApiError> {
    if let Some(title) = &mut patch.title {
        *title = title.trim().to_owned();
        if !(1..=MAX_TITLE).contains(&title.chars().count()) {
            return Err(ApiError::invalid(format!("title must have 1 to {MAX_TITLE} characters")));
        }
    }
    if patch.system_prompt.as_ref().is_some_and(|prompt| prompt.len() > MAX_SYSTEM_PROMPT) {
        return Err(ApiError::invalid(format!(
            "system_prompt must have at most {MAX_SYSTEM_PROMPT} bytes"
        )));
    }
    if let Some(model) = &patch.model
        && !app.assistant.offers(model)
    {
        return Err(ApiError::invalid(format!(
            "model must be one of `GET /api/models`, found `{model}`"
        )));
    }
    let session = app.store.update_session(&visitor.account.id, &session, &patch).await?;
    session.map(Json).ok_or_else(no_session)
}

/// Delete a chat session and stop its run
#[utoipa::path(
    delete, path = "/api/sessions/{id}", tag = "assistant",
    params(("id" = SessionId, Path, description = "The chat session")),
    responses(
        (status = 204, description = "Deleted"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    PathId(session): PathId<SessionId>,
) -> Result<StatusCode, ApiError> {
    match app.store.delete_session(&visitor.account.id, &session).await? {
        Deleted::NotFound => Err(no_session()),
        Deleted::Gone { active_run } => {
            if let Some(run) = active_run {
                // The run would find its log gone anyway; this only saves tokens.
                if let Err(error) = app.assistant.wake_to_stop(&run).await {
                    tracing::warn!(%error, %run, "cannot wake the run of a deleted session");
                }
            }
            Ok(StatusCode::NO_CONTENT)
        }
    }
}
