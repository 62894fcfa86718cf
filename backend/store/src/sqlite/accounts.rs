//! Accounts and their credentials in SQLite.

use async_trait::async_trait;
use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};
use rusqlite::{Transaction, params};

use super::account_rows::{account_row, find};
use super::statement::{execute, one};
use super::{SqliteStore, devices, names};
use crate::Retention;
use crate::accounts::{
    Access, Account, Accounts, Claim, CredentialHash, DeviceChange, NewAccount, Opening, Removal,
};
use crate::allowance::{Allowance, Allowances, Wait, pseudonym, secret};
use crate::broker::Topic;
use crate::codec::{corrupt, millis, now};
use crate::error::Result;
use crate::username::Username;

#[async_trait]
impl Accounts for SqliteStore {
    async fn open_account(&self, new: &NewAccount) -> Result<Opening> {
        let (new, retention) = (new.clone(), self.retention.clone());
        self.write(move |tx| open(tx, &new, &retention)).await
    }

    async fn access(&self, credential: &CredentialHash) -> Result<Access> {
        let credential = *credential;
        let (now, ttl) = (now(), millis(self.retention.account_ttl));
        let found = self
            .read(move |tx| {
                one(
                    tx,
                    "SELECT id, username, expires, opened_only, removed FROM accounts JOIN credentials ON account = id
                     WHERE hash = ?1 AND expires > ?2",
                    params![credential.0, now],
                    |row| {
                        Ok((account_row(row)?, row.get::<_, i64>(2)?, row.get::<_, bool>(3)?, row.get::<_, bool>(4)?))
                    },
                )
            })
            .await?;
        let Some((account, expires, opened_only, removed)) = found else {
            return Ok(Access::Unknown);
        };
        if removed {
            return Ok(Access::Removed);
        }
        // Most requests only read: the expiry is renewed once it has moved by a hundredth of the
        // retention.
        if !opened_only && expires < now + ttl - ttl / 100 {
            let id = account.id.clone();
            self.write(move |tx| {
                execute(
                    tx,
                    "UPDATE accounts SET expires = ?2 WHERE id = ?1",
                    params![id.as_str(), now + ttl],
                )
            })
            .await?;
        }
        Ok(Access::Account(account))
    }

    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()> {
        let credential = *credential;
        self.write(move |tx| {
            execute(tx, "DELETE FROM credentials WHERE hash = ?1", params![credential.0])
        })
        .await?;
        Ok(())
    }

    async fn account(&self, account: &AccountId) -> Result<Option<Account>> {
        let account = account.clone();
        self.read(move |tx| find(tx, "id = ?1", params![account.as_str(), now()])).await
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>> {
        let username = username.clone();
        self.read(move |tx| find(tx, "name_key = ?1", params![username.key(), now()])).await
    }

    async fn claim_username(&self, account: &AccountId, username: &Username) -> Result<Claim> {
        let (account, username, retention) =
            (account.clone(), username.clone(), self.retention.clone());
        let (claim, concerned) =
            self.write(move |tx| names::claim(tx, &account, &username, &retention)).await?;
        concerned.into_iter().for_each(|account| self.wake(&Topic::Inbox(account)));
        Ok(claim)
    }

    async fn add_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        keys: &DeviceKeys,
        by: &CredentialHash,
    ) -> Result<DeviceChange> {
        let (account, device, keys, by) = (account.clone(), device.clone(), keys.clone(), *by);
        let retention = self.retention.clone();
        self.write(move |tx| devices::add(tx, &account, &device, &keys, &by, &retention)).await
    }

    async fn use_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
    ) -> Result<bool> {
        let (account, device, by) = (account.clone(), device.clone(), *by);
        let bound = {
            let (account, device) = (account.clone(), device.clone());
            self.read(move |tx| devices::is_bound(tx, &account, &device, &by)).await?
        };
        // A device usually uses the same credential as before.
        if bound {
            Ok(true)
        } else {
            self.write(move |tx| devices::bind_credential(tx, &account, &device, &by)).await
        }
    }

    async fn remove_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
        fresh: &CredentialHash,
    ) -> Result<Removal> {
        let (account, device, by, fresh) = (account.clone(), device.clone(), *by, *fresh);
        self.write(move |tx| devices::remove(tx, &account, &device, &by, &fresh)).await
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<Device>> {
        let account = account.clone();
        self.read(move |tx| devices::list(tx, &account)).await
    }
}

#[async_trait]
impl Allowances for SqliteStore {
    async fn spend(&self, allowance: &Allowance) -> Result<Option<Wait>> {
        let allowance = allowance.clone();
        self.write(move |tx| spend(tx, &allowance)).await
    }
}

fn open(tx: &Transaction<'_>, new: &NewAccount, retention: &Retention) -> Result<Opening> {
    if let Some(username) = &new.username {
        match names::refusal(tx, &new.id, username, retention)? {
            None => {}
            Some(Claim::HeldBack) => return Ok(Opening::HeldBack),
            Some(_) => return Ok(Opening::Taken),
        }
    }
    if let Some(allowance) = &new.allowance
        && let Some(wait) = spend(tx, allowance)?
    {
        return Ok(Opening::OverAllowance(wait));
    }
    let (id, now) = (new.id.as_str(), now());
    execute(
        tx,
        "INSERT INTO accounts (id, expires, opened_only) VALUES (?1, ?2, 1)
         ON CONFLICT (id) DO UPDATE SET expires = ?2, opened_only = 1 WHERE expires <= ?3",
        params![id, now + millis(retention.opened_ttl.min(retention.account_ttl)), now],
    )?;
    execute(
        tx,
        "INSERT INTO credentials (hash, account) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING",
        params![new.credential.0, id],
    )?;
    if let Some(username) = &new.username
        && !matches!(names::claim(tx, &new.id, username, retention)?, (Claim::Claimed { .. }, _))
    {
        return Err(corrupt("accounts", &"a name was taken between check and claim"));
    }
    Ok(Opening::Opened)
}

/// Counts one request against its network's allowance; returns the time to wait when that is used
/// up.
fn spend(tx: &Transaction<'_>, allowance: &Allowance) -> Result<Option<Wait>> {
    execute(
        tx,
        "INSERT INTO secrets (name, value) VALUES ('places', ?1) ON CONFLICT (name) DO NOTHING",
        params![secret()],
    )?;
    let sql = "SELECT value FROM secrets WHERE name = 'places'";
    let secret = one(tx, sql, [], |row| Ok(row.get::<_, String>(0)?))?
        .expect("the secret was inserted above");
    let place = pseudonym(&secret, &allowance.place);
    let sql = "SELECT spent_until FROM allowances WHERE place = ?1";
    let spent = one(tx, sql, params![place], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0);
    match allowance.spend(spent, now()) {
        Err(wait) => Ok(Some(wait)),
        Ok(spent) => {
            execute(
                tx,
                "INSERT INTO allowances (place, spent_until) VALUES (?1, ?2)
                 ON CONFLICT (place) DO UPDATE SET spent_until = ?2",
                params![place, spent],
            )?;
            Ok(None)
        }
    }
}
