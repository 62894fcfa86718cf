//! Presence of watched accounts: one subscription per account and hub, one poll for all of them,
//! and for each connection the latest state per account.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_protocol::live::Notice;
use backend_store::broker::{Payload, Subscription, Topic};
use backend_store::{Result, Store};
use futures::stream::{self, BoxStream, SelectAll};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use crate::drain::{self, Stage};
use crate::locked::lock;
use crate::timers::jittered;

/// Accounts in one call of the store.
const CHUNK: usize = 500;

/// Subscriptions opened at once.
const AT_ONCE: usize = 16;

/// The accounts that connections of this hub watch.
pub(crate) struct PresenceBoard {
    store: Arc<dyn Store>,
    poll: Duration,
    state: Mutex<State>,
    /// To the maintenance task, once it runs.
    maintenance: tokio::sync::Mutex<Option<mpsc::Sender<Wakes>>>,
}

#[derive(Default)]
struct State {
    watched: HashMap<AccountId, Watched>,
    /// Counts changes, so that an older response of the store does not overwrite newer ones.
    changes: u64,
}

struct Watched {
    online: Option<bool>,
    changed: u64,
    views: Vec<Arc<PresenceView>>,
    /// Ends the subscription when dropped.
    _unsubscribe: oneshot::Sender<()>,
}

/// Wake-ups of one account, with its id.
type Wakes = BoxStream<'static, (AccountId, std::result::Result<Payload, RecvError>)>;

impl State {
    /// Applies a state from a wake-up (`None`) or one read when `changes` had this value.
    fn apply(&mut self, account: &AccountId, online: bool, read_at: Option<u64>) {
        let Some(watched) = self.watched.get_mut(account) else { return };
        if read_at.is_some_and(|at| watched.changed > at) || watched.online == Some(online) {
            return;
        }
        self.changes += 1;
        (watched.online, watched.changed) = (Some(online), self.changes);
        for view in &watched.views {
            view.set(account, online);
        }
    }
}

impl PresenceBoard {
    pub(crate) fn new(store: Arc<dyn Store>, poll: Duration) -> Arc<Self> {
        Arc::new(Self {
            store,
            poll,
            state: Mutex::default(),
            maintenance: tokio::sync::Mutex::default(),
        })
    }

