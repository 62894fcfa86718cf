//! Runs: one answer of the assistant in progress, and the log that its readers tail.
//!
//! A run is owned by the task that reads the model, on one node. The task renews the run's lease;
//! when the node dies the lease expires, and any node may close the run as failed.

use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::{Message, Session};
use backend_protocol::id::{AccountId, RunId, SessionId};
use backend_protocol::run::RunEvent;

use crate::error::Result;

/// A run to open.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The account.
    pub account: AccountId,
    /// The chat session; created when it does not exist.
    pub session: SessionId,
    /// The run's id.
    pub run: RunId,
    /// The person's message; appended to the session in the same step.
    pub message: Message,
    /// The model to use; stored as the session's model.
    pub model: String,
    /// The title of a new session.
    pub title: String,
    /// The client's idempotency key, and a hash of the request body.
    pub idempotency: Option<(String, [u8; 32])>,
    /// The length of the lease.
    pub lease: Duration,
}

/// The outcome of opening a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// The run was opened: the session and its messages, oldest first, the new one last.
    New {
        /// The session after the change.
        session: Session,
        /// The history for the prompt.
        history: Vec<Message>,
    },
    /// The idempotency key was used before with the same body: that run and its session.
    Existing {
        /// The earlier run.
        run: RunId,
        /// Its session.
        session: SessionId,
    },
    /// The idempotency key was used before with another body.
    IdempotencyConflict,
    /// Another run of the session is active.
    Active {
        /// The active run.
        run: RunId,
    },
}

/// A page of a run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLog {
    /// The run's session.
    pub session: SessionId,
    /// Position (from 1) and event, in order.
    pub events: Vec<(u64, RunEvent)>,
    /// True when the run has ended and no events follow this page. Reading on while it is false
    /// reads the whole log.
    pub finished: bool,
}

/// Runs of the assistant.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Opens a run: appends the person's message, trims and renews the session, and marks the run
    /// active, in one atomic step. Opening the same run again while it is active is a retry and
    /// returns `New` without appending anything.
    async fn open_run(&self, run: &NewRun) -> Result<Opened>;

    /// Appends events to an open run's log, renews its lease for `lease` and wakes its readers.
    /// False when the run is no longer open (reaped, or its session was deleted): its owner has to
    /// end.
    async fn append_run_events(
        &self,
        account: &AccountId,
        run: &RunId,
        events: &[RunEvent],
        lease: Duration,
    ) -> Result<bool>;

    /// Ends a run with its last event. The answer, if any, is appended to the session in the same
    /// atomic step (trimmed and renewed as always). False when the run was no longer open; closing
    /// it again with the same event is a retry and returns true.
    async fn close_run(
        &self,
        account: &AccountId,
        run: &RunId,
        last: &RunEvent,
        answer: Option<&Message>,
    ) -> Result<bool>;

    /// The log after position `after`, at most `limit` events. `None` when this account has no such
    /// run, or it has expired.
    async fn run_log(
        &self,
        account: &AccountId,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Option<RunLog>>;

    /// Requests a stop from the run's owner on whichever node. False when the run is not open.
    async fn request_stop(&self, account: &AccountId, run: &RunId) -> Result<bool>;

    /// True once a stop was requested. The owner checks on `Topic::RunStop` and periodically.
    async fn stop_requested(&self, account: &AccountId, run: &RunId) -> Result<bool>;

    /// Closes every run with an expired lease with this event; returns how many.
    async fn reap_runs(&self, last: &RunEvent) -> Result<usize>;
}
