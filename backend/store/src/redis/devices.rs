//! Devices in Redis. An account's devices, their credentials, the removed and the approved devices
//! are in its slot.

use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_DEVICES;
use redis::{Script, ScriptInvocation};

use super::{RedisStore, keys};
use crate::accounts::{CredentialHash, DeviceChange, MAX_DEVICES_REMOVED};
use crate::codec::{corrupt, decode_keys, encode, parsed, rfc3339};
use crate::error::Result;

impl RedisStore {
    /// A script with the keys of an account: account, credentials, devices, removed devices,
    /// identity, device log, approved devices.
    pub(super) fn of_account<'a>(
        &self,
        script: &'a Script,
        account: &AccountId,
    ) -> ScriptInvocation<'a> {
        let prefix = keys::of(account);
        let mut invocation = script.key(prefix.clone() + "account");
        invocation
            .key(prefix.clone() + "credentials")
            .key(prefix.clone() + "devices")
            .key(prefix.clone() + "removed")
            .key(prefix.clone() + "identity")
            .key(prefix.clone() + "log")
            .key(prefix + "approved");
        invocation
    }

    pub(super) async fn register(
        &self,
        account: &AccountId,
        device: &DeviceId,
        keys: &DeviceKeys,
        by: &CredentialHash,
    ) -> Result<DeviceChange> {
        let mut add = self.of_account(&self.scripts.add_device, account);
        add.arg(device.as_str()).arg(hex::encode(by.0)).arg(encode("devices", keys)?);
        add.arg(MAX_DEVICES).arg(MAX_DEVICES_REMOVED);
        add.arg(&keys.signing_key).arg(keys.generation);
        match self.connection.script::<String>("devices", &add).await?.as_str() {
            "added" => Ok(DeviceChange::Added),
            "unchanged" => Ok(DeviceChange::Unchanged),
            "replaced" => Ok(DeviceChange::Replaced),
            "conflict" => Ok(DeviceChange::Conflict),
            "too many" => Ok(DeviceChange::TooMany),
            "removed" => Ok(DeviceChange::Removed),
            _ => Err(corrupt("account", &"the account that adds a device is gone")),
        }
    }

    pub(super) async fn list_devices(&self, account: &AccountId) -> Result<Vec<Device>> {
        let get = redis::cmd("HGETALL").arg(keys::of(account) + "devices").clone();
        let found: Vec<(String, String)> = self.connection.command("devices", &get).await?;
        let mut devices = found.into_iter().map(device_from).collect::<Result<Vec<_>>>()?;
        devices.sort_by_key(|(number, _)| *number);
        Ok(devices.into_iter().map(|(_, device)| device).collect())
    }
}

/// `<number> <created> <keys>`
fn device_from((device, kept): (String, String)) -> Result<(u64, Device)> {
    let mut parts = kept.splitn(3, ' ');
    let number = parts.next().and_then(|number| number.parse().ok());
    let created = parts.next().and_then(|created| created.parse().ok());
    let (Some(number), Some(created), Some(keys)) = (number, created, parts.next()) else {
        return Err(corrupt("devices", &"expected a number, a time and keys"));
    };
    let device = Device {
        device: parsed("devices", device)?,
        keys: decode_keys("devices", keys)?,
        registered_at: rfc3339(created),
    };
    Ok((number, device))
}
