//! The lobby as seen by this hub: one subscription, one poll of the store, and a short log of
//! changes. Each connection in the lobby reads the log at its own pace and stores only its
//! position.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_protocol::api::User;
use backend_protocol::id::AccountId;
use backend_protocol::live::Notice;
use backend_store::broker::{Subscription, Topic};
use backend_store::{Result, Store};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use crate::drain::{self, Stage};
use crate::locked::lock;
use crate::timers::jittered;

/// Changes kept for slow readers; a reader further behind gets a new snapshot.
const LOG: usize = 512;

/// People in one snapshot, so that it fits into one frame; the others follow as changes.
const SNAPSHOT: usize = 200;

/// Pause before subscribing again after the broker closed the subscription.
const RESUBSCRIBE: Duration = Duration::from_secs(2);

/// The people in the lobby, as known to this hub.
pub(crate) struct LobbyBoard {
    store: Arc<dyn Store>,
    poll: Duration,
    state: Mutex<State>,
    /// The version of `state`; connections in the lobby subscribe to it.
    version: watch::Sender<u64>,
    /// True once the maintenance task runs.
    open: tokio::sync::Mutex<bool>,
}

#[derive(Default)]
struct State {
    people: BTreeMap<AccountId, User>,
    version: u64,
    /// The changes that led to `version`, newest last.
    log: VecDeque<(User, bool)>,
}

impl State {
    fn apply(&mut self, user: User, present: bool) -> bool {
        let changed = if present {
            self.people.insert(user.account_id.clone(), user.clone()).as_ref() != Some(&user)
        } else {
            self.people.remove(&user.account_id).is_some()
        };
        if changed {
            self.version += 1;
            self.log.push_back((user, present));
            if self.log.len() > LOG {
                self.log.pop_front();
            }
        }
        changed
    }

    /// The changes since `version`, or a snapshot.
    fn notices_since(&self, version: Option<u64>) -> VecDeque<Notice> {
        let missed =
            version.and_then(|seen| usize::try_from(self.version.saturating_sub(seen)).ok());
        match missed.filter(|missed| *missed <= self.log.len()) {
            Some(missed) => {
                let changes = self.log.iter().skip(self.log.len() - missed).cloned();
                changes.map(|(user, present)| Notice::LobbyChange { user, present }).collect()
            }
            None => {
                let mut users: Vec<User> = self.people.values().cloned().collect();
                users.sort_by_cached_key(|user| user.username.to_lowercase());
                let rest = users.split_off(users.len().min(SNAPSHOT));
                let rest = rest.into_iter().map(|user| Notice::LobbyChange { user, present: true });
                std::iter::once(Notice::Lobby { users }).chain(rest).collect()
            }
        }
    }
}

impl LobbyBoard {
    pub(crate) fn new(store: Arc<dyn Store>, poll: Duration) -> Arc<Self> {
        let (state, version) = (Mutex::default(), watch::Sender::new(0));
        Arc::new(Self { store, poll, state, version, open: tokio::sync::Mutex::new(false) })
    }

    /// A view that starts with a snapshot. The first call starts the maintenance task, which ends
    /// with the hub.
    pub(crate) async fn view(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        stage: &watch::Receiver<Stage>,
    ) -> Result<LobbyView> {
        let mut open = self.open.lock().await;
        if !*open {
            let subscription = self.store.subscribe(&Topic::Lobby).await?;
            self.read().await?;
            tasks.spawn(Arc::clone(self).maintain(subscription, stage.clone()));
            *open = true;
        } else if self.version.receiver_count() == 0 {
            self.read().await?;
        }
        Ok(LobbyView { seen: None, pending: VecDeque::new(), version: self.version.subscribe() })
    }

    /// A person came, left or was renamed; false when this was already known.
    pub(crate) fn apply(&self, user: User, present: bool) -> bool {
        let mut state = lock(&self.state);
        let changed = state.apply(user, present);
        if changed {
            self.version.send_replace(state.version);
        }
        changed
    }

