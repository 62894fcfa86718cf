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
use tokio_util::sync::CancellationToken;

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
    /// Set when this process closes: what is in the log by then is still read, nothing is waited
    /// for.
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
        let (ready, closing) = (VecDeque::new(), CancellationToken::new());
        let mut tail = Self {
            store,
            account,
            run,
            wake,
            look_every,
            after,
            ready,
            more: false,
            finished: false,
            closing,
        };
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
                if self.closing.is_cancelled() {
                    // One last look: the end of the run may have been written just before.
                    let looked = self.look().await;
                    self.finished = true;
                    match looked {
                        Ok(_) => continue,
                        Err(error) => return Some(Err(error)),
                    }
                }
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

    /// The rest of the log; only what is there by then, once `closing` is cancelled.
    pub fn into_stream(
        mut self,
        closing: CancellationToken,
    ) -> impl Stream<Item = Result<(u64, RunEvent), StoreError>> + Send + 'static {
        self.closing = closing;
        stream::unfold(self, |mut tail| async move { tail.next().await.map(|item| (item, tail)) })
    }

    /// Reads what is there; false when the log is not.
    async fn look(&mut self) -> Result<bool, StoreError> {
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
            match timeout(self.look_every, self.wake.recv()).await {
                Ok(Err(RecvError::Closed)) => tokio::time::sleep(self.look_every).await,
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => {}
            }
        };
        self.closing.run_until_cancelled(woken).await;
    }
}