    /// Watches these accounts: their presence now and every change. The first call starts the
    /// maintenance task, which ends with the hub.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        accounts: Vec<AccountId>,
        tasks: &TaskTracker,
        stage: &watch::Receiver<Stage>,
    ) -> Result<Watching> {
        // From here on, dropping `watching` (an error, a cancelled future) undoes everything.
        let watching = Watching { board: Arc::clone(self), accounts, view: Arc::default() };
        let Watching { accounts, view, .. } = &watching;
        let new: Vec<AccountId> = {
            let mut state = lock(&self.state);
            accounts.iter().filter(|account| !state.join(account, view)).cloned().collect()
        };
        if !new.is_empty() {
            self.subscribe(new, view, tasks, stage).await?;
        }
        self.read(accounts).await?;
        {
            let state = lock(&self.state);
            for account in accounts {
                let online = state.watched.get(account).and_then(|watched| watched.online);
                view.set(account, online.unwrap_or(false));
            }
        }
        Ok(watching)
    }

    fn unwatch(&self, accounts: &[AccountId], view: &Arc<PresenceView>) {
        let mut state = lock(&self.state);
        for account in accounts {
            let Some(watched) = state.watched.get_mut(account) else { continue };
            watched.views.retain(|other| !Arc::ptr_eq(other, view));
            if watched.views.is_empty() {
                state.watched.remove(account);
            }
        }
    }

    async fn subscribe(
        self: &Arc<Self>,
        accounts: Vec<AccountId>,
        view: &Arc<PresenceView>,
        tasks: &TaskTracker,
        stage: &watch::Receiver<Stage>,
    ) -> Result<()> {
        let subscriptions: Vec<(AccountId, Subscription)> = stream::iter(accounts)
            .map(|account| async {
                let subscription = self.store.subscribe(&Topic::Presence(account.clone())).await?;
                Ok::<_, backend_store::StoreError>((account, subscription))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut maintenance = self.maintenance.lock().await;
        let maintenance = maintenance.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(AT_ONCE);
            tasks.spawn(Arc::clone(self).maintain(receiver, stage.clone()));
            sender
        });
        for (account, subscription) in subscriptions {
            let (unsubscribe, dropped) = oneshot::channel();
            {
                let mut state = lock(&self.state);
                if state.join(&account, view) {
                    continue;
                }
                let watched = Watched {
                    online: None,
                    changed: 0,
                    views: vec![Arc::clone(view)],
                    _unsubscribe: unsubscribe,
                };
                state.watched.insert(account.clone(), watched);
            }
            if maintenance.send(wakes_of(account, subscription, dropped)).await.is_err() {
                tracing::debug!("presence is no longer watched: the hub is closing");
            }
        }
        Ok(())
    }

    /// Reads the store and applies the difference, so that connections of a dead node disappear.
    async fn read(&self, accounts: &[AccountId]) -> Result<()> {
        for chunk in accounts.chunks(CHUNK) {
            let before = lock(&self.state).changes;
            let online = self.store.online(chunk).await?;
            let mut state = lock(&self.state);
            for account in chunk {
                state.apply(account, online.contains(account), Some(before));
            }
        }
        Ok(())
    }

    async fn maintain(
        self: Arc<Self>,
        mut added: mpsc::Receiver<Wakes>,
        mut stage: watch::Receiver<Stage>,
    ) {
        let mut wakes: SelectAll<Wakes> = SelectAll::new();
        let mut next_poll = Instant::now() + jittered(self.poll);
        loop {
            tokio::select! {
                () = drain::aborted(&mut stage) => return,
                Some(stream) = added.recv() => wakes.push(stream),
                Some((account, wake)) = wakes.next() => match wake {
                    Ok(payload) => match serde_json::from_str(&payload) {
                        Ok(Notice::Presence { online, .. }) => lock(&self.state).apply(&account, online, None),
                        _ => tracing::warn!("presence wake-up without a presence"),
                    },
                    Err(RecvError::Lagged(_)) => next_poll = Instant::now(),
                    // The poll still finds changes.
                    Err(RecvError::Closed) => {}
                },
                () = sleep_until(next_poll) => {
                    next_poll = Instant::now() + jittered(self.poll);
                    let accounts: Vec<AccountId> = lock(&self.state).watched.keys().cloned().collect();
                    if let Err(error) = self.read(&accounts).await {
                        tracing::debug!(%error, "cannot read presence, retrying");
                    }
                }
            }
        }
    }
}

impl State {
    /// Adds the view to an account that is already watched; false when it is not.
    fn join(&mut self, account: &AccountId, view: &Arc<PresenceView>) -> bool {
        let Some(watched) = self.watched.get_mut(account) else { return false };
        if !watched.views.iter().any(|other| Arc::ptr_eq(other, view)) {
            watched.views.push(Arc::clone(view));
        }
        true
    }
}

fn wakes_of(
    account: AccountId,
    subscription: Subscription,
    dropped: oneshot::Receiver<()>,
) -> Wakes {
    let wakes = stream::unfold(Some((account, subscription)), async |wakes| {
        let (account, mut subscription) = wakes?;
        let wake = subscription.recv().await;
        let more =
            (!matches!(wake, Err(RecvError::Closed))).then(|| (account.clone(), subscription));
        Some(((account, wake), more))
    });
    wakes.take_until(dropped).boxed()
}

/// The accounts one connection watches, until dropped.
pub(crate) struct Watching {
    board: Arc<PresenceBoard>,
    accounts: Vec<AccountId>,
    view: Arc<PresenceView>,
}

/// Pending notices: the latest state per account.
#[derive(Default)]
struct PresenceView {
    pending: Mutex<BTreeMap<AccountId, bool>>,
    wake: Notify,
}

impl Watching {
    /// Waits for changes.
    pub(crate) async fn changed(&self) {
        self.view.wake.notified().await;
    }

    /// The next notice, if any.
    pub(crate) fn next(&self) -> Option<Notice> {
        lock(&self.view.pending)
            .pop_first()
            .map(|(account, online)| Notice::Presence { account, online })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.board.unwatch(&self.accounts, &self.view);
    }
}

impl PresenceView {
    fn set(&self, account: &AccountId, online: bool) {
        lock(&self.pending).insert(account.clone(), online);
        self.wake.notify_one();
    }
}