    /// Reads the store and applies the difference, so that connections of a dead node disappear.
    async fn read(&self) -> Result<()> {
        let now: BTreeMap<AccountId, User> = self
            .store
            .lobby()
            .await?
            .into_iter()
            .map(|user| (user.account_id.clone(), user))
            .collect();
        let mut state = lock(&self.state);
        let gone: Vec<User> = state
            .people
            .values()
            .filter(|user| !now.contains_key(&user.account_id))
            .cloned()
            .collect();
        for user in gone {
            state.apply(user, false);
        }
        for user in now.into_values() {
            state.apply(user, true);
        }
        self.version
            .send_if_modified(|version| std::mem::replace(version, state.version) != state.version);
        Ok(())
    }

    async fn maintain(
        self: Arc<Self>,
        subscription: Subscription,
        mut stage: watch::Receiver<Stage>,
    ) {
        let mut subscription = Some(subscription);
        let mut next_poll = Instant::now() + jittered(self.poll);
        loop {
            tokio::select! {
                () = drain::aborted(&mut stage) => return,
                change = recv(&mut subscription) => match change {
                    Ok(payload) => match serde_json::from_str(&payload) {
                        Ok(Notice::LobbyChange { user, present }) => {
                            self.apply(user, present);
                        }
                        _ => tracing::warn!("lobby wake-up without a lobby change"),
                    },
                    Err(RecvError::Lagged(_)) => next_poll = Instant::now(),
                    Err(RecvError::Closed) => {
                        subscription = None;
                        next_poll = Instant::now() + jittered(RESUBSCRIBE);
                    }
                },
                () = sleep_until(next_poll) => {
                    next_poll = Instant::now() + jittered(self.poll);
                    if subscription.is_none() {
                        subscription = self.store.subscribe(&Topic::Lobby).await.ok();
                    }
                    if self.version.receiver_count() > 0 && let Err(error) = self.read().await {
                        tracing::debug!(%error, "cannot read the lobby, retrying");
                    }
                }
            }
        }
    }
}

async fn recv(
    subscription: &mut Option<Subscription>,
) -> std::result::Result<backend_store::broker::Payload, RecvError> {
    match subscription {
        Some(subscription) => subscription.recv().await,
        None => std::future::pending().await,
    }
}

/// One connection's view of the lobby.
pub(crate) struct LobbyView {
    seen: Option<u64>,
    pending: VecDeque<Notice>,
    version: watch::Receiver<u64>,
}

impl LobbyView {
    /// Waits for changes.
    pub(crate) async fn changed(&mut self) {
        if self.version.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The next notice, if any.
    pub(crate) fn next(&mut self, board: &LobbyBoard) -> Option<Notice> {
        if self.pending.is_empty() {
            self.version.borrow_and_update();
            let state = lock(&board.state);
            if self.seen != Some(state.version) {
                self.pending = state.notices_since(self.seen);
                self.seen = Some(state.version);
            }
        }
        let next = self.pending.pop_front();
        if self.pending.is_empty() {
            self.pending.shrink_to(4);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User { account_id: AccountId::parse(name).unwrap(), username: name.to_owned() }
    }

    #[test]
    fn a_reader_gets_the_missed_changes_or_a_snapshot() {
        let mut state = State::default();
        assert!(state.apply(user("bob"), true) && state.apply(user("Ada"), true));
        assert!(!state.apply(user("bob"), true), "nothing new");
        let everyone = Notice::Lobby { users: vec![user("Ada"), user("bob")] };
        assert_eq!(state.notices_since(None), std::slice::from_ref(&everyone));
        assert_eq!(
            state.notices_since(Some(1)),
            [Notice::LobbyChange { user: user("Ada"), present: true }]
        );
        assert_eq!(state.notices_since(Some(2)), []);
        for _ in 0..LOG {
            state.apply(user("eve"), true);
            state.apply(user("eve"), false);
        }
        assert_eq!(state.notices_since(Some(2)), [everyone], "too far behind");
    }

    #[test]
    fn a_large_lobby_is_split_into_frames_that_fit() {
        let mut state = State::default();
        for n in 0..SNAPSHOT + 50 {
            state.apply(user(&format!("{n:a>64}")), true);
        }
        let notices = state.notices_since(None);
        assert_eq!(notices.len(), 51);
        for notice in notices {
            assert!(
                serde_json::to_string(&notice).unwrap().len() < backend_protocol::limits::MAX_FRAME
            );
        }
    }
}
