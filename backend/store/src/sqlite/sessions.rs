//! Chat sessions in SQLite.

use async_trait::async_trait;
use backend_protocol::api::{Message, Session, SessionPatch};
use backend_protocol::id::{AccountId, SessionId};
use rusqlite::{Row, Transaction, params};

use super::SqliteStore;
use super::statement::{all, execute, one};
use crate::Retention;
use crate::broker::Topic;
use crate::codec::{decode, encode, millis, now, parsed, rfc3339};
use crate::error::Result;
use crate::sessions::{Deleted, Sessions};

#[async_trait]
impl Sessions for SqliteStore {
    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>> {
        let account = account.clone();
        self.read(move |tx| {
            let sql = format!("{SELECT} WHERE s.account = ?1 AND s.expires > ?2 {LATEST_FIRST}");
            all(tx, &sql, params![account.as_str(), now()], session_row)
        })
        .await
    }

    async fn session(&self, account: &AccountId, session: &SessionId) -> Result<Option<Session>> {
        let (account, session) = (account.clone(), session.clone());
        self.read(move |tx| find(tx, &account, &session)).await
    }

    async fn history(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<Vec<Message>>> {
        let (account, session) = (account.clone(), session.clone());
        self.read(move |tx| match find(tx, &account, &session)? {
            Some(_) => Ok(Some(messages(tx, &account, &session)?)),
            None => Ok(None),
        })
        .await
    }

    async fn update_session(
        &self,
        account: &AccountId,
        session: &SessionId,
        patch: &SessionPatch,
    ) -> Result<Option<Session>> {
        let (account, session, patch) = (account.clone(), session.clone(), patch.clone());
        self.write(move |tx| {
            execute(
                tx,
                "UPDATE sessions SET title = coalesce(?3, title), model = coalesce(?4, model),
                   system_prompt = CASE WHEN ?5 IS NULL THEN system_prompt ELSE nullif(?5, '') END
                 WHERE account = ?1 AND id = ?2",
                params![
                    account.as_str(),
                    session.as_str(),
                    patch.title,
                    patch.model,
                    patch.system_prompt
                ],
            )?;
            find(tx, &account, &session)
        })
        .await
    }

    async fn delete_session(&self, account: &AccountId, session: &SessionId) -> Result<Deleted> {
        let (account, session) = (account.clone(), session.clone());
        let deleted = self
            .write(move |tx| {
                let Some(found) = find(tx, &account, &session)? else {
                    return Ok(Deleted::NotFound);
                };
                remove(tx, &account, &session)?;
                Ok(Deleted::Gone { active_run: found.active_run })
            })
            .await?;
        if let Deleted::Gone { active_run: Some(run) } = &deleted {
            self.wake(&Topic::RunStop(run.clone()));
            self.wake(&Topic::Run(run.clone()));
        }
        Ok(deleted)
    }
}

/// One session, unless expired.
pub(super) fn find(
    tx: &Transaction<'_>,
    account: &AccountId,
    session: &SessionId,
) -> Result<Option<Session>> {
    let sql = format!("{SELECT} WHERE s.account = ?1 AND s.id = ?2 AND s.expires > ?3");
    one(tx, &sql, params![account.as_str(), session.as_str(), now()], session_row)
}

/// The kept messages, oldest first.
pub(super) fn messages(
    tx: &Transaction<'_>,
    account: &AccountId,
    session: &SessionId,
) -> Result<Vec<Message>> {
    all(
        tx,
        "SELECT body FROM messages WHERE account = ?1 AND session = ?2 ORDER BY n",
        params![account.as_str(), session.as_str()],
        |row| decode("messages.body", &row.get::<_, String>(0)?),
    )
}

/// Appends a message, trims the oldest and renews the session.
pub(super) fn append(
    tx: &Transaction<'_>,
    account: &AccountId,
    session: &SessionId,
    message: &Message,
    retention: &Retention,
) -> Result<()> {
    let (account, session, now) = (account.as_str(), session.as_str(), now());
    execute(
        tx,
        "INSERT INTO messages (account, session, body) VALUES (?1, ?2, ?3)",
        params![account, session, encode("messages.body", message)?],
    )?;
    execute(
        tx,
        "DELETE FROM messages WHERE account = ?1 AND session = ?2 AND n <= (SELECT n FROM messages
           WHERE account = ?1 AND session = ?2 ORDER BY n DESC LIMIT 1 OFFSET ?3)",
        params![account, session, retention.history_messages],
    )?;
    execute(
        tx,
        "UPDATE sessions SET updated = ?3, expires = ?4 WHERE account = ?1 AND id = ?2",
        params![account, session, now, now + millis(retention.session_ttl)],
    )?;
    Ok(())
}

/// Removes a session with its messages and the logs of its runs.
pub(super) fn remove(tx: &Transaction<'_>, account: &AccountId, session: &SessionId) -> Result<()> {
    let key = params![account.as_str(), session.as_str()];
    execute(tx, "DELETE FROM runs WHERE account = ?1 AND session = ?2", key)?;
    execute(tx, "DELETE FROM sessions WHERE account = ?1 AND id = ?2", key)?;
    Ok(())
}

/// Orders sessions within one millisecond, too.
const LATEST_FIRST: &str = "ORDER BY s.updated DESC,
    (SELECT max(n) FROM messages m WHERE m.account = s.account AND m.session = s.id) DESC";

/// A run counts as active only while it is open.
const SELECT: &str = "SELECT s.id, s.title, s.model, s.system_prompt, s.created, s.updated, r.id,
    (SELECT count(*) FROM messages m WHERE m.account = s.account AND m.session = s.id)
  FROM sessions s LEFT JOIN runs r ON r.account = s.account AND r.id = s.active_run AND r.closed IS NULL";

fn session_row(row: &Row<'_>) -> Result<Session> {
    let active: Option<String> = row.get(6)?;
    Ok(Session {
        id: parsed("sessions.id", row.get(0)?)?,
        title: row.get(1)?,
        model: row.get(2)?,
        system_prompt: row.get(3)?,
        created_at: rfc3339(row.get(4)?),
        updated_at: rfc3339(row.get(5)?),
        active_run: active.map(|run| parsed("sessions.active_run", run)).transpose()?,
        message_count: row.get(7)?,
    })
}
