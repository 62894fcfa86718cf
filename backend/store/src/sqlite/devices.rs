//! Devices in SQLite, the credentials bound to them, and removed devices.

use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_DEVICES;
use rusqlite::{Transaction, params};

use super::account_rows::{exists, settle};
use super::statement::{all, count, execute, one};
use crate::Retention;
use crate::accounts::{CredentialHash, DeviceChange, MAX_DEVICES_REMOVED, Removal};
use crate::codec::{corrupt, decode_keys, encode, now, parsed, rfc3339};
use crate::error::Result;

pub(super) fn list(tx: &Transaction<'_>, account: &AccountId) -> Result<Vec<Device>> {
    all(
        tx,
        "SELECT device, keys, created FROM devices JOIN accounts ON accounts.id = account
         WHERE account = ?1 AND expires > ?2 ORDER BY n",
        params![account.as_str(), now()],
        |row| {
            Ok(Device {
                device: parsed("devices.device", row.get(0)?)?,
                keys: decode_keys("devices.keys", &row.get::<_, String>(1)?)?,
                registered_at: rfc3339(row.get(2)?),
            })
        },
    )
}

pub(super) fn add(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    keys: &DeviceKeys,
    by: &CredentialHash,
    retention: &Retention,
) -> Result<DeviceChange> {
    let both = params![account.as_str(), device.as_str()];
    if is_removed(tx, account, device)? || is_revoked(tx, by)? {
        return Ok(DeviceChange::Removed);
    }
    let known =
        one(tx, "SELECT keys FROM devices WHERE account = ?1 AND device = ?2", both, |row| {
            decode_keys("devices.keys", &row.get::<_, String>(0)?)
        })?;
    if let Some(known) = known {
        return update(tx, account, device, &known, keys, by);
    }
    if is_full(tx, account)? {
        return Ok(DeviceChange::TooMany);
    }
    if !exists(tx, account)? {
        return Err(corrupt("accounts", &"the account that adds a device does not exist"));
    }
    execute(
        tx,
        "INSERT INTO devices (account, device, keys, created) VALUES (?1, ?2, ?3, ?4)",
        params![account.as_str(), device.as_str(), encode("devices.keys", keys)?, now()],
    )?;
    execute(tx, "DELETE FROM approved_devices WHERE account = ?1 AND device = ?2", both)?;
    bind_credential(tx, account, device, by)?;
    settle(tx, account, retention)?;
    Ok(DeviceChange::Added)
}

/// Keys of a registered device: the same ones, or a higher generation.
fn update(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    known: &DeviceKeys,
    keys: &DeviceKeys,
    by: &CredentialHash,
) -> Result<DeviceChange> {
    let change = if known == keys {
        DeviceChange::Unchanged
    } else if known.signing_key == keys.signing_key && keys.generation > known.generation {
        DeviceChange::Replaced
    } else {
        return Ok(DeviceChange::Conflict);
    };
    if change == DeviceChange::Replaced {
        execute(
            tx,
            "UPDATE devices SET keys = ?3 WHERE account = ?1 AND device = ?2",
            params![account.as_str(), device.as_str(), encode("devices.keys", keys)?],
        )?;
    }
    bind_credential(tx, account, device, by)?;
    Ok(change)
}

/// True when the account may have no further device.
pub(super) fn is_full(tx: &Transaction<'_>, account: &AccountId) -> Result<bool> {
    let sql = "SELECT (SELECT count(*) FROM devices WHERE account = ?1),
                      (SELECT count(*) FROM removed_devices WHERE account = ?1)";
    let (devices, removed) =
        one(tx, sql, [account.as_str()], |row| Ok((count(row, 0)?, count(row, 1)?)))?
            .expect("a query without FROM returns a row");
    Ok(devices >= MAX_DEVICES as u64 || removed >= MAX_DEVICES_REMOVED as u64)
}

