//! Identities and device logs in Redis.
//!
//! An identity and its log are in the slot of the account, so storing and appending are one script
//! each. The recovery hash has its own key with the account's id. It is written first, and counts
//! only while the identity has the same hash, so a crash in between leaves a key that finds
//! nothing. Using the account extends it.

use async_trait::async_trait;
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::identity::SignedEntry;
use backend_protocol::limits::{MAX_DEVICES, MAX_LOG_ENTRIES};

use super::accounts::account_from;
use super::{RedisStore, keys, ttl};
use crate::accounts::{CredentialHash, MAX_DEVICES_REMOVED};
use crate::codec::{corrupt, decode, encode, parsed};
use crate::error::Result;
use crate::identities::{
    Append, Identities, Identity, IdentityChange, NewIdentity, Recovery, RecoveryHash,
};

/// What `append_entry.lua` returned.
pub(super) enum Appending {
    Log(Append),
    /// The device of the approval was removed.
    Removed,
    /// The account has too many devices.
    TooMany,
}

/// A device that a link approves.
pub(super) struct Approving<'a> {
    pub(super) device: &'a DeviceId,
    /// True when the link has approved it before.
    pub(super) again: bool,
}

#[async_trait]
impl Identities for RedisStore {
    async fn put_identity(&self, account: &AccountId, new: &NewIdentity) -> Result<IdentityChange> {
        if let Some(replicas) = &self.replicas {
            return replicas.acknowledged(|store| store.put_identity(account, new)).await;
        }
        let recovery = hex::encode(new.recovery.0);
        let kept = ttl(self.retention.account_ttl);
        let mut reserve = redis::cmd("SET");
        reserve.arg(keys::recovery(&recovery)).arg(account.as_str());
        reserve.arg("NX").arg("GET").arg("PX").arg(kept);
        let holder: Option<String> = self.connection.command("recovery", &reserve).await?;
        if holder.is_some_and(|holder| holder != account.as_str()) {
            return Ok(IdentityChange::RecoveryTaken);
        }
        let mut put = self.of_account(&self.scripts.put_identity, account);
        put.arg(&new.identity_key).arg(&new.sealed).arg(&recovery);
        put.arg(encode("device log", &new.entry)?);
        put.arg(new.replaces.as_deref().unwrap_or_default()).arg(kept);
        let (outcome, before): (String, String) = self.connection.script("identity", &put).await?;
        let change = match outcome.as_str() {
            "stored" => IdentityChange::Stored,
            "unchanged" => IdentityChange::Unchanged,
            "conflict" => IdentityChange::Conflict,
            _ => {
                let reason = "the account that stores an identity does not exist";
                return Err(corrupt("account", &reason));
            }
        };
        let unused = if change == IdentityChange::Conflict { &recovery } else { &before };
        let current = if change == IdentityChange::Conflict { &before } else { &recovery };
        if !unused.is_empty() && unused != current {
            let delete = redis::cmd("DEL").arg(keys::recovery(unused)).clone();
            self.connection.command::<i64>("recovery", &delete).await?;
        }
        if change != IdentityChange::Conflict {
            self.settle(account).await?;
        }
        Ok(change)
    }

    async fn append_entry(
        &self,
        account: &AccountId,
        version: u64,
        entry: &SignedEntry,
    ) -> Result<Append> {
        if let Some(replicas) = &self.replicas {
            return replicas
                .acknowledged(|store| store.append_entry(account, version, entry))
                .await;
        }
        match self.append_to_log(account, version, entry, None).await? {
            Appending::Log(outcome) => Ok(outcome),
            Appending::Removed | Appending::TooMany => {
                Err(corrupt("device log", &"an append without a device was rejected for one"))
            }
        }
    }

    async fn identity(&self, account: &AccountId) -> Result<Option<Identity>> {
        let prefix = keys::of(account);
        let mut read = self.scripts.read_identity.key(prefix.clone() + "account");
        read.key(prefix.clone() + "identity").key(prefix + "log");
        let found: Vec<String> = self.connection.script("identity", &read).await?;
        let mut found = found.into_iter();
        let Some(identity_key) = found.next() else { return Ok(None) };
        let log = found.map(|entry| decode("device log", &entry)).collect::<Result<_>>()?;
        Ok(Some(Identity { identity_key, log }))
    }

    async fn recover(
        &self,
        recovery: &RecoveryHash,
        credential: &CredentialHash,
    ) -> Result<Option<Recovery>> {
        let recovery = hex::encode(recovery.0);
        let get = redis::cmd("GET").arg(keys::recovery(&recovery)).clone();
        let Some(id) = self.connection.command::<Option<String>>("recovery", &get).await? else {
            return Ok(None);
        };
        let id: AccountId = parsed("recovery", id)?;
        let mut get = redis::cmd("HMGET");
        get.arg(keys::of(&id) + "identity").arg(&["key", "sealed", "recovery"]);
        let (key, sealed, current): (Option<String>, Option<String>, Option<String>) =
            self.connection.command("identity", &get).await?;
        let (Some(identity_key), Some(sealed)) = (key, sealed) else { return Ok(None) };
        let Some(account) = account_from(self.fields(&id).await?)? else { return Ok(None) };
        // The key of an identity that was replaced, or never stored.
        if current.as_deref() != Some(recovery.as_str()) {
            return Ok(None);
        }
        self.add_credential(&id, credential).await?;
        Ok(Some(Recovery { account, identity_key, sealed }))
    }
}

impl RedisStore {
    /// Appends an entry; with a device that a link approves, in the same step.
    pub(super) async fn append_to_log(
        &self,
        account: &AccountId,
        version: u64,
        entry: &SignedEntry,
        approving: Option<Approving<'_>>,
    ) -> Result<Appending> {
        let mut append = self.of_account(&self.scripts.append_entry, account);
        append.arg(version).arg(encode("device log", entry)?).arg(MAX_LOG_ENTRIES);
        if let Some(Approving { device, again }) = approving {
            append.arg(device.as_str()).arg(i32::from(again));
            append.arg(MAX_DEVICES).arg(MAX_DEVICES_REMOVED);
        }
        let (outcome, newest): (String, u64) =
            self.connection.script("device log", &append).await?;
        Ok(Appending::Log(match outcome.as_str() {
            "appended" => Append::Appended,
            "unchanged" => Append::Unchanged,
            "no identity" => Append::NoIdentity,
            "full" => Append::Full,
            "removed" => return Ok(Appending::Removed),
            "too many" => return Ok(Appending::TooMany),
            _ => Append::Conflict { newest },
        }))
    }

    /// Adds a credential to an account.
    pub(super) async fn add_credential(
        &self,
        account: &AccountId,
        credential: &CredentialHash,
    ) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(keys::credential(credential)).arg(account.as_str());
        set.arg("PX").arg(ttl(self.retention.account_ttl));
        self.connection.command("credential", &set).await
    }
}
