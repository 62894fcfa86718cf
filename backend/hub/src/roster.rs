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
    lines: tokio::sync::Mutex<Option<Lines>>,
}

struct Rated {
    connections: usize,
    bucket: Bucket,
}

impl Roster {
    /// A slot for one more connection, or nothing when the account has too many.
    pub(crate) fn admit(&self, account: &AccountId, settings: &HubSettings) -> Option<Seat> {
        let now = Instant::now();
        let mut inner = lock(&self.inner);
        if inner.swept.is_none_or(|at| now - at > SWEEP) {
            inner.swept = Some(now);
            // A bucket in debt is kept: reconnecting does not clear it.
            inner.accounts.retain(|_, entry| {
                let mut rated = lock(&entry.state);
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
                lines: Default::default(),
            })
        });
        let mut rated = lock(&entry.state);
        if rated.connections >= settings.connections_per_account {
            return None;
        }
        rated.connections += 1;
        drop(rated);
        Some(Seat { account: account.clone(), entry: Arc::clone(entry) })
    }
}

/// One connection's slot; released when dropped.
pub(crate) struct Seat {
    account: AccountId,
    entry: Arc<Entry>,
}

impl Seat {
    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }

    /// Counts one frame against the account's rate.
    pub(crate) fn rate(&self) -> Verdict {
        lock(&self.entry.state).bucket.take(Instant::now())
    }

    /// Subscribes to the account's topics. Wake-ups after this returns arrive.
    pub(crate) async fn listen(&self, store: &dyn Store) -> Result<Lines> {
        let mut shared = self.entry.lines.lock().await;
        if let Some(lines) = shared.as_ref().filter(|lines| !lines.is_closed()) {
            return Ok(lines.again());
        }
        let topics =
            [Topic::Inbox, Topic::Notice, Topic::Revoked].map(|topic| topic(self.account.clone()));
        let [inbox, notice, revoked] = topics.each_ref().map(|topic| store.subscribe(topic));
        let (inbox, notice, revoked) = futures::try_join!(inbox, notice, revoked)?;
        let lines = Lines { inbox, notice, revoked };
        let mine = lines.again();
        *shared = Some(lines);
        Ok(mine)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rated = lock(&self.entry.state);
        rated.connections -= 1;
        if rated.connections == 0
            && let Ok(mut lines) = self.entry.lines.try_lock()
        {
            // No connection is left: the broker may unsubscribe. (If the lock is held, another
            // connection is about to subscribe.)
            *lines = None;
        }
    }
}

/// Subscriptions of one account.
pub(crate) struct Lines {
    inbox: Subscription,
    notice: Subscription,
    revoked: Subscription,
}

/// A wake-up.
pub(crate) enum Heard {
    /// The inbox has new events.
    Inbox,
    /// An ephemeral notice, as JSON.
    Notice(Payload),
    /// The credential was revoked.
    Revoked,
    /// The broker closed a subscription: subscribe again.
    Silence,
}

impl Lines {
    /// The next wake-up. Wake-ups lost by lagging count as one.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            return tokio::select! {
                biased;
                heard = self.revoked.recv() => match heard {
                    Ok(_) | Err(RecvError::Lagged(_)) => Heard::Revoked,
                    Err(RecvError::Closed) => Heard::Silence,
                },
                heard = self.inbox.recv() => match heard {
                    Ok(_) | Err(RecvError::Lagged(_)) => Heard::Inbox,
                    Err(RecvError::Closed) => Heard::Silence,
                },
                heard = self.notice.recv() => match heard {
                    Ok(payload) => Heard::Notice(payload),
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => Heard::Silence,
                },
            };
        }
    }

    /// Discards wake-ups until now: the caller is about to read the inbox.
    pub(crate) fn forget_wakes(&mut self) {
        self.inbox = self.inbox.resubscribe();
    }

    fn again(&self) -> Self {
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
