//! Assistant sessions in Redis.

use async_trait::async_trait;
use backend_protocol::api::{Message, Session, SessionPatch};
use backend_protocol::id::{AccountId, RunId, SessionId};

use super::{RedisStore, keys};
use crate::broker::Topic;
use crate::codec::{decode, parsed, rfc3339};
use crate::error::Result;
use crate::sessions::{Deleted, Sessions};

/// From `show_session` in `session.lua`: id, title, model, system prompt, created, updated, run,
/// number of messages.
pub(super) type Shown = (String, String, String, String, i64, i64, String, u32);

#[async_trait]
impl Sessions for RedisStore {
    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>> {
        let prefix = keys::of(account);
        let mut read = self.scripts.sessions.key(prefix.clone() + "sessions");
        let shown: Vec<Shown> = self.connection.script("sessions", read.arg(prefix)).await?;
        shown.into_iter().map(session_from).collect()
    }

    async fn session(&self, account: &AccountId, session: &SessionId) -> Result<Option<Session>> {
        let prefix = keys::of(account);
        let mut read = self.scripts.read_session.key(format!("{prefix}session:{session}"));
        read.arg(prefix).arg(session.as_str());
        self.connection
            .script::<Option<Shown>>("session", &read)
            .await?
            .map(session_from)
            .transpose()
    }

    async fn history(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<Vec<Message>>> {
        let key = format!("{}session:{session}", keys::of(account));
        let mut read = self.scripts.read_history.key(&key);
        read.key(key.clone() + ":log");
        let history: Option<Vec<String>> = self.connection.script("messages", &read).await?;
        history.map(messages_from).transpose()
    }

    async fn update_session(
        &self,
        account: &AccountId,
        session: &SessionId,
        patch: &SessionPatch,
    ) -> Result<Option<Session>> {
        let prefix = keys::of(account);
        let mut update = self.scripts.update_session.key(format!("{prefix}session:{session}"));
        update.arg(prefix).arg(session.as_str());
        let fields = [
            ("title", &patch.title),
            ("system_prompt", &patch.system_prompt),
            ("model", &patch.model),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                update.arg(field).arg(value);
            }
        }
        self.connection
            .script::<Option<Shown>>("session", &update)
            .await?
            .map(session_from)
            .transpose()
    }

    async fn delete_session(&self, account: &AccountId, session: &SessionId) -> Result<Deleted> {
        let prefix = keys::of(account);
        let mut delete = self.scripts.delete_session.key(format!("{prefix}session:{session}"));
        delete.key(prefix.clone() + "sessions").arg(prefix).arg(session.as_str());
        let Some(active) = self.connection.script::<Option<String>>("session", &delete).await?
        else {
            return Ok(Deleted::NotFound);
        };
        let active_run: Option<RunId> =
            if active.is_empty() { None } else { Some(parsed("session", active)?) };
        if let Some(run) = &active_run {
            self.wake(&Topic::RunStop(run.clone())).await;
            self.wake(&Topic::Run(run.clone())).await;
        }
        Ok(Deleted::Gone { active_run })
    }
}

pub(super) fn session_from(shown: Shown) -> Result<Session> {
    let (id, title, model, system_prompt, created, updated, run, message_count) = shown;
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Session {
        id: parsed("session", id)?,
        title,
        model,
        system_prompt: text(system_prompt),
        message_count,
        created_at: rfc3339(created),
        updated_at: rfc3339(updated),
        active_run: text(run).map(|run| parsed("session", run)).transpose()?,
    })
}

pub(super) fn messages_from(kept: Vec<String>) -> Result<Vec<Message>> {
    kept.iter().map(|message| decode("messages", message)).collect()
}
