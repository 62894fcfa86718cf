//! The account's identity, its device log, and the recovery of the account. The server checks sizes
//! and the order of the entries; the browsers check signatures.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use backend_protocol::api::Me;
use backend_protocol::identity::{AppendEntry, NewIdentity, Recover, Recovered, SignedEntry};
use backend_protocol::limits::{MAX_LOG_ENTRIES, MAX_LOG_ENTRY, MAX_SEALED_IDENTITY};
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::identities::{self, Append, IdentityChange, Recovery, RecoveryHash};
use sha2::{Digest, Sha256};

use super::{base64url, key_change};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::Body;
use crate::identity::{Counted, Credential, FirstParty, Visitor};

/// Store the account's identity
///
/// Starts the device log at version 1. With `replaces`, the account gets a new identity; its peers
/// see that it changed. Idempotent with the same values.
#[utoipa::path(
    put, path = "/api/identity", tag = "account", request_body = NewIdentity,
    responses(
        (status = 204, description = "Stored"),
        (status = 409, description = "The account has another identity than `replaces`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Malformed, or another account has this recovery token", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    visitor: Visitor,
    Body(new): Body<NewIdentity>,
) -> Result<StatusCode, ApiError> {
    base64url::exactly::<32>("identity_key", &new.identity_key)?;
    base64url::at_most("sealed", &new.sealed, MAX_SEALED_IDENTITY)?;
    let recovery = RecoveryHash(base64url::exactly("recovery", &new.recovery)?);
    check(&new.entry)?;
    if let Some(replaces) = &new.replaces {
        base64url::exactly::<32>("replaces", replaces)?;
        if *replaces == new.identity_key {
            return Err(ApiError::invalid("identity_key must be another key than replaces"));
        }
    }
    let NewIdentity { identity_key, sealed, entry, replaces, .. } = new;
    let new = identities::NewIdentity { identity_key, sealed, recovery, entry, replaces };
    let account = &visitor.account.id;
    match app.store.put_identity(account, &new).await? {
        IdentityChange::Stored | IdentityChange::Unchanged => {}
        IdentityChange::Conflict => {
            return Err(ApiError::conflict(
                "The account has another identity than `replaces` expects. Fetch the device list.",
            ));
        }
        IdentityChange::RecoveryTaken => {
            let detail = "Another account has this recovery token. Create a new recovery code.";
            return Err(ApiError::invalid(detail));
        }
    }
    // Also when unchanged: the events of an earlier attempt may be missing.
    key_change::announce(&app, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Append an entry to the account's device log
///
/// Idempotent with the same entry at the same version.
#[utoipa::path(
    post, path = "/api/devices/log", tag = "account", request_body = AppendEntry,
    responses(
        (status = 204, description = "Appended"),
        (status = 409, description = "Another version comes next, the account has no identity, or the log is full", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn append(
    State(app): State<App>,
    visitor: Visitor,
    Body(AppendEntry { version, entry }): Body<AppendEntry>,
) -> Result<StatusCode, ApiError> {
    check(&entry)?;
    let account = &visitor.account.id;
    appended(app.store.append_entry(account, version, &entry).await?, version)?;
    key_change::announce(&app, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Recover an account
///
/// Opens the account with the token from its recovery code. The cookie in the response replaces the
/// client's own.
#[utoipa::path(
    post, path = "/api/recovery", tag = "account", request_body = Recover,
    responses(
        (status = 200, body = Recovered),
        (status = 404, description = "No account has this token", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn recover(
    State(app): State<App>,
    FirstParty { network }: FirstParty,
    Body(Recover { token }): Body<Recover>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Recovered>), ApiError> {
    let token = base64url::exactly::<32>("token", &token)?;
    network.spend(&app, Counted::Recovery).await?;
    let credential = Credential::random();
    let hash = RecoveryHash(Sha256::digest(token).into());
    let recovery = app.store.recover(&hash, &credential.hash()).await?;
    let Some(Recovery { account, identity_key, sealed }) = recovery else {
        return Err(ApiError::new(ProblemType::NotFound, "No account has this recovery token."));
    };
    let me = Me { account_id: account.id, username: account.username };
    let cookie = [(header::SET_COOKIE, credential.set_cookie())];
    Ok((cookie, Json(Recovered { me, identity_key, sealed })))
}

/// Checks the size of an entry and of its signature.
pub(super) fn check(entry: &SignedEntry) -> Result<(), ApiError> {
    base64url::at_most("entry.entry", &entry.entry, MAX_LOG_ENTRY)?;
    base64url::exactly::<64>("entry.signature", &entry.signature).map(drop)
}

/// The error for an entry that the log rejected.
pub(super) fn appended(outcome: Append, version: u64) -> Result<(), ApiError> {
    match outcome {
        Append::Appended | Append::Unchanged => Ok(()),
        Append::NoIdentity => Err(ApiError::conflict(
            "The account has no identity: start its device log with PUT /api/identity.",
        )),
        Append::Conflict { newest } => Err(ApiError::conflict(format!(
            "Expected version {}, found {version}. Fetch the device list.",
            newest.saturating_add(1)
        ))),
        Append::Full => Err(ApiError::new(
            ProblemType::LimitReached,
            format!("A device log has at most {MAX_LOG_ENTRIES} entries."),
        )),
    }
}
