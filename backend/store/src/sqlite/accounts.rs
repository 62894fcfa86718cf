//! Accounts, names and devices in SQLite.

use async_trait::async_trait;
use backend_protocol::api::Device;
use backend_protocol::api::DeviceKeys;
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::MAX_DEVICES;
use rusqlite::{Params, Transaction, params};

use super::SqliteStore;
use super::statement::{all, count, execute, one};
use crate::accounts::{Account, Accounts, Claim, CredentialHash, DeviceChange};
use crate::codec::{corrupt, decode, encode, millis, now, parsed, rfc3339};
use crate::error::Result;
use crate::username::Username;

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_account(&self, account: &AccountId, credential: &CredentialHash) -> Result<()> {
        let (account, credential) = (account.clone(), *credential);
        let expires = now() + millis(self.retention.account_ttl);
        self.write(move |tx| {
            execute(
                tx,
                "INSERT INTO accounts (id, expires) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET expires = ?2",
                params![account.as_str(), expires],
            )?;
            execute(
                tx,
                "INSERT INTO credentials (hash, account) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING",
                params![credential.0, account.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    async fn account_by_credential(&self, credential: &CredentialHash) -> Result<Option<Account>> {
        let credential = *credential;
        let (now, ttl) = (now(), millis(self.retention.account_ttl));
        let found = self
            .read(move |tx| {
                one(
                    tx,
                    "SELECT id, username, expires FROM accounts JOIN credentials ON account = id
                     WHERE hash = ?1 AND expires > ?2",
                    params![credential.0, now],
                    |row| Ok((account_row(row)?, row.get::<_, i64>(2)?)),
                )
            })
            .await?;
        let Some((account, expires)) = found else { return Ok(None) };
        // Most requests only read: the expiry is moved once it is a hundredth of its length behind.
        if expires < now + ttl - ttl / 100 {
            let id = account.id.clone();
            self.write(move |tx| {
                execute(tx, "UPDATE accounts SET expires = ?2 WHERE id = ?1", params![id.as_str(), now + ttl])
            })
            .await?;
        }
        Ok(Some(account))
    }

    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()> {
        let credential = *credential;
        self.write(move |tx| execute(tx, "DELETE FROM credentials WHERE hash = ?1", params![credential.0])).await?;
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
        let (account, username) = (account.clone(), username.clone());
        self.write(move |tx| claim(tx, &account, &username)).await
    }

    async fn add_device(&self, account: &AccountId, device: &DeviceId, keys: &DeviceKeys) -> Result<DeviceChange> {
        let (account, device, keys) = (account.clone(), device.clone(), keys.clone());
        self.write(move |tx| add_device(tx, &account, &device, &keys)).await
    }

    async fn remove_device(&self, account: &AccountId, device: &DeviceId) -> Result<bool> {
        let (account, device) = (account.clone(), device.clone());
        self.write(move |tx| {
            let sql = "DELETE FROM devices WHERE account = ?1 AND device = ?2";
            Ok(execute(tx, sql, params![account.as_str(), device.as_str()])? > 0)
        })
        .await
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<Device>> {
        let account = account.clone();
        self.read(move |tx| {
            all(
                tx,
                "SELECT device, keys, created FROM devices JOIN accounts ON accounts.id = account
                 WHERE account = ?1 AND expires > ?2 ORDER BY n",
                params![account.as_str(), now()],
                |row| {
                    Ok(Device {
                        device: parsed("devices.device", row.get(0)?)?,
                        keys: decode("devices.keys", &row.get::<_, String>(1)?)?,
                        created_at: rfc3339(row.get(2)?),
                    })
                },
            )
        })
        .await
    }
}

/// True when the account exists now.
pub(super) fn exists(tx: &Transaction<'_>, account: &AccountId) -> Result<bool> {
    Ok(find(tx, "id = ?1", params![account.as_str(), now()])?.is_some())
}

fn find(tx: &Transaction<'_>, by: &str, params: impl Params) -> Result<Option<Account>> {
    one(tx, &format!("SELECT id, username FROM accounts WHERE {by} AND expires > ?2"), params, account_row)
}

fn account_row(row: &rusqlite::Row<'_>) -> Result<Account> {
    Ok(Account { id: parsed("accounts.id", row.get(0)?)?, username: row.get(1)? })
}

fn claim(tx: &Transaction<'_>, account: &AccountId, username: &Username) -> Result<Claim> {
    let holder = find(tx, "name_key = ?1", params![username.key(), now()])?;
    if holder.is_some_and(|holder| holder.id != *account) {
        return Ok(Claim::Taken);
    }
    // Whoever had it otherwise has expired.
    execute(
        tx,
        "UPDATE accounts SET username = NULL, name_key = NULL WHERE name_key = ?1 AND id <> ?2",
        params![username.key(), account.as_str()],
    )?;
    let claimed = execute(
        tx,
        "UPDATE accounts SET username = ?2, name_key = ?3 WHERE id = ?1",
        params![account.as_str(), username.display(), username.key()],
    )?;
    if claimed == 1 { Ok(Claim::Claimed) } else { Err(corrupt("accounts", &"the account that claims a name is gone")) }
}

fn add_device(tx: &Transaction<'_>, account: &AccountId, device: &DeviceId, keys: &DeviceKeys) -> Result<DeviceChange> {
    let known = one(
        tx,
        "SELECT keys FROM devices WHERE account = ?1 AND device = ?2",
        params![account.as_str(), device.as_str()],
        |row| decode::<DeviceKeys>("devices.keys", &row.get::<_, String>(0)?),
    )?;
    if let Some(known) = known {
        return Ok(if known == *keys { DeviceChange::Unchanged } else { DeviceChange::Conflict });
    }
    let held =
        one(tx, "SELECT count(*) FROM devices WHERE account = ?1", params![account.as_str()], |row| count(row, 0))?;
    if held.unwrap_or(0) >= MAX_DEVICES as u64 {
        return Ok(DeviceChange::TooMany);
    }
    if !exists(tx, account)? {
        return Err(corrupt("accounts", &"the account that adds a device is gone"));
    }
    execute(
        tx,
        "INSERT INTO devices (account, device, keys, created) VALUES (?1, ?2, ?3, ?4)",
        params![account.as_str(), device.as_str(), encode("devices.keys", keys)?, now()],
    )?;
    Ok(DeviceChange::Added)
}
