//! The accounts connected to this hub: their connections, rate limits and wake-ups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_store::broker::{Payload, Subscription, Topic};
use backend_store::{Result, Store};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::locked::lock;
use crate::rate::{Bucket, Verdict};
use crate::settings::HubSettings;

/// Interval between removals of accounts without connections.
const SWEEP: Duration = Duration::from_secs(60);

/// All accounts of this hub.
#[derive(Default)]
pub(crate) struct Roster {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    accounts: HashMap<AccountId, Arc<Entry>>,
    swept: Option<Instant>,
}

struct Entry {
    state: Mutex<Rated>,
    /// The account's one subscription; each connection gets a copy.
    subscriptions: tokio::sync::Mutex<Option<Subscriptions>>,
}

struct Rated {
    connections: usize,
    bucket: Bucket,
}

impl Roster {
    /// A slot for one more connection, or nothing when the account has too many.
    pub(crate) fn admit(&self, account: &AccountId, settings: &HubSettings) -> Option<Slot> {
        let now = Instant::now();
        let mut inner = lock(&self.inner);
        if inner.swept.is_none_or(|at| now - at > SWEEP) {
            inner.swept = Some(now);
            // A bucket in debt is kept: reconnecting does not clear it.
            inner.accounts.retain(|_, entry| {
                let rated = lock(&entry.state);
                rated.connections > 0 || !rated.bucket.is_full(now)
            });
        }
        let entry = inner.accounts.entry(account.clone()).or_insert_with(|| {
            let bucket = Bucket::new(
                settings.rate_burst,
                settings.rate_per_second,
                settings.rate_abuse,
                now,
            );
            Arc::new(Entry {
                state: Mutex::new(Rated { connections: 0, bucket }),
                subscriptions: Default::default(),
            })
        });
        let mut rated = lock(&entry.state);
        if rated.connections >= settings.connections_per_account {
            return None;
        }
        rated.connections += 1;
        drop(rated);
        Some(Slot { account: account.clone(), entry: Arc::clone(entry) })
    }
}

/// One connection's slot; released when dropped.
pub(crate) struct Slot {
    account: AccountId,
    entry: Arc<Entry>,
}

impl Slot {
    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }

    /// Counts one frame against the account's rate.
    pub(crate) fn rate(&self) -> Verdict {
        lock(&self.entry.state).bucket.take(Instant::now())
    }

    /// Subscribes to the account's topics. Wake-ups after this returns arrive.
    pub(crate) async fn subscribe(&self, store: &dyn Store) -> Result<Subscriptions> {
        let mut shared = self.entry.subscriptions.lock().await;
        if let Some(subscriptions) = &*shared
            && !subscriptions.is_closed()
        {
            return Ok(subscriptions.resubscribe());
        }
        let topics =
            [Topic::Inbox, Topic::Notice, Topic::Revoked].map(|topic| topic(self.account.clone()));
        let [inbox, notice, revoked] = topics.each_ref().map(|topic| store.subscribe(topic));
        let (inbox, notice, revoked) = futures::try_join!(inbox, notice, revoked)?;
        let subscriptions = Subscriptions { inbox, notice, revoked };
        let mine = subscriptions.resubscribe();
        *shared = Some(subscriptions);
        Ok(mine)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut rated = lock(&self.entry.state);
        rated.connections -= 1;
        if rated.connections == 0
            && let Ok(mut subscriptions) = self.entry.subscriptions.try_lock()
        {
            // No connection is left: the broker may unsubscribe. (If the lock is held, another
            // connection is about to subscribe.)
            *subscriptions = None;
        }
    }
}

/// Subscriptions of one account.
pub(crate) struct Subscriptions {
    inbox: Subscription,
    notice: Subscription,
    revoked: Subscription,
}

/// A wake-up.
pub(crate) enum Wake {
    /// The inbox has new events.
    Inbox,
    /// An ephemeral notice, as JSON.
    Notice(Payload),
    /// The credential was revoked.
    Revoked,
    /// The broker closed a subscription: subscribe again.
    Closed,
}

impl Subscriptions {
    /// The next wake-up. Wake-ups lost by lagging count as one.
    pub(crate) async fn next(&mut self) -> Wake {
        loop {
            return tokio::select! {
                biased;
                wake = self.revoked.recv() => match wake {
                    Ok(_) | Err(RecvError::Lagged(_)) => Wake::Revoked,
                    Err(RecvError::Closed) => Wake::Closed,
                },
                wake = self.inbox.recv() => match wake {
                    Ok(_) | Err(RecvError::Lagged(_)) => Wake::Inbox,
                    Err(RecvError::Closed) => Wake::Closed,
                },
                wake = self.notice.recv() => match wake {
                    Ok(payload) => Wake::Notice(payload),
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => Wake::Closed,
                },
            };
        }
    }

    /// Discards wake-ups until now: the caller is about to read the inbox.
    pub(crate) fn discard_wakes(&mut self) {
        self.inbox = self.inbox.resubscribe();
    }

    fn resubscribe(&self) -> Self {
        Self {
            inbox: self.inbox.resubscribe(),
            notice: self.notice.resubscribe(),
            revoked: self.revoked.resubscribe(),
        }
    }

    fn is_closed(&self) -> bool {
        self.inbox.is_closed() || self.notice.is_closed() || self.revoked.is_closed()
    }
}
