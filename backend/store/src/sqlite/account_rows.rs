//! Rows of accounts, read and renewed by several topics.

use backend_protocol::id::AccountId;
use rusqlite::{Params, Transaction, params};

use super::statement::{execute, one};
use crate::Retention;
use crate::accounts::Account;
use crate::codec::{millis, now, parsed};
use crate::error::Result;

/// True when the account exists now.
pub(super) fn exists(tx: &Transaction<'_>, account: &AccountId) -> Result<bool> {
    Ok(find(tx, "id = ?1", params![account.as_str(), now()])?.is_some())
}

/// The account has written data: it gets the full retention.
pub(super) fn settle(
    tx: &Transaction<'_>,
    account: &AccountId,
    retention: &Retention,
) -> Result<()> {
    execute(
        tx,
        "UPDATE accounts SET opened_only = 0, expires = ?2 WHERE id = ?1 AND opened_only",
        params![account.as_str(), now() + millis(retention.account_ttl)],
    )?;
    Ok(())
}

pub(super) fn find(tx: &Transaction<'_>, by: &str, params: impl Params) -> Result<Option<Account>> {
    one(
        tx,
        &format!("SELECT id, username FROM accounts WHERE {by} AND expires > ?2"),
        params,
        account_row,
    )
}

pub(super) fn account_row(row: &rusqlite::Row<'_>) -> Result<Account> {
    Ok(Account { id: parsed("accounts.id", row.get(0)?)?, username: row.get(1)? })
}
