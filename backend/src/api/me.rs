//! The client's own account: creating it, its username, and signing out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use backend_protocol::api::{ClaimUsername, Me, User};
use backend_protocol::live::Notice;
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::StoreError;
use backend_store::accounts::{Account, Claim, MAX_NAMES_GIVEN_UP};
use backend_store::broker::{Payload, Topic};
use backend_store::username::Username;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::Body;
use crate::identity::{Caller, Credential, Visitor};

/// Show the client's account
///
/// Renews the cookie, so that it does not expire while the browser is in use.
#[utoipa::path(
    get, path = "/api/me", tag = "account",
    responses(
        (status = 200, body = Me),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(visitor: Visitor) -> ([(HeaderName, HeaderValue); 1], Json<Me>) {
    let me =
        Me { account_id: visitor.account.id.clone(), username: visitor.account.username.clone() };
    ([(header::SET_COOKIE, visitor.credential.set_cookie())], Json(me))
}

/// Create an account, or claim a username
///
/// Creates an account and sets its cookie when the request has none. With a username, the account
/// is renamed, and everyone with whom it has a conversation gets an event.
#[utoipa::path(
    post, path = "/api/me", tag = "account", request_body = ClaimUsername,
    responses(
        (status = 200, body = Me),
        (status = 409, description = "Another account has this name or one that looks the same, or gave it up recently", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many new accounts from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn claim(
    State(app): State<App>,
    caller: Caller,
    Body(claim): Body<ClaimUsername>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Me>), ApiError> {
    let wanted = claim.username.as_deref().map(Username::parse).transpose();
    let wanted = wanted.map_err(|error| ApiError::invalid(error.to_string()))?;
    let visitor = match (caller, &wanted) {
        (Caller::Removed(_), _) => return Err(ApiError::device_removed()),
        (Caller::Newcomer(newcomer), wanted) => newcomer.open(&app, wanted.as_ref()).await?,
        (Caller::Visitor(visitor), None) => visitor,
        (Caller::Visitor(visitor), Some(username)) => rename(&app, visitor, username).await?,
    };
    let me =
        Me { account_id: visitor.account.id.clone(), username: visitor.account.username.clone() };
    Ok(([(header::SET_COOKIE, visitor.credential.set_cookie())], Json(me)))
}

async fn rename(app: &App, visitor: Visitor, username: &Username) -> Result<Visitor, ApiError> {
    let id = &visitor.account.id;
    match app.store.claim_username(id, username).await? {
        Claim::Claimed { .. } => {
            let shown = username.display().to_owned();
            show_in_lobby(app, User { account_id: id.clone(), username: shown.clone() }).await;
            let account = Arc::new(Account { id: id.clone(), username: Some(shown) });
            Ok(Visitor { account, ..visitor })
        }
        Claim::Taken => Err(ApiError::username_taken()),
        Claim::HeldBack => Err(ApiError::username_reserved()),
        Claim::TooMany => {
            let detail = format!(
                "This account has given up {MAX_NAMES_GIVEN_UP} names, each reserved for 90 days. Claim one \
                 of them again, or wait."
            );
            Err(ApiError::new(ProblemType::LimitReached, detail))
        }
    }
}

/// Publishes the new name to the lobby. Best effort: nodes that miss the wake-up poll the lobby.
async fn show_in_lobby(app: &App, user: User) {
    let shown = async {
        if app.store.rename_in_lobby(&user).await? {
            let notice = Notice::LobbyChange { user, present: true };
            let payload =
                serde_json::to_string(&notice).expect("a notice has only strings as keys");
            app.store.publish(&Topic::Lobby, payload.into()).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = shown.await {
        tracing::warn!(%error, "cannot publish a new name to the lobby");
    }
}

/// Sign out
///
/// Revokes the cookie and closes the connections it opened. Also clears the cookie of a removed
/// device.
#[utoipa::path(
    post, path = "/api/logout", tag = "account",
    responses(
        (status = 204, description = "Signed out"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn logout(
    State(app): State<App>,
    caller: Caller,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    match caller {
        Caller::Visitor(visitor) => {
            app.store.revoke_credential(&visitor.credential.hash()).await?;
            app.store
                .publish(&Topic::Revoked(visitor.account.id.clone()), Payload::from(""))
                .await?;
        }
        Caller::Removed(credential) => app.store.revoke_credential(&credential.hash()).await?,
        Caller::Newcomer(_) => return Err(ApiError::unauthenticated()),
    }
    Ok((
        StatusCode::NO_CONTENT,
        HeaderMap::from_iter([(header::SET_COOKIE, Credential::clear_cookie())]),
    ))
}
