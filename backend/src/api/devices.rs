//! Devices and their public keys. The account and everyone with whom it has a conversation are
//! notified of a change.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use backend_protocol::api::{DeviceKeys, DeviceList};
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_SAFE_INTEGER;
use backend_protocol::problem::Problem;
use backend_store::accounts::{DeviceChange, Removal};
use backend_store::broker::{Payload, Topic};
use backend_store::identities::Identity;

use super::{base64url, key_change};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, PathId};
use crate::identity::{Credential, Visitor};

/// The longest public key, in base64url characters: RSA with 16384 bits.
const MAX_KEY: usize = 3 * 1024;

/// List an account's devices, their public keys, and the account's device log
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
    // The log last: a device is approved before it is registered, so the log has the approval of
    // every device listed.
    let devices = app.store.devices(&account.id).await?;
    let (identity_key, log) = match app.store.identity(&account.id).await? {
        Some(Identity { identity_key, log }) => (Some(identity_key), log),
        None => (None, Vec::new()),
    };
    let (account_id, username) = (account.id, account.username);
    Ok(Json(DeviceList { account_id, username, devices, identity_key, log }))
}

/// Register a device
///
/// Idempotent with the same keys. A higher generation replaces the encryption key. The signing key
/// never changes: a new one is a new device.
#[utoipa::path(
    put, path = "/api/devices/{device}", tag = "account", request_body = DeviceKeys,
    params(("device" = DeviceId, Path, description = "Chosen by the client")),
    responses(
        (status = 204, description = "Registered"),
        (status = 409, description = "The account has too many devices", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The device was removed and cannot be registered again", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Malformed keys, or the device is registered with another signing key or a higher generation", body = Problem, content_type = "application/problem+json"),
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
        DeviceChange::Added | DeviceChange::Replaced => {
            key_change::announce(&app, account).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        // A browser registers its device at every start: the keys have not changed.
        DeviceChange::Unchanged => Ok(StatusCode::NO_CONTENT),
        DeviceChange::Conflict => Err(ApiError::invalid(
            "This device is registered with other keys. Expected the same signing key and a higher generation; for another signing key, register a new device.",
        )),
        DeviceChange::TooMany => Err(ApiError::too_many_devices()),
        DeviceChange::Removed => Err(ApiError::device_gone()),
    }
}

/// Remove a device
///
/// The device can never be registered or linked again, and the cookies it used are revoked. When
/// the request's own cookie is one of them and other devices use it too, the response sets a new
/// one.
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
    let affected = key_change::affected(&app, account).await?;
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
            key_change::append(&app, account, &affected).await.unwrap_or_else(
                |error| tracing::warn!(%error, "cannot append the key change of a removed device to all inboxes"),
            );
            let cookie = replaced.then(|| (header::SET_COOKIE, fresh.set_cookie()));
            Ok((StatusCode::NO_CONTENT, HeaderMap::from_iter(cookie)))
        }
    }
}

fn check(keys: &DeviceKeys) -> Result<(), ApiError> {
    let is_base64url =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !(1..=32).contains(&keys.suite.len()) || !keys.suite.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::invalid(
            "suite must be the name of a cipher suite, such as `rsa-aes-1`",
        ));
    }
    for (field, key) in
        [("encryption_key", &keys.encryption_key), ("signing_key", &keys.signing_key)]
    {
        if !(1..=MAX_KEY).contains(&key.len()) || !is_base64url(key) {
            return Err(ApiError::invalid(format!(
                "{field} must be base64url, 1 to {MAX_KEY} characters"
            )));
        }
    }
    if !(1..=MAX_SAFE_INTEGER).contains(&keys.generation) {
        return Err(ApiError::invalid("generation must be 1 to 2^53 - 1"));
    }
    if keys.created_at > MAX_SAFE_INTEGER {
        return Err(ApiError::invalid(
            "created_at must be milliseconds since 1970, at most 2^53 - 1",
        ));
    }
    base64url::exactly::<64>("signature", &keys.signature).map(drop)
}
