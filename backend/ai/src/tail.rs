//! Reading a run's log as it grows. Every reader of an answer does this, including the first one.

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
use tokio_util::sync::CancellationToken;

/// Why a run's log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// This account has no such run.
    #[error("there is no such run")]
    NotFound,
    /// The run's log is no longer kept.
    #[error("the run's log is no longer kept")]
    Expired,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A reader of a run's log.
pub struct Tail {
    store: Arc<dyn Store>,
    account: AccountId,
    run: RunId,
    wake: Subscription,
    poll_every: Duration,
    after: u64,
    ready: VecDeque<(u64, RunEvent)>,
    /// The last read returned a full page: more may follow.
    more: bool,
    finished: bool,
    /// Set when this process closes: the rest of the log is read without waiting for more.
    closing: CancellationToken,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("run", &self.run)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

impl Tail {
    /// Starts after a position. `None` when there is no log.
    pub(crate) async fn begin(
        store: Arc<dyn Store>,
        account: AccountId,
        run: RunId,
        after: u64,
        poll_every: Duration,
    ) -> Result<Option<Self>, StoreError> {
        // Subscribe before the first read, so that no event is missed.
        let wake = store.subscribe(&Topic::Run(run.clone())).await?;
        let (ready, closing) = (VecDeque::new(), CancellationToken::new());
        let mut tail = Self {
            store,
            account,
            run,
            wake,
            poll_every,
            after,
            ready,
            more: false,
            finished: false,
            closing,
        };
        Ok(tail.read().await?.then_some(tail))
    }

    /// True when the run has finished and everything was read.
    pub fn is_at_end(&self) -> bool {
        self.finished && self.ready.is_empty()
    }

    /// The next event and its position; `None` after the last one, or when the log is gone.
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
                if self.closing.is_cancelled() {
                    // Read once more: the run's last event may just have been written.
                    let outcome = self.read().await;
                    self.finished = true;
                    match outcome {
                        Ok(_) => continue,
                        Err(error) => return Some(Err(error)),
                    }
                }
                self.wait().await;
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The rest of the log; after `closing` is cancelled, only the events already written.
    pub fn into_stream(
        mut self,
        closing: CancellationToken,
    ) -> impl Stream<Item = Result<(u64, RunEvent), StoreError>> + Send + 'static {
        self.closing = closing;
        stream::unfold(self, |mut tail| async move { tail.next().await.map(|item| (item, tail)) })
    }

    /// Reads new events; false when the log is gone.
    async fn read(&mut self) -> Result<bool, StoreError> {
        let Some(log) = self.store.run_log(&self.account, &self.run, self.after, MAX_PAGE).await?
        else {
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
        let woken = async {
            match timeout(self.poll_every, self.wake.recv()).await {
                Ok(Err(RecvError::Closed)) => tokio::time::sleep(self.poll_every).await,
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => {}
            }
        };
        self.closing.run_until_cancelled(woken).await;
    }
}
