//! Accounts and their credentials in Redis.
//!
//! An account, a credential and a name are in three slots. Opening an account writes the account
//! first, then the credential that opens it, then the name; a refused name removes both again. A
//! crash in between leaves an account that was only opened, and expires. Removed credentials are
//! stored with the account, so that removing a device is one script. Names: `names.rs`; devices:
//! `devices.rs`.

use async_trait::async_trait;
use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};
use futures::future::{try_join, try_join_all};

use super::{RedisStore, keys, ttl};
use crate::accounts::{
    Access, Account, Accounts, Claim, CredentialHash, DeviceChange, NewAccount, Opening, Removal,
};
use crate::allowance::{Allowance, Allowances, Wait, pseudonym, secret, wait};
use crate::codec::parsed;
use crate::error::Result;
use crate::username::Username;

/// The account's fields: id, username, name key.
pub(super) type Fields = (Option<String>, Option<String>, Option<String>);

/// From `use_account.lua`: id, username, name key, state, recovery hash.
type Used = (Option<String>, Option<String>, Option<String>, String, Option<String>);

/// The secret of pseudonyms.
const PLACES: &str = "{places}:secret";

#[async_trait]
impl Accounts for RedisStore {
    async fn open_account(&self, new: &NewAccount) -> Result<Opening> {
        if let Some(username) = &new.username {
            match self.refusal(&new.id, username).await? {
                None => {}
                Some(Claim::HeldBack) => return Ok(Opening::HeldBack),
                Some(_) => return Ok(Opening::Taken),
            }
        }
        if let Some(allowance) = &new.allowance
            && let Some(wait) = self.spend(allowance).await?
        {
            return Ok(Opening::OverAllowance(wait));
        }
        let kept = ttl(self.retention.opened_ttl.min(self.retention.account_ttl));
        let (account, credential) =
            (keys::of(&new.id) + "account", keys::credential(&new.credential));
        let mut create = self.scripts.create_account.key(&account);
        create.arg(new.id.as_str()).arg(kept).arg(hex::encode(new.credential.0));
        self.connection.script::<i64>("account", &create).await?;
        let mut set = redis::cmd("SET");
        set.arg(&credential).arg(new.id.as_str()).arg("NX").arg("PX").arg(kept);
        self.connection.command::<Option<String>>("credential", &set).await?;
        let Some(username) = &new.username else { return Ok(Opening::Opened) };
        let refused = match self.claim_username(&new.id, username).await? {
            Claim::Claimed { .. } => return Ok(Opening::Opened),
            Claim::HeldBack => Opening::HeldBack,
            Claim::Taken | Claim::TooMany => Opening::Taken,
        };
        // Another account took the name in between.
        let (credential, account) =
            (redis::cmd("DEL").arg(credential).clone(), redis::cmd("DEL").arg(account).clone());
        self.connection.command::<i64>("credential", &credential).await?;
        self.connection.command::<i64>("account", &account).await?;
        Ok(refused)
    }

    async fn access(&self, credential: &CredentialHash) -> Result<Access> {
        let key = keys::credential(credential);
        let Some(id) = self
            .connection
            .command::<Option<String>>("credential", redis::cmd("GET").arg(&key))
            .await?
        else {
            return Ok(Access::Unknown);
        };
        let id: AccountId = parsed("credential", id)?;
        let kept = ttl(self.retention.account_ttl);
        let mut read = self.of_account(&self.scripts.use_account, &id);
        read.arg(hex::encode(credential.0)).arg(kept);
        let (found, username, name_key, state, recovery): Used =
            self.connection.script("account", &read).await?;
        if found.is_some() && state == "removed" {
            return Ok(Access::Removed);
        }
        if found.is_some() && state.is_empty() {
            let mut kept_longer = vec![key];
            kept_longer.extend(recovery.as_deref().map(keys::recovery));
            let renewals: Vec<_> = kept_longer
                .iter()
                .map(|key| redis::cmd("PEXPIRE").arg(key).arg(kept).clone())
                .collect();
            let renewing = try_join_all(
                renewals.iter().map(|renew| self.connection.command::<i64>("account", renew)),
            );
            let name = async {
                match &name_key {
                    Some(name_key) => self.renew_name(&id, name_key, false).await,
                    None => Ok(()),
                }
            };
            try_join(renewing, name).await?;
        }
        Ok(account_from((found, username, name_key))?.map_or(Access::Unknown, Access::Account))
    }

    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()> {
        self.connection
            .command::<i64>("credential", redis::cmd("DEL").arg(keys::credential(credential)))
            .await?;
        Ok(())
    }

