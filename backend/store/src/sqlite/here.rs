//! Presence of one process, in memory: it ends with the process.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};

use super::SqliteStore;
use crate::error::Result;
use crate::presence::{Presence, Transition, by_name};

/// Connections online and in the lobby.
#[derive(Debug, Default)]
pub(super) struct Here {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    online: HashMap<AccountId, Connections>,
    lobby: HashMap<AccountId, (User, Connections)>,
}

/// The connections of one account, each with its expiry.
#[derive(Debug, Default)]
struct Connections(HashMap<ConnectionId, Instant>);

impl Connections {
    fn alive(&self, now: Instant) -> bool {
        self.0.values().any(|expiry| *expiry > now)
    }

    fn renew(&mut self, connection: &ConnectionId, now: Instant, ttl: Duration) -> Transition {
        let before = self.alive(now);
        self.0.retain(|_, expiry| *expiry > now);
        self.0.insert(connection.clone(), now + ttl);
        if before { Transition::Same } else { Transition::Came }
    }

    fn end(&mut self, connection: &ConnectionId, now: Instant) -> Transition {
        let before = self.alive(now);
        self.0.remove(connection);
        if before && !self.alive(now) { Transition::Left } else { Transition::Same }
    }
}

impl Here {
    /// Removes expired connections.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut book = self.lock();
        book.online.retain(|_, connections| connections.alive(now));
        book.lobby.retain(|_, (_, connections)| connections.alive(now));
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Presence for SqliteStore {
    async fn arrive(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition> {
        let mut book = self.here.lock();
        Ok(book.online.entry(account.clone()).or_default().renew(connection, Instant::now(), ttl))
    }

    async fn depart(&self, account: &AccountId, connection: &ConnectionId) -> Result<Transition> {
        let now = Instant::now();
        let mut book = self.here.lock();
        let Some(connections) = book.online.get_mut(account) else { return Ok(Transition::Same) };
        let transition = connections.end(connection, now);
        if !connections.alive(now) {
            book.online.remove(account);
        }
        Ok(transition)
    }

    async fn online(&self, accounts: &[AccountId]) -> Result<BTreeSet<AccountId>> {
        let now = Instant::now();
        let book = self.here.lock();
        let here = |account: &&AccountId| {
            book.online.get(account).is_some_and(|connections| connections.alive(now))
        };
        Ok(accounts.iter().filter(here).cloned().collect())
    }

    async fn enter_lobby(
        &self,
        user: &User,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition> {
        let mut book = self.here.lock();
        let (shown, connections) = book
            .lobby
            .entry(user.account_id.clone())
            .or_insert_with(|| (user.clone(), Connections::default()));
        *shown = user.clone();
        Ok(connections.renew(connection, Instant::now(), ttl))
    }

    async fn leave_lobby(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
    ) -> Result<Transition> {
        let now = Instant::now();
        let mut book = self.here.lock();
        let Some((_, connections)) = book.lobby.get_mut(account) else {
            return Ok(Transition::Same);
        };
        let transition = connections.end(connection, now);
        if !connections.alive(now) {
            book.lobby.remove(account);
        }
        Ok(transition)
    }

    async fn rename_in_lobby(&self, user: &User) -> Result<bool> {
        let now = Instant::now();
        let mut book = self.here.lock();
        let shown =
            book.lobby.get_mut(&user.account_id).filter(|(_, connections)| connections.alive(now));
        let Some((shown, _)) = shown else { return Ok(false) };
        *shown = user.clone();
        Ok(true)
    }

    async fn lobby(&self) -> Result<Vec<User>> {
        let now = Instant::now();
        let book = self.here.lock();
        let shown = book.lobby.values().filter(|(_, connections)| connections.alive(now));
        Ok(by_name(shown.map(|(user, _)| user.clone()).collect()))
    }
}
