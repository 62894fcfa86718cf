//! Starts, reads, stops and drains runs of the assistant.

pub use crate::tail::{Tail, TailError};

use std::sync::Arc;
use std::time::Duration;

use backend_protocol::api::{ChatRequest, Model, Role};
use backend_protocol::id::{AccountId, RunId, SessionId};
use backend_protocol::limits::MAX_CHAT_MESSAGE;
use backend_store::broker::{Payload, Topic};
use backend_store::runs::{NewRun, Opened};
use backend_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ids;
use crate::metrics::AssistantMetrics;
use crate::provider::Provider;
use crate::reaper::reap;
use crate::run::{self, Run};
use crate::settings::AssistantSettings;
use crate::shared::Shared;
use crate::slots::Slots;

/// The assistant. Cheap to clone.
#[derive(Clone)]
pub struct Assistant {
    shared: Arc<Shared>,
}

/// A run that was started, now or by an earlier request with the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The run, to read or stop it.
    pub run: RunId,
    /// The chat session.
    pub session: SessionId,
}

/// Why no run was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The message is empty or too long.
    #[error("message must have 1 to {MAX_CHAT_MESSAGE} bytes, found {0}")]
    Message(usize),
    /// An unknown model.
    #[error("model must be one of `GET /api/models`, found `{0}`")]
    Model(String),
    /// The chat session has an active run.
    #[error("run {run} is still active in this session")]
    Active {
        /// The active run.
        run: RunId,
    },
    /// The account has too many active runs.
    #[error("an account may have {0} answers in progress")]
    TooMany(usize),
    /// The same key with another body.
    #[error("this Idempotency-Key was used with another body")]
    IdempotencyConflict,
    /// This process is draining.
    #[error("the server is restarting")]
    Draining,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Assistant {
    /// An assistant over this store and provider. Must be called within a tokio runtime: it starts
    /// the task that closes runs of dead nodes.
    pub fn new(
        store: Arc<dyn Store>,
        provider: Provider,
        settings: AssistantSettings,
        metrics: AssistantMetrics,
    ) -> Self {
        let shared = Arc::new(Shared {
            slots: Slots::new(settings.runs_per_account),
            store,
            provider,
            settings,
            metrics,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        let for_reaper = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            let Shared { store, settings, metrics, draining, .. } = &*for_reaper;
            reap(&**store, settings, metrics, draining).await;
        });
        Self { shared }
    }

    /// The models to choose from; the first one is the default.
    pub fn models(&self) -> Vec<Model> {
        self.shared.provider.models().cloned().collect()
    }

    /// True when this model can be chosen.
    pub fn offers(&self, model: &str) -> bool {
        self.shared.provider.models().any(|offered| offered.id == model)
    }

    /// Validates a request independently of an account, before one is created for it.
    pub fn check(&self, request: &ChatRequest) -> Result<(), StartError> {
        if self.shared.draining.is_cancelled() {
            return Err(StartError::Draining);
        }
        if request.message.trim().is_empty() || request.message.len() > MAX_CHAT_MESSAGE {
            return Err(StartError::Message(request.message.len()));
        }
        match &request.model {
            Some(model) if !self.offers(model) => Err(StartError::Model(model.clone())),
            _ => Ok(()),
        }
    }

    /// Starts a run. `idempotency` is the client's key and a hash of the request.
    pub async fn start(
        &self,
        account: &AccountId,
        request: ChatRequest,
        idempotency: Option<(String, [u8; 32])>,
    ) -> Result<Started, StartError> {
        let shared = &self.shared;
        self.check(&request)?;
        let model = self.choose_model(account, &request).await?;
        let limit = shared.settings.runs_per_account;
        let slot = shared.slots.take(account).ok_or(StartError::TooMany(limit))?;

        let new = NewRun {
            account: account.clone(),
            session: request.session_id.unwrap_or_else(ids::session),
            run: ids::run(),
            title: run::title(&request.message),
            message: ids::message(Role::User, request.message),
            model,
            idempotency,
            lease: shared.settings.lease,
        };
        match shared.store.open_run(&new).await? {
            Opened::Existing { run, session } => Ok(Started { run, session }),
            Opened::IdempotencyConflict => Err(StartError::IdempotencyConflict),
            Opened::Active { run } => Err(StartError::Active { run }),
            Opened::New { session, history } => {
                let started = Started { run: new.run.clone(), session: session.id.clone() };
                let run = Run::new(Arc::clone(shared), new, session, history, slot);
                shared.tasks.spawn(run.drive());
                Ok(started)
            }
        }
    }

    /// The requested model, which is [checked](Self::check); or the session's, while it is
    /// available; or the default one.
    async fn choose_model(
        &self,
        account: &AccountId,
        request: &ChatRequest,
    ) -> Result<String, StartError> {
        if let Some(model) = &request.model {
            return Ok(model.clone());
        }
        let session = match &request.session_id {
            Some(session) => self.shared.store.session(account, session).await?,
            None => None,
        };
        let kept = session.map(|session| session.model).filter(|model| self.offers(model));
        Ok(kept.unwrap_or_else(|| self.shared.provider.default_model().id.clone()))
    }

    /// Reads a run's log after a position, and follows it.
    pub async fn tail(
        &self,
        account: &AccountId,
        run: &RunId,
        after: u64,
    ) -> Result<Tail, TailError> {
        let shared = &self.shared;
        let store = Arc::clone(&shared.store);
        match Tail::begin(store, account.clone(), run.clone(), after, shared.settings.poll_every)
            .await?
        {
            Some(tail) => Ok(tail),
            None if ids::age(run).is_some_and(|age| age > shared.settings.run_ttl) => {
                Err(TailError::Expired)
            }
            None => Err(TailError::NotFound),
        }
    }

    /// Requests a run to stop, on whichever node it is. False when this account has no such run; a
    /// finished run is unchanged.
    pub async fn stop(&self, account: &AccountId, run: &RunId) -> Result<bool, StoreError> {
        if self.shared.store.request_stop(account, run).await? {
            self.wake_to_stop(run).await?;
            return Ok(true);
        }
        Ok(self.shared.store.run_log(account, run, 0, 1).await?.is_some())
    }

    /// Wakes the task of a run whose session was deleted, so that it ends at once.
    pub async fn wake_to_stop(&self, run: &RunId) -> Result<(), StoreError> {
        self.shared.store.publish(&Topic::RunStop(run.clone()), Payload::from("")).await
    }

    /// Starts no more runs, waits for active ones until the deadline, then ends the rest as failed
    /// and retryable.
    pub async fn drain(&self, deadline: Duration) {
        /// Time for a run to write its last event.
        const LAST_WORDS: Duration = Duration::from_secs(3);
        let Shared { tasks, draining, abort, .. } = &*self.shared;
        draining.cancel();
        tasks.close();
        if tokio::time::timeout(deadline, tasks.wait()).await.is_err() {
            abort.cancel();
            if tokio::time::timeout(LAST_WORDS, tasks.wait()).await.is_err() {
                tracing::warn!(
                    runs = tasks.len(),
                    "runs did not end in time; another node will close them"
                );
            }
        }
    }
}
