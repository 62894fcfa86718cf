//! Conversations with the assistant. Writing to one is the business of `runs.rs`.

use async_trait::async_trait;
use backend_protocol::api::{Message, Session, SessionPatch};
use backend_protocol::id::{AccountId, RunId, SessionId};

use crate::error::Result;

/// Reading and managing an account's own sessions. A foreign session does not exist here.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The account's sessions, the latest first.
    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>>;

    /// One session.
    async fn session(&self, account: &AccountId, session: &SessionId) -> Result<Option<Session>>;

    /// The kept messages, oldest first.
    async fn history(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<Vec<Message>>>;

    /// Changes title, system prompt or model; the session as it is then.
    async fn update_session(
        &self,
        account: &AccountId,
        session: &SessionId,
        patch: &SessionPatch,
    ) -> Result<Option<Session>>;

    /// Deletes a session with its messages and the logs of its runs. Says which run was active; its
    /// owner and its readers are woken, and find that it is not open any more.
    async fn delete_session(&self, account: &AccountId, session: &SessionId) -> Result<Deleted>;
}

/// The outcome of deleting a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone; this run was writing to it.
    Gone {
        /// To be stopped.
        active_run: Option<RunId>,
    },
    /// There was none.
    NotFound,
}
