//! Devices and their public keys. The account and everyone with whom it has a conversation are
//! notified of a change.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use backend_protocol::api::{DeviceKeys, DeviceList};
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_DEVICES;
use backend_protocol::live::InboxEvent;
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::StoreError;
use backend_store::accounts::{DeviceChange, MAX_DEVICES_REMOVED, Removal};
use backend_store::broker::{Payload, Topic};

use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, PathId};
use crate::identity::{Credential, Visitor};

/// The longest public key, in base64url characters: RSA with 16384 bits.
const MAX_KEY: usize = 3 * 1024;

/// List an account's devices and their public keys
#[utoipa::path(
    get, path = "/api/accounts/{account}/devices", tag = "people",
    params(("account" = AccountId, Path, description = "The account")),
    responses(
        (status = 200, body = DeviceList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Visitor,
    PathId(account): PathId<AccountId>,
) -> Result<Json<DeviceList>, ApiError> {
    let account =
        app.store.account(&account).await?.ok_or_else(|| ApiError::not_found("account"))?;
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
        (status = 409, description = "The account has too many devices", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The device was removed and cannot be registered again", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Malformed keys, or the device is registered with other keys", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    visitor: Visitor,
    PathId(device): PathId<DeviceId>,
    Body(keys): Body<DeviceKeys>,
) -> Result<StatusCode, ApiError> {
    check(&keys)?;
    let account = &visitor.account.id;
    match app.store.add_device(account, &device, &keys, &visitor.credential.hash()).await? {
        DeviceChange::Added => {
            let affected = affected(&app, account).await?;
            append_key_change(&app, account, &affected).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        // A browser registers its device at every start: the keys have not changed.
        DeviceChange::Unchanged => Ok(StatusCode::NO_CONTENT),
        DeviceChange::Conflict => Err(ApiError::invalid(
            "This device is registered with other keys. Keys cannot be changed: register a new device.",
        )),
        DeviceChange::TooMany => {
            let detail = format!(
                "An account has at most {MAX_DEVICES} devices, and at most {MAX_DEVICES_REMOVED} removed ones. Remove a device first."
            );
            Err(ApiError::new(ProblemType::LimitReached, detail))
        }
        DeviceChange::Removed => {
            let detail = "This device was removed from the account and cannot be registered again. Register a new device.";
            Err(ApiError::new(ProblemType::DeviceRemoved, detail).with_status(410))
        }
    }
}

/// Remove a device
///
/// The device can never be registered again, and the cookies it used are revoked. When the
/// request's own cookie is one of them and other devices use it too, the response sets a new one.
#[utoipa::path(
    delete, path = "/api/devices/{device}", tag = "account",
    params(("device" = DeviceId, Path, description = "A device of the account")),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    PathId(device): PathId<DeviceId>,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    let account = &visitor.account.id;
    let fresh = Credential::random();
    // Read first: a failure before the removal can be retried.
    let affected = affected(&app, account).await?;
    match app
        .store
        .remove_device(account, &device, &visitor.credential.hash(), &fresh.hash())
        .await?
    {
        Removal::NotFound => Err(ApiError::not_found("device")),
        Removal::Refused => Err(ApiError::device_removed()),
        Removal::Removed { replaced } => {
            // The response may carry the only cookie that opens the account, so nothing may fail
            // from here on. Nodes that miss the wake-up find the revocation at their next check.
            if let Err(error) =
                app.store.publish(&Topic::Revoked(account.clone()), Payload::from("")).await
            {
                tracing::warn!(%error, "cannot publish the removal of a device; nodes find it at their next check");
            }
            append_key_change(&app, account, &affected).await.unwrap_or_else(
                |error| tracing::warn!(%error, "cannot append the key change of a removed device to all inboxes"),
            );
            let cookie = replaced.then(|| (header::SET_COOKIE, fresh.set_cookie()));
            Ok((StatusCode::NO_CONTENT, HeaderMap::from_iter(cookie)))
        }
    }
}

/// The account itself and everyone with whom it has a conversation.
async fn affected(app: &App, account: &AccountId) -> Result<BTreeSet<AccountId>, StoreError> {
    let conversations = app.store.conversations(account).await?;
    let mut affected: BTreeSet<AccountId> =
        conversations.into_iter().map(|conversation| conversation.peer.account_id).collect();
    affected.insert(account.clone());
    Ok(affected)
}

/// Appends a key change to their inboxes; continues after a failure and returns the last one.
async fn append_key_change(
    app: &App,
    account: &AccountId,
    affected: &BTreeSet<AccountId>,
) -> Result<(), StoreError> {
    let event = InboxEvent::KeyChange { account: account.clone() };
    let mut outcome = Ok(());
    for inbox in affected {
        if let Err(error) = app.store.append_event(inbox, &event).await {
            outcome = Err(error);
        }
    }
    outcome
}

fn check(keys: &DeviceKeys) -> Result<(), ApiError> {
    let base64url =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !(1..=32).contains(&keys.suite.len()) || !keys.suite.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::invalid(
            "suite must be the name of a cipher suite, such as `rsa-aes-1`",
        ));
    }
    for (field, key) in
        [("encryption_key", &keys.encryption_key), ("signing_key", &keys.signing_key)]
    {
        if !(1..=MAX_KEY).contains(&key.len()) || !base64url(key) {
            return Err(ApiError::invalid(format!(
                "{field} must be base64url, 1 to {MAX_KEY} characters"
            )));
        }
    }
    Ok(())
}
