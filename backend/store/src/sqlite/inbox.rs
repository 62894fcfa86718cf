//! The inbox of one account in SQLite: positions without gaps, trimmed from the oldest.

use backend_protocol::id::AccountId;
use backend_protocol::live::InboxEvent;
use rusqlite::{Transaction, params};

use super::statement::{all, bind, count, execute, one};
use crate::Retention;
use crate::codec::{decode, encode, millis, now};
use crate::error::Result;
use crate::mailboxes::InboxPage;

/// Appends an event that does not expire. Returns its position.
pub(super) fn append_event(
    tx: &Transaction<'_>,
    account: &AccountId,
    event: &InboxEvent,
    retention: &Retention,
) -> Result<u64> {
    append(tx, account, event, None, retention)
}

/// Appends an event that is erased at `expires`, trims the oldest and returns the event's position.
pub(super) fn append(
    tx: &Transaction<'_>,
    account: &AccountId,
    event: &InboxEvent,
    expires: Option<i64>,
    retention: &Retention,
) -> Result<u64> {
    let (account, now) = (account.as_str(), now());
    execute(
        tx,
        "DELETE FROM inbox_events WHERE account = (SELECT account FROM inboxes WHERE account = ?1 AND expires <= ?2)",
        params![account, now],
    )?;
    let position = one(
        tx,
        "INSERT INTO inboxes (account, head, expires) VALUES (?1, 1, ?2)
         ON CONFLICT (account) DO UPDATE SET head = head + 1, expires = ?2 RETURNING head",
        params![account, now + millis(retention.mailbox_ttl)],
        |row| count(row, 0),
    )?
    .expect("an upsert returns its row");
    let (conversation, sender, seq) = match event {
        InboxEvent::Message(message) => (
            Some(message.conversation.as_str()),
            Some(message.sender.as_str()),
            Some(bind(message.seq)),
        ),
        InboxEvent::Receipt { .. } | InboxEvent::KeyChange { .. } | InboxEvent::Renamed { .. } => {
            (None, None, None)
        }
    };
    execute(
        tx,
        "INSERT INTO inbox_events (account, position, conversation, sender, seq, body, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            account,
            bind(position),
            conversation,
            sender,
            seq,
            encode("inbox_events.body", event)?,
            expires
        ],
    )?;
    execute(
        tx,
        "DELETE FROM inbox_events WHERE account = ?1 AND position <= ?2",
        params![account, bind(position) - i64::from(retention.inbox_events)],
    )?;
    Ok(position)
}

/// Events after a position.
pub(super) fn page(
    tx: &Transaction<'_>,
    account: &AccountId,
    after: u64,
    limit: usize,
) -> Result<InboxPage> {
    let (account, now) = (account.as_str(), now());
    let sql = "SELECT head, expires > ?2 FROM inboxes WHERE account = ?1";
    let state =
        one(tx, sql, params![account, now], |row| Ok((count(row, 0)?, row.get::<_, bool>(1)?)))?;
    let (head, kept) = state.unwrap_or((0, false));
    if !kept {
        return Ok(InboxPage { events: Vec::new(), first: head + 1, head });
    }
    let sql = "SELECT coalesce(min(position), ?2) FROM inbox_events WHERE account = ?1";
    let first = one(tx, sql, params![account, bind(head + 1)], |row| count(row, 0))?
        .expect("an aggregate returns a row");
    let events = all(
        tx,
        "SELECT position, body FROM inbox_events WHERE account = ?1 AND position > ?2
         AND body <> '' AND (expires IS NULL OR expires > ?3) ORDER BY position LIMIT ?4",
        params![account, bind(after), now, i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| Ok((count(row, 0)?, decode("inbox_events.body", &row.get::<_, String>(1)?)?)),
    )?;
    Ok(InboxPage { events, first, head })
}