/// True when the device was removed from the account.
pub(super) fn is_removed(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool> {
    let sql = "SELECT 1 FROM removed_devices WHERE account = ?1 AND device = ?2";
    Ok(one(tx, sql, params![account.as_str(), device.as_str()], |_| Ok(()))?.is_some())
}

/// True when the credential was revoked with a removed device.
fn is_revoked(tx: &Transaction<'_>, credential: &CredentialHash) -> Result<bool> {
    let sql = "SELECT 1 FROM credentials WHERE hash = ?1 AND removed";
    Ok(one(tx, sql, params![credential.0], |_| Ok(()))?.is_some())
}

/// True when the device is registered and this credential is bound to it.
pub(super) fn is_bound(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    by: &CredentialHash,
) -> Result<bool> {
    let sql = "SELECT 1 FROM devices JOIN device_credentials USING (account, device)
               WHERE account = ?1 AND device = ?2 AND hash = ?3";
    Ok(one(tx, sql, params![account.as_str(), device.as_str(), by.0], |_| Ok(()))?.is_some())
}

/// Binds the credential to a device; false when the device is not registered or the credential was
/// revoked with a removed device.
pub(super) fn bind_credential(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    by: &CredentialHash,
) -> Result<bool> {
    let both = params![account.as_str(), device.as_str()];
    let sql = "SELECT 1 FROM devices WHERE account = ?1 AND device = ?2";
    if one(tx, sql, both, |_| Ok(()))?.is_none() || is_revoked(tx, by)? {
        return Ok(false);
    }
    add_credential(tx, account, device, by)?;
    Ok(true)
}

/// Binds the credential to a device, registered or not. A credential that was signed out in between
/// is bound to nothing.
pub(super) fn add_credential(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    by: &CredentialHash,
) -> Result<()> {
    execute(
        tx,
        "INSERT INTO device_credentials (account, device, hash)
         SELECT ?1, ?2, hash FROM credentials WHERE hash = ?3 AND account = ?1 ON CONFLICT DO NOTHING",
        params![account.as_str(), device.as_str(), by.0],
    )?;
    Ok(())
}

pub(super) fn remove(
    tx: &Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    by: &CredentialHash,
    fresh: &CredentialHash,
) -> Result<Removal> {
    if is_revoked(tx, by)? {
        return Ok(Removal::Refused);
    }
    let both = params![account.as_str(), device.as_str()];
    let own = |sql: &str| {
        one(tx, sql, params![account.as_str(), device.as_str(), by.0], |_| Ok(()))
            .map(|row| row.is_some())
    };
    let replaced = own(
        "SELECT 1 FROM device_credentials WHERE account = ?1 AND device = ?2 AND hash = ?3",
    )? && own(
        "SELECT 1 FROM device_credentials WHERE account = ?1 AND device <> ?2 AND hash = ?3",
    )?;
    execute(
        tx,
        "UPDATE credentials SET removed = 1
         WHERE hash IN (SELECT hash FROM device_credentials WHERE account = ?1 AND device = ?2)",
        both,
    )?;
    // Revoked credentials are bound to no device.
    execute(
        tx,
        "DELETE FROM device_credentials
         WHERE account = ?1 AND hash IN (SELECT hash FROM credentials WHERE account = ?1 AND removed)",
        [account.as_str()],
    )?;
    let registered = execute(tx, "DELETE FROM devices WHERE account = ?1 AND device = ?2", both)?;
    let approved =
        execute(tx, "DELETE FROM approved_devices WHERE account = ?1 AND device = ?2", both)?;
    if registered + approved == 0 {
        return Ok(Removal::NotFound);
    }
    execute(
        tx,
        "INSERT INTO removed_devices (account, device) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        both,
    )?;
    if replaced {
        execute(
            tx,
            "INSERT INTO credentials (hash, account) VALUES (?1, ?2)",
            params![fresh.0, account.as_str()],
        )?;
    }
    Ok(Removal::Removed { replaced })
}
