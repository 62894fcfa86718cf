//! Reading a run's log as it grows: every reader of an answer does this, the first one too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use backend_protocol::id::{AccountId, RunId};
use backend_protocol::limits::MAX_PAGE;
use backend_protocol::run::RunEvent;
use backend_store::broker::{Subscription, Topic};
use backend_store::{Store, StoreError};
use futures::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// A run's log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// There is no such run of this account.
    #[error("there is no such run")]
    NotFound,
    /// There was one, perhaps; its log is no longer kept.
    #[error("the run's log is no longer kept")]
    Expired,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A reader's place in a run's log.
pub struct Tail {
    store: Arc<dyn Store>,
    account: AccountId,
    run: RunId,
    wake: Subscription,
    look_every: Duration,
    after: u64,
    ready: VecDeque<(u64, RunEvent)>,
    /// The last look gave a full page: there may be more behind it.
    more: bool,
    finished: bool,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("run", &self.run).field("after", &self.after).finish_non_exhaustive()
    }
}

impl Tail {
    /// Begins after a position. `None` when the log is not there.
    pub(crate) async fn begin(
        store: Arc<dyn Store>,
        account: AccountId,
        run: RunId,
        after: u64,
        look_every: Duration,
    ) -> Result<Option<Self>, StoreError> {
        // Subscribed before the first look, so that nothing falls between them.
        let wake = store.subscribe(&Topic::Run(run.clone())).await?;
        let mut tail =
            Self { store, account, run, wake, look_every, after, ready: VecDeque::new(), more: false, finished: false };
        Ok(tail.look().await?.then_some(tail))
    }

    /// True when the run has finished and everything was read.
    pub fn is_at_end(&self) -> bool {
        self.finished && self.ready.is_empty()
    }

    /// The next event and its position; `None` after the last one, or when the log has gone away.
    pub async fn next(&mut self) -> Option<Result<(u64, RunEvent), StoreError>> {
        loop {
            if let Some((position, event)) = self.ready.pop_front() {
                self.after = position;
                return Some(Ok((position, event)));
            }
            if self.finished {
                return None;
            }
            if !self.more {
                self.wait().await;
            }
            match self.look().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The rest of the log.
    pub fn into_stream(self) -> impl Stream<Item = Result<(u64, RunEvent), StoreError>> + Send + 'static {
        stream::unfold(self, |mut tail| async move { tail.next().await.map(|item| (item, tail)) })
    }

    /// Reads what is there; false when the log is not.
    async fn look(&mut self) -> Result<bool, StoreError> {
        let Some(log) = self.store.run_log(&self.account, &self.run, self.after, MAX_PAGE).await? else {
            return Ok(false);
        };
        self.more = log.events.len() >= MAX_PAGE;
        self.finished = match log.events.last() {
            Some((_, event)) => event.is_last(),
            None => log.finished,
        };
        self.ready.extend(log.events);
        Ok(true)
    }

    async fn wait(&mut self) {
        match timeout(self.look_every, self.wake.recv()).await {
            Ok(Err(RecvError::Closed)) => tokio::time::sleep(self.look_every).await,
            Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => {}
        }
    }
}
