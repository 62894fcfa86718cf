//! Devices and their public keys. A change is told to everyone who writes to the account.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use backend_protocol::api::{DeviceKeys, DeviceList};
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_DEVICES;
use backend_protocol::live::InboxEvent;
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::accounts::DeviceChange;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, Named};
use crate::identity::Visitor;

/// The longest public key, in base64url characters: RSA with 16384 bits.
const MAX_KEY: usize = 3 * 1024;

/// List an account's devices and their public keys
#[utoipa::path(
    get, path = "/api/accounts/{account}/devices", tag = "people",
    params(("account" = AccountId, Path, description = "Whose")),
    responses(
        (status = 200, body = DeviceList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    Named(account): Named<AccountId>,
) -> Result<Json<DeviceList>, ApiError> {
    let account = app.store.account(&account).await?.ok_or_else(|| ApiError::not_found("account"))?;
    let devices = app.store.devices(&account.id).await?;
    Ok(Json(DeviceList { account_id: account.id, username: account.username, devices }))
}

/// Register a device
///
/// Idempotent with the same keys. Keys never change in place: new keys are a new device.
#[utoipa::path(
    put, path = "/api/devices/{device}", tag = "account", request_body = DeviceKeys,
    params(("device" = DeviceId, Path, description = "Chosen by the client")),
    responses(
        (status = 204, description = "Registered"),
        (status = 409, description = "The account has as many devices as it may", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Malformed keys, or the device has others", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    visitor: Visitor,
    Named(device): Named<DeviceId>,
    Body(keys): Body<DeviceKeys>,
) -> Result<StatusCode, ApiError> {
    check(&keys)?;
    let account = &visitor.account.id;
    match app.store.add_device(account, &device, &keys).await? {
        DeviceChange::Added => {
            tell(&app, account).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        // A browser registers itself at every start: nobody has to fetch keys again for that.
        DeviceChange::Unchanged => Ok(StatusCode::NO_CONTENT),
        DeviceChange::Conflict => {
            Err(ApiError::invalid("This device has other keys. Keys never change: register a new device."))
        }
        DeviceChange::TooMany => {
            let detail = format!("An account has at most {MAX_DEVICES} devices. Remove one first.");
            Err(ApiError::new(ProblemType::LimitReached, detail))
        }
    }
}

/// Remove a device
#[utoipa::path(
    delete, path = "/api/devices/{device}", tag = "account",
    params(("device" = DeviceId, Path, description = "One of the account's own")),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Named(device): Named<DeviceId>,
) -> Result<StatusCode, ApiError> {
    let account = &visitor.account.id;
    if !app.store.remove_device(account, &device).await? {
        return Err(ApiError::not_found("device"));
    }
    tell(&app, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells the account's own devices and everyone it has written with that its keys changed.
async fn tell(app: &App, account: &AccountId) -> Result<(), ApiError> {
    let conversations = app.store.conversations(account).await?;
    let mut told: BTreeSet<AccountId> = conversations.into_iter().map(|talk| talk.peer.account_id).collect();
    told.insert(account.clone());
    let event = InboxEvent::KeyChange { account: account.clone() };
    for inbox in &told {
        app.store.append_event(inbox, &event).await?;
    }
    Ok(())
}

fn check(keys: &DeviceKeys) -> Result<(), ApiError> {
    let base64url = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !(1..=32).contains(&keys.suite.len()) || !keys.suite.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::invalid("suite must be the name of a cipher suite, such as `rsa-aes-1`"));
    }
    for (field, key) in [("encryption_key", &keys.encryption_key), ("signing_key", &keys.signing_key)] {
        if !(1..=MAX_KEY).contains(&key.len()) || !base64url(key) {
            return Err(ApiError::invalid(format!("{field} must be base64url, 1 to {MAX_KEY} characters")));
        }
    }
    Ok(())
}
