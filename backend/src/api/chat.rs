//! `POST /api/chat`: sends a message to the assistant; the response is a stream or one JSON object.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use backend_ai::assistant::Tail;
use backend_protocol::api::{ChatAnswer, ChatRequest};
use backend_protocol::id::AccountId;
use backend_protocol::problem::{Problem, ProblemType};
use backend_protocol::run::RunEvent;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::ApiError;
use crate::extract::Body;
use crate::identity::Caller;
use crate::sse;

/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 128;

/// Send a message to the assistant
///
/// Responds with server-sent events (`run.started`, `text.delta`, …, `run.completed`), or with one
/// JSON object when `Accept` requests `application/json`. Creates an account and sets its cookie
/// when the request has none. Closing the response does not stop the run: continue at
/// `/api/runs/{id}/events`.
#[utoipa::path(
    post, path = "/api/chat", tag = "assistant", request_body = ChatRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body return the same run")),
    responses(
        (status = 200, description = "The answer", content(
            (RunEvent = "text/event-stream"),
            (ChatAnswer = "application/json"),
        )),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ask(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(request): Body<ChatRequest>,
) -> Result<Response, ApiError> {
    let idempotency = idempotency(&headers, &request)?;
    let whole = wants_json(&headers);
    match caller {
        Caller::Visitor(visitor) => {
            answer(&app, &visitor.account.id, request, idempotency, whole).await
        }
        Caller::Newcomer(newcomer) => {
            app.assistant.check(&request)?;
            let visitor = newcomer.open(&app, None).await?;
            let answered = answer(&app, &visitor.account.id, request, idempotency, whole).await;
            // The account exists now, so its cookie is set even on failure.
            let mut response = answered.into_response();
            response.headers_mut().insert(header::SET_COOKIE, visitor.credential.set_cookie());
            Ok(response)
        }
        Caller::Removed(_) => Err(ApiError::device_removed()),
    }
}

async fn answer(
    app: &App,
    account: &AccountId,
    request: ChatRequest,
    idempotency: Option<(String, [u8; 32])>,
    whole: bool,
) -> Result<Response, ApiError> {
    let started = app.assistant.start(account, request, idempotency).await?;
    let tail = app.assistant.tail(account, &started.run, 0).await?;
    if whole {
        return Ok(Json(whole_answer(app, tail).await?).into_response());
    }
    Ok(sse::stream(tail, app.closing.clone()))
}

fn idempotency(
    headers: &HeaderMap,
    request: &ChatRequest,
) -> Result<Option<(String, [u8; 32])>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key =
        key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len())).ok_or_else(|| {
            ApiError::new(
                ProblemType::BadRequest,
                format!("Idempotency-Key must be 1 to {MAX_KEY} ASCII characters."),
            )
        })?;
    let body = serde_json::to_vec(request)
        .map_err(|error| ApiError::new(ProblemType::Internal, error.to_string()))?;
    Ok(Some((key.to_owned(), Sha256::digest(body).into())))
}

/// A stream by default; JSON when the client accepts it and no stream.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepts = |kind: &str| {
        accept.split(',').any(|range| range.split(';').next().unwrap_or_default().trim() == kind)
    };
    accepts("application/json") && !accepts("text/event-stream")
}

async fn whole_answer(app: &App, mut tail: Tail) -> Result<ChatAnswer, ApiError> {
    let restarting = || {
        Problem::new(ProblemType::UpstreamUnavailable)
            .detail("The server is restarting.")
            .retry_after(1)
    };
    loop {
        let item = tokio::select! {
            item = tail.next() => item,
            () = app.closing.cancelled() => return Err(restarting().into()),
        };
        match item.transpose()? {
            Some((_, RunEvent::Completed(answer) | RunEvent::Stopped(answer))) => {
                return Ok(answer);
            }
            Some((_, RunEvent::Failed(problem))) => return Err(problem.into()),
            Some(_) => {}
            None => return Err(ApiError::not_found("run: its session was deleted")),
        }
    }
}
