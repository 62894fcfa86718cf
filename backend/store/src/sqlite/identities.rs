//! Identities and device logs in SQLite.

use async_trait::async_trait;
use backend_protocol::id::AccountId;
use backend_protocol::identity::SignedEntry;
use backend_protocol::limits::MAX_LOG_ENTRIES;
use rusqlite::{Transaction, params};

use super::SqliteStore;
use super::account_rows::{exists, find, settle};
use super::statement::{all, bind, count, execute, one};
use crate::Retention;
use crate::accounts::CredentialHash;
use crate::codec::{corrupt, decode, encode, now, parsed};
use crate::error::Result;
use crate::identities::{
    Append, Identities, Identity, IdentityChange, NewIdentity, Recovery, RecoveryHash,
};

#[async_trait]
impl Identities for SqliteStore {
    async fn put_identity(&self, account: &AccountId, new: &NewIdentity) -> Result<IdentityChange> {
        let (account, new, retention) = (account.clone(), new.clone(), self.retention.clone());
        self.write(move |tx| put(tx, &account, &new, &retention)).await
    }

    async fn append_entry(
        &self,
        account: &AccountId,
        version: u64,
        entry: &SignedEntry,
    ) -> Result<Append> {
        let (account, entry) = (account.clone(), entry.clone());
        self.write(move |tx| append(tx, &account, version, &entry)).await
    }

    async fn identity(&self, account: &AccountId) -> Result<Option<Identity>> {
        let account = account.clone();
        self.read(move |tx| {
            let sql = "SELECT identity_key FROM identities JOIN accounts ON accounts.id = account
                       WHERE account = ?1 AND expires > ?2";
            let key = one(tx, sql, params![account.as_str(), now()], |row| Ok(row.get(0)?))?;
            let Some(identity_key) = key else { return Ok(None) };
            let sql = "SELECT body FROM log_entries WHERE account = ?1 ORDER BY version";
            let log = all(tx, sql, [account.as_str()], |row| {
                decode("log_entries.body", &row.get::<_, String>(0)?)
            })?;
            Ok(Some(Identity { identity_key, log }))
        })
        .await
    }

    async fn recover(
        &self,
        recovery: &RecoveryHash,
        credential: &CredentialHash,
    ) -> Result<Option<Recovery>> {
        let (recovery, credential) = (*recovery, *credential);
        self.write(move |tx| recover(tx, &recovery, &credential)).await
    }
}

fn put(
    tx: &Transaction<'_>,
    account: &AccountId,
    new: &NewIdentity,
    retention: &Retention,
) -> Result<IdentityChange> {
    if !exists(tx, account)? {
        return Err(corrupt("accounts", &"the account that stores an identity does not exist"));
    }
    let sql = "SELECT identity_key, sealed, recovery FROM identities WHERE account = ?1";
    let known = one(tx, sql, [account.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, [u8; 32]>(2)?))
    })?;
    if let Some((key, sealed, recovery)) = &known
        && (key, sealed, recovery) == (&new.identity_key, &new.sealed, &new.recovery.0)
        && entry_at(tx, account, 1)?.as_ref() == Some(&new.entry)
    {
        return Ok(IdentityChange::Unchanged);
    }
    if known.map(|(key, ..)| key) != new.replaces {
        return Ok(IdentityChange::Conflict);
    }
    let sql = "SELECT 1 FROM identities WHERE recovery = ?1 AND account <> ?2";
    if one(tx, sql, params![new.recovery.0, account.as_str()], |_| Ok(()))?.is_some() {
        return Ok(IdentityChange::RecoveryTaken);
    }
    execute(tx, "DELETE FROM identities WHERE account = ?1", [account.as_str()])?;
    execute(
        tx,
        "INSERT INTO identities (account, identity_key, sealed, recovery) VALUES (?1, ?2, ?3, ?4)",
        params![account.as_str(), new.identity_key, new.sealed, new.recovery.0],
    )?;
    insert(tx, account, 1, &new.entry)?;
    settle(tx, account, retention)?;
    Ok(IdentityChange::Stored)
}

/// Appends an entry if `version` comes next.
pub(super) fn append(
    tx: &Transaction<'_>,
    account: &AccountId,
    version: u64,
    entry: &SignedEntry,
) -> Result<Append> {
    let sql = "SELECT count(*) FROM log_entries WHERE account = ?1";
    let newest =
        one(tx, sql, [account.as_str()], |row| count(row, 0))?.expect("count(*) returns a row");
    if newest == 0 {
        return Ok(Append::NoIdentity);
    }
    if entry_at(tx, account, version)?.as_ref() == Some(entry) {
        return Ok(Append::Unchanged);
    }
    if version != newest + 1 {
        return Ok(Append::Conflict { newest });
    }
    if newest >= MAX_LOG_ENTRIES as u64 {
        return Ok(Append::Full);
    }
    insert(tx, account, version, entry)?;
    Ok(Append::Appended)
}

fn entry_at(
    tx: &Transaction<'_>,
    account: &AccountId,
    version: u64,
) -> Result<Option<SignedEntry>> {
    let sql = "SELECT body FROM log_entries WHERE account = ?1 AND version = ?2";
    one(tx, sql, params![account.as_str(), bind(version)], |row| {
        decode("log_entries.body", &row.get::<_, String>(0)?)
    })
}

fn insert(
    tx: &Transaction<'_>,
    account: &AccountId,
    version: u64,
    entry: &SignedEntry,
) -> Result<()> {
    execute(
        tx,
        "INSERT INTO log_entries (account, version, body) VALUES (?1, ?2, ?3)",
        params![account.as_str(), bind(version), encode("log_entries.body", entry)?],
    )?;
    Ok(())
}

fn recover(
    tx: &Transaction<'_>,
    recovery: &RecoveryHash,
    credential: &CredentialHash,
) -> Result<Option<Recovery>> {
    let sql = "SELECT account, identity_key, sealed FROM identities WHERE recovery = ?1";
    let found = one(tx, sql, params![recovery.0], |row| {
        let id = parsed::<AccountId>("identities.account", row.get(0)?)?;
        Ok((id, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let Some((id, identity_key, sealed)) = found else { return Ok(None) };
    let Some(account) = find(tx, "id = ?1", params![id.as_str(), now()])? else {
        return Ok(None);
    };
    add_credential(tx, &id, credential)?;
    Ok(Some(Recovery { account, identity_key, sealed }))
}

/// Adds a credential to an account.
pub(super) fn add_credential(
    tx: &Transaction<'_>,
    account: &AccountId,
    credential: &CredentialHash,
) -> Result<()> {
    execute(
        tx,
        "INSERT INTO credentials (hash, account) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING",
        params![credential.0, account.as_str()],
    )?;
    Ok(())
}
