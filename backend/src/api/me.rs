//! The visitor's own account: its name, and signing out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use backend_protocol::api::{ClaimUsername, Me};
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::accounts::Claim;
use backend_store::broker::{Payload, Topic};
use backend_store::username::Username;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::Body;
use crate::identity::{Credential, Visitor};

/// Who am I
///
/// Renews the cookie, so that a browser in use is never forgotten.
#[utoipa::path(
    get, path = "/api/me", tag = "account",
    responses(
        (status = 200, body = Me),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(visitor: Visitor) -> ([(HeaderName, HeaderValue); 1], Json<Me>) {
    let me = Me { account_id: visitor.account.id.clone(), username: visitor.account.username.clone() };
    ([(header::SET_COOKIE, visitor.credential.keep())], Json(me))
}

/// Claim a username
#[utoipa::path(
    post, path = "/api/me", tag = "account", request_body = ClaimUsername,
    responses(
        (status = 200, body = Me),
        (status = 409, description = "Somebody has it, or one that looks the same", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn claim(
    State(app): State<App>,
    visitor: Visitor,
    Body(claim): Body<ClaimUsername>,
) -> Result<Json<Me>, ApiError> {
    let Some(wanted) = claim.username else {
        return Ok(Json(Me { account_id: visitor.account.id.clone(), username: visitor.account.username.clone() }));
    };
    let username = Username::parse(&wanted).map_err(|error| ApiError::invalid(error.to_string()))?;
    match app.store.claim_username(&visitor.account.id, &username).await? {
        Claim::Claimed => {
            Ok(Json(Me { account_id: visitor.account.id.clone(), username: Some(username.display().to_owned()) }))
        }
        Claim::Taken => {
            let detail = "Somebody has this name, or one that looks the same. Choose another one.";
            Err(ApiError::new(ProblemType::UsernameTaken, detail))
        }
    }
}

/// Sign out
///
/// The cookie opens nothing any more, and the account's connections are closed.
#[utoipa::path(
    post, path = "/api/logout", tag = "account",
    responses(
        (status = 204, description = "Signed out"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn logout(State(app): State<App>, visitor: Visitor) -> Result<(StatusCode, HeaderMap), ApiError> {
    app.store.revoke_credential(&visitor.credential.hash()).await?;
    app.store.publish(&Topic::Revoked(visitor.account.id.clone()), Payload::from("")).await?;
    Ok((StatusCode::NO_CONTENT, HeaderMap::from_iter([(header::SET_COOKIE, Credential::forget())])))
}