    async fn account(&self, account: &AccountId) -> Result<Option<Account>> {
        account_from(self.fields(account).await?)
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>> {
        self.holder(username).await
    }

    async fn claim_username(&self, account: &AccountId, username: &Username) -> Result<Claim> {
        self.claim(account, username).await
    }

    async fn add_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        keys: &DeviceKeys,
        by: &CredentialHash,
    ) -> Result<DeviceChange> {
        if let Some(replicas) = &self.replicas {
            return replicas
                .acknowledged(|store| store.add_device(account, device, keys, by))
                .await;
        }
        let change = self.register(account, device, keys, by).await?;
        if change == DeviceChange::Added {
            self.settle(account).await?;
        }
        Ok(change)
    }

    async fn use_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
    ) -> Result<bool> {
        let mut call = self.of_account(&self.scripts.use_device, account);
        call.arg(device.as_str()).arg(hex::encode(by.0));
        self.connection.script("devices", &call).await
    }

    async fn remove_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
        fresh: &CredentialHash,
    ) -> Result<Removal> {
        let kept = ttl(self.retention.account_ttl);
        // First, so that the caller has a valid credential whatever fails after the removal.
        let mut set = redis::cmd("SET");
        set.arg(keys::credential(fresh)).arg(account.as_str()).arg("PX").arg(kept);
        self.connection.command::<()>("credential", &set).await?;
        let mut remove = self.of_account(&self.scripts.remove_device, account);
        remove.arg(device.as_str()).arg(hex::encode(by.0)).arg(kept);
        let mut outcome =
            self.connection.script::<Vec<String>>("devices", &remove).await?.into_iter();
        let removal = match outcome.next().as_deref() {
            Some("removed") => Removal::Removed { replaced: false },
            Some("replaced") => Removal::Removed { replaced: true },
            Some("refused") => Removal::Refused,
            _ => Removal::NotFound,
        };
        // The keys of the removed credentials stay as long as their removal is stored.
        let mut after: Vec<_> = outcome
            .map(|hash| redis::cmd("PEXPIRE").arg(keys::credential_of(&hash)).arg(kept).clone())
            .collect();
        if removal != (Removal::Removed { replaced: true }) {
            after.push(redis::cmd("DEL").arg(keys::credential(fresh)).clone());
        }
        // The removal is committed: a failure here only leaves keys that expire.
        if let Err(error) = try_join_all(
            after.iter().map(|each| self.connection.command::<i64>("credential", each)),
        )
        .await
        {
            tracing::warn!(
                %error,
                "cannot clean up after a removed device: its keys stay until they expire"
            );
        }
        Ok(removal)
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<Device>> {
        self.list_devices(account).await
    }
}

impl RedisStore {
    /// True when the account exists.
    pub(super) async fn account_exists(&self, account: &AccountId) -> Result<bool> {
        self.connection
            .command("account", redis::cmd("EXISTS").arg(keys::of(account) + "account"))
            .await
    }

    pub(super) async fn fields(&self, account: &AccountId) -> Result<Fields> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::of(account) + "account").arg(&["id", "username", "name_key"]);
        self.connection.command("account", &get).await
    }

    /// Extends an account after its first write. Extends its credential first, so that a crash in
    /// between is repaired by the next write.
    pub(super) async fn settle(&self, account: &AccountId) -> Result<()> {
        let key = keys::of(account) + "account";
        let kept = ttl(self.retention.account_ttl);
        let read = redis::cmd("HGET").arg(&key).arg("opened_by").clone();
        let Some(credential) = self.connection.command::<Option<String>>("account", &read).await?
        else {
            return Ok(());
        };
        let renew = redis::cmd("PEXPIRE").arg(keys::credential_of(&credential)).arg(kept).clone();
        self.connection.command::<i64>("credential", &renew).await?;
        let mut settle = self.of_account(&self.scripts.settle_account, account);
        self.connection.script::<i64>("account", settle.arg(kept)).await?;
        Ok(())
    }
}

#[async_trait]
impl Allowances for RedisStore {
    async fn spend(&self, allowance: &Allowance) -> Result<Option<Wait>> {
        let new = secret();
        let mut set = redis::cmd("SET");
        set.arg(PLACES)
            .arg(&new)
            .arg("NX")
            .arg("GET")
            .arg("PX")
            .arg(ttl(self.retention.account_ttl));
        let kept =
            self.connection.command::<Option<String>>("allowance", &set).await?.unwrap_or(new);
        let mut spend =
            self.scripts.spend.key(keys::allowance(&pseudonym(&kept, &allowance.place)));
        spend.arg(allowance.cost()).arg(allowance.capacity());
        let millis: i64 = self.connection.script("allowance", &spend).await?;
        Ok((millis > 0).then(|| wait(millis)))
    }
}

pub(super) fn account_from((id, username, _): Fields) -> Result<Option<Account>> {
    let Some(id) = id else { return Ok(None) };
    Ok(Some(Account { id: parsed("account", id)?, username }))
}
