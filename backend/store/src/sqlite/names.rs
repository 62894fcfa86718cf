//! Usernames in SQLite: each account has at most one; names it gave up stay reserved for it.

use backend_protocol::id::AccountId;
use backend_protocol::live::InboxEvent;
use rusqlite::{Transaction, params};

use super::account_rows::settle;
use super::conversations::peers;
use super::inbox::append_event;
use super::statement::{all, count, execute, one};
use crate::Retention;
use crate::accounts::{Claim, MAX_NAMES_GIVEN_UP};
use crate::codec::{corrupt, millis, now, parsed};
use crate::error::Result;
use crate::username::Username;

/// Why this account cannot claim this name, if so.
pub(super) fn refusal(
    tx: &Transaction<'_>,
    me: &AccountId,
    username: &Username,
    retention: &Retention,
) -> Result<Option<Claim>> {
    let now = now();
    let sql = "SELECT expires FROM accounts WHERE name_key = ?1 AND id <> ?2";
    let holder =
        one(tx, sql, params![username.key(), me.as_str()], |row| Ok(row.get::<_, i64>(0)?))?;
    match holder {
        Some(expires) if expires > now => return Ok(Some(Claim::Taken)),
        // Expired but not swept: given up at its expiry.
        Some(expires) if expires.saturating_add(millis(retention.name_hold)) > now => {
            return Ok(Some(Claim::HeldBack));
        }
        Some(_) | None => {}
    }
    let sql = "SELECT 1 FROM names_given_up WHERE name_key = ?1 AND account <> ?2 AND until > ?3";
    let held = one(tx, sql, params![username.key(), me.as_str(), now], |_| Ok(()))?;
    Ok(held.map(|()| Claim::HeldBack))
}

/// Claims a name, appends the event for the accounts concerned and returns these accounts.
pub(super) fn claim(
    tx: &Transaction<'_>,
    me: &AccountId,
    username: &Username,
    retention: &Retention,
) -> Result<(Claim, Vec<AccountId>)> {
    if let Some(refusal) = refusal(tx, me, username, retention)? {
        return Ok((refusal, Vec::new()));
    }
    let now = now();
    let sql = "SELECT username, name_key FROM accounts WHERE id = ?1 AND expires > ?2";
    let names = one(tx, sql, params![me.as_str(), now], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let Some((previous, earlier)) = names else {
        return Err(corrupt("accounts", &"the account that claims a name does not exist"));
    };
    if let Some(earlier) = earlier.filter(|earlier| earlier != username.key()) {
        let sql = "SELECT count(*) FROM names_given_up WHERE account = ?1 AND until > ?2 AND name_key <> ?3";
        let held = one(tx, sql, params![me.as_str(), now, username.key()], |row| count(row, 0))?;
        if held.expect("count(*) returns a row") >= MAX_NAMES_GIVEN_UP as u64 {
            return Ok((Claim::TooMany, Vec::new()));
        }
        execute(
            tx,
            "INSERT INTO names_given_up (name_key, account, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name_key) DO UPDATE SET account = ?2, until = ?3",
            params![earlier, me.as_str(), now.saturating_add(millis(retention.name_hold))],
        )?;
    }
    execute(tx, "DELETE FROM names_given_up WHERE name_key = ?1", params![username.key()])?;
    // Another account that still has the name has expired.
    execute(
        tx,
        "UPDATE accounts SET username = NULL, name_key = NULL WHERE name_key = ?1 AND id <> ?2",
        params![username.key(), me.as_str()],
    )?;
    execute(
        tx,
        "UPDATE accounts SET username = ?2, name_key = ?3 WHERE id = ?1",
        params![me.as_str(), username.display(), username.key()],
    )?;
    settle(tx, me, retention)?;
    let concerned = if previous.as_deref() == Some(username.display()) {
        Vec::new()
    } else {
        announce(tx, me, username.display(), previous.clone(), retention)?
    };
    Ok((Claim::Claimed { previous }, concerned))
}

/// Appends the rename to the inboxes of the accounts concerned.
fn announce(
    tx: &Transaction<'_>,
    me: &AccountId,
    username: &str,
    previous: Option<String>,
    retention: &Retention,
) -> Result<Vec<AccountId>> {
    let mut concerned = peers(tx, me)?;
    concerned.retain(|peer| peer != me);
    let own = all(
        tx,
        "SELECT account FROM devices WHERE account = ?1 LIMIT 1",
        params![me.as_str()],
        |row| parsed("devices.account", row.get(0)?),
    )?;
    concerned.extend(own);
    let event =
        InboxEvent::Renamed { account: me.clone(), username: username.to_owned(), previous };
    for account in &concerned {
        append_event(tx, account, &event, retention)?;
    }
    Ok(concerned)
}
