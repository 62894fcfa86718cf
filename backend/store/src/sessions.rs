//! Chat sessions with the assistant. `runs.rs` writes to them.

use async_trait::async_trait;
use backend_protocol::api::{Message, Session, SessionPatch};
use backend_protocol::id::{AccountId, RunId, SessionId};

use crate::error::Result;

/// Reading and managing an account's chat sessions. Sessions of other accounts are not found.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The account's sessions, latest first.
    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>>;

    /// One session.
    async fn session(&self, account: &AccountId, session: &SessionId) -> Result<Option<Session>>;

    /// The kept messages, oldest first.
    async fn history(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<Vec<Message>>>;

    /// Changes title, system prompt or model; returns the changed session.
    async fn update_session(
        &self,
        account: &AccountId,
        session: &SessionId,
        patch: &SessionPatch,
    ) -> Result<Option<Session>>;

    /// Deletes a session with its messages and the logs of its runs. Returns the active run; its
    /// owner and readers are woken and find that it is no longer open.
    async fn delete_session(&self, account: &AccountId, session: &SessionId) -> Result<Deleted>;
}

/// The outcome of deleting a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The session was deleted.
    Gone {
        /// The run that was active.
        active_run: Option<RunId>,
    },
    /// There is no such session.
    NotFound,
}
