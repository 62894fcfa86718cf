//! Runs: one generation of an answer, and the log its readers tail.
//!
//! A run is owned by the task that reads the model, on one node. It holds a lease that the task
//! renews; when the node dies the lease ends, and any node may close the run as failed.

use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::{Message, Session};
use backend_protocol::id::{AccountId, RunId, SessionId};
use backend_protocol::run::RunEvent;

use crate::error::Result;

/// A run to be opened.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Whose.
    pub account: AccountId,
    /// Where; created when it does not exist.
    pub session: SessionId,
    /// Its name.
    pub run: RunId,
    /// What the person asked; appended to the session in the same step.
    pub message: Message,
    /// The model that will answer; becomes the session's.
    pub model: String,
    /// The title a new session gets.
    pub title: String,
    /// The client's idempotency key, and a hash of the request body.
    pub idempotency: Option<(String, [u8; 32])>,
    /// The lease of the task that will own it.
    pub lease: Duration,
}

/// The outcome of opening a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// It exists now: the session and its messages, oldest first, the new one last.
    New {
        /// As it is now.
        session: Session,
        /// What the model is shown.
        history: Vec<Message>,
    },
    /// The idempotency key was used before with the same body: this run, its session.
    Existing {
        /// The earlier run.
        run: RunId,
        /// Where it belongs.
        session: SessionId,
    },
    /// The idempotency key was used before with another body.
    IdempotencyConflict,
    /// This run is still writing to the session.
    Active {
        /// The active run.
        run: RunId,
    },
}

/// Part of a run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLog {
    /// Where the run belongs.
    pub session: SessionId,
    /// Position (from 1) and event, in order.
    pub events: Vec<(u64, RunEvent)>,
    /// True when the run has ended and nothing follows the events given here. A page that stops
    /// short of the end says false, so reading on while it is false reads everything.
    pub finished: bool,
}

/// Runs of the assistant.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Opens a run: appends the person's message, trims and renews the session, marks it active;
    /// one atomic step. Opening the same run again while it is active is a retry, and gives `New`
    /// without appending anything.
    async fn open_run(&self, run: &NewRun) -> Result<Opened>;

    /// Appends events to an open run's log, renews its lease for `lease` and wakes its readers.
    /// False when the run is no longer open (reaped, or its session was deleted): its owner has to
    /// give up.
    async fn append_run_events(
        &self,
        account: &AccountId,
        run: &RunId,
        events: &[RunEvent],
        lease: Duration,
    ) -> Result<bool>;

    /// Ends a run with its last event. The answer, if any, is appended to the session in the same
    /// atomic step (trimmed and renewed as always). False when the run was no longer open; closing
    /// it again with the very same event is a retry, and true.
    async fn close_run(
        &self,
        account: &AccountId,
        run: &RunId,
        last: &RunEvent,
        answer: Option<&Message>,
    ) -> Result<bool>;

    /// The log after position `after`, at most `limit` events. `None` when there is no such run of
    /// this account, or it is no longer kept.
    async fn run_log(
        &self,
        account: &AccountId,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Option<RunLog>>;

    /// Asks the run's owner to stop, wherever it is. False when the run is not open.
    async fn request_stop(&self, account: &AccountId, run: &RunId) -> Result<bool>;

    /// True once a stop was requested. The owner looks when `Topic::RunStop` wakes it, and now and
    /// then.
    async fn stop_requested(&self, account: &AccountId, run: &RunId) -> Result<bool>;

    /// Closes every run whose lease has ended with this event; how many.
    async fn reap_runs(&self, last: &RunEvent) -> Result<usize>;
}
