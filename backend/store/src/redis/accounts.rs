//! Accounts, names and devices in Redis.
//!
//! An account, a credential and a name are in three slots. Creating: the account first, then the credential, without
//! which nobody sees it. Claiming: the name is reserved for a while, then written into the account (the commit point),
//! then made lasting and the earlier one freed. A crash in between leaves a reservation that ends by itself, or a
//! name that the next use of the account makes lasting.

use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_DEVICES;

use super::{RedisStore, keys, ttl};
use crate::accounts::{Account, Accounts, Claim, CredentialHash, DeviceChange};
use crate::codec::{corrupt, decode, encode, parsed, rfc3339};
use crate::error::Result;
use crate::username::Username;

/// How long a name stays reserved for an account that does not show it yet.
const RESERVATION: Duration = Duration::from_secs(10 * 60);

/// Id, username and the key of that, as the account has them.
type Fields = (Option<String>, Option<String>, Option<String>);

#[async_trait]
impl Accounts for RedisStore {
    async fn create_account(&self, account: &AccountId, credential: &CredentialHash) -> Result<()> {
        let kept = ttl(self.retention.account_ttl);
        let mut create = self.scripts.create_account.key(keys::of(account) + "account");
        create.arg(account.as_str()).arg(kept);
        self.link.script::<i64>("account", &create).await?;
        let mut set = redis::cmd("SET");
        set.arg(keys::credential(credential)).arg(account.as_str()).arg("PX").arg(kept);
        self.link.command("credential", &set).await
    }

    async fn account_by_credential(&self, credential: &CredentialHash) -> Result<Option<Account>> {
        let kept = ttl(self.retention.account_ttl);
        let mut get = redis::cmd("GETEX");
        get.arg(keys::credential(credential)).arg("PX").arg(kept);
        let Some(id) = self.link.command::<Option<String>>("credential", &get).await? else { return Ok(None) };
        let id: AccountId = parsed("credential", id)?;
        let prefix = keys::of(&id);
        let mut renew = self.scripts.use_account.key(prefix.clone() + "account");
        renew.key(prefix + "devices").arg(kept);
        let fields: Fields = self.link.script("account", &renew).await?;
        if let Some(key) = &fields.2 {
            let mut renew = self.scripts.renew_name.key(keys::name(key));
            renew.arg(id.as_str()).arg(kept);
            self.link.script::<i64>("name", &renew).await?;
        }
        account_from(fields)
    }

    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()> {
        self.link.command::<i64>("credential", redis::cmd("DEL").arg(keys::credential(credential))).await?;
        Ok(())
    }

    async fn account(&self, account: &AccountId) -> Result<Option<Account>> {
        account_from(self.fields(account).await?)
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>> {
        let get = redis::cmd("GET").arg(keys::name_of(username)).clone();
        let Some(id) = self.link.command::<Option<String>>("name", &get).await? else { return Ok(None) };
        let fields = self.fields(&parsed("name", id)?).await?;
        // A name that is only reserved is nobody's yet.
        if fields.2.as_deref() == Some(username.key()) { account_from(fields) } else { Ok(None) }
    }

    async fn claim_username(&self, account: &AccountId, username: &Username) -> Result<Claim> {
        if !self.reserve(account, username).await? {
            return Ok(Claim::Taken);
        }
        let mut take = self.scripts.take_name.key(keys::of(account) + "account");
        take.arg(username.display()).arg(username.key());
        let Some(earlier) = self.link.script::<Option<String>>("account", &take).await? else {
            self.release(account, username.key()).await?;
            return Err(corrupt("account", &"the account that claims a name is gone"));
        };
        let mut last = self.scripts.renew_name.key(keys::name_of(username));
        last.arg(account.as_str()).arg(ttl(self.retention.account_ttl));
        self.link.script::<i64>("name", &last).await?;
        if !earlier.is_empty() && earlier != username.key() {
            self.release(account, &earlier).await?;
        }
        Ok(Claim::Claimed)
    }

    async fn add_device(&self, account: &AccountId, device: &DeviceId, keys: &DeviceKeys) -> Result<DeviceChange> {
        let prefix = keys::of(account);
        let mut add = self.scripts.add_device.key(prefix.clone() + "account");
        add.key(prefix + "devices").arg(device.as_str()).arg(encode("devices", keys)?).arg(MAX_DEVICES);
        match self.link.script::<String>("devices", &add).await?.as_str() {
            "added" => Ok(DeviceChange::Added),
            "unchanged" => Ok(DeviceChange::Unchanged),
            "conflict" => Ok(DeviceChange::Conflict),
            "too many" => Ok(DeviceChange::TooMany),
            _ => Err(corrupt("account", &"the account that adds a device is gone")),
        }
    }

    async fn remove_device(&self, account: &AccountId, device: &DeviceId) -> Result<bool> {
        let remove = redis::cmd("HDEL").arg(keys::of(account) + "devices").arg(device.as_str()).clone();
        self.link.command("devices", &remove).await
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<Device>> {
        let get = redis::cmd("HGETALL").arg(keys::of(account) + "devices").clone();
        let found: Vec<(String, String)> = self.link.command("devices", &get).await?;
        let mut devices = found.into_iter().map(device_from).collect::<Result<Vec<_>>>()?;
        devices.sort_by_key(|(number, _)| *number);
        Ok(devices.into_iter().map(|(_, device)| device).collect())
    }
}

impl RedisStore {
    /// True when the account exists now.
    pub(super) async fn account_exists(&self, account: &AccountId) -> Result<bool> {
        self.link.command("account", redis::cmd("EXISTS").arg(keys::of(account) + "account")).await
    }

    async fn fields(&self, account: &AccountId) -> Result<Fields> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::of(account) + "account").arg(&["id", "username", "name_key"]);
        self.link.command("account", &get).await
    }

    /// Reserves a name. One whose holder has expired is free.
    async fn reserve(&self, account: &AccountId, username: &Username) -> Result<bool> {
        let reservation = ttl(RESERVATION.min(self.retention.account_ttl));
        for _ in 0..2 {
            let mut claim = self.scripts.claim_name.key(keys::name_of(username));
            claim.arg(account.as_str()).arg(reservation);
            let holder: String = self.link.script("name", &claim).await?;
            if holder.is_empty() {
                return Ok(true);
            }
            let holder: AccountId = parsed("name", holder)?;
            if self.account_exists(&holder).await? {
                return Ok(false);
            }
            self.release(&holder, username.key()).await?;
        }
        Ok(false)
    }

    async fn release(&self, account: &AccountId, key: &str) -> Result<()> {
        let mut release = self.scripts.release_name.key(keys::name(key));
        self.link.script::<i64>("name", release.arg(account.as_str())).await?;
        Ok(())
    }
}

fn account_from((id, username, _): Fields) -> Result<Option<Account>> {
    let Some(id) = id else { return Ok(None) };
    Ok(Some(Account { id: parsed("account", id)?, username }))
}

/// `<number> <created> <keys>`
fn device_from((device, kept): (String, String)) -> Result<(u64, Device)> {
    let mut parts = kept.splitn(3, ' ');
    let number = parts.next().and_then(|number| number.parse().ok());
    let created = parts.next().and_then(|created| created.parse().ok());
    let (Some(number), Some(created), Some(keys)) = (number, created, parts.next()) else {
        return Err(corrupt("devices", &"expected a number, a time and keys"));
    };
    let device =
        Device { device: parsed("devices", device)?, keys: decode("devices", keys)?, created_at: rfc3339(created) };
    Ok((number, device))
}
