//! Conversations between people in pages, as the server keeps them: encrypted.

use axum::Json;
use axum::extract::State;
use backend_protocol::api::{ConversationList, ConversationPage};
use backend_protocol::id::ConversationId;
use backend_protocol::limits::MAX_PAGE;
use backend_protocol::problem::Problem;
use serde::Deserialize;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::{PathId, UrlQuery};
use crate::identity::Visitor;

/// List conversations, latest first
#[utoipa::path(
    get, path = "/api/conversations", tag = "people",
    responses(
        (status = 200, body = ConversationList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Json<ConversationList>, ApiError> {
    Ok(Json(ConversationList {
        conversations: app.store.conversations(&visitor.account.id).await?,
    }))
}

/// Query parameters of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Only messages before this `seq`; the latest ones when absent.
    before: Option<u64>,
    /// At most this many, 1 to 100.
    limit: Option<usize>,
}

/// Read a page of a conversation, oldest first
#[utoipa::path(
    get, path = "/api/conversations/{id}/messages", tag = "people",
    params(
        ("id" = ConversationId, Path, description = "The conversation"),
        ("before" = Option<u64>, Query, description = "Only messages before this `seq`; the latest ones when absent"),
        ("limit" = Option<usize>, Query, description = "At most this many, 1 to 100"),
    ),
    responses(
        (status = 200, body = ConversationPage),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    PathId(conversation): PathId<ConversationId>,
    UrlQuery(query): UrlQuery<PageQuery>,
) -> Result<Json<ConversationPage>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::invalid(format!("limit must be 1 to {MAX_PAGE}, not {limit}")));
    }
    let page = app
        .store
        .conversation_page(&visitor.account.id, &conversation, query.before, limit)
        .await?;
    let page = page.ok_or_else(|| ApiError::not_found("conversation"))?;
    Ok(Json(ConversationPage { messages: page.messages, more: page.more }))
}
