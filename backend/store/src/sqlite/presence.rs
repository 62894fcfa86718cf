//! Presence and the lobby of the embedded store.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};

use super::SqliteStore;
use super::presence_table::Connections;
use crate::error::Result;
use crate::presence::{Presence, Transition, by_name};

#[async_trait]
impl Presence for SqliteStore {
    async fn arrive(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition> {
        let mut tables = self.presence.lock();
        Ok(tables.online.entry(account.clone()).or_default().renew(connection, Instant::now(), ttl))
    }

    async fn depart(&self, account: &AccountId, connection: &ConnectionId) -> Result<Transition> {
        let now = Instant::now();
        let mut tables = self.presence.lock();
        let Some(connections) = tables.online.get_mut(account) else { return Ok(Transition::Same) };
        let transition = connections.end(connection, now);
        if !connections.alive(now) {
            tables.online.remove(account);
        }
        Ok(transition)
    }

    async fn online(&self, accounts: &[AccountId]) -> Result<BTreeSet<AccountId>> {
        let now = Instant::now();
        let tables = self.presence.lock();
        let online = |account: &&AccountId| {
            tables.online.get(account).is_some_and(|connections| connections.alive(now))
        };
        Ok(accounts.iter().filter(online).cloned().collect())
    }

    async fn enter_lobby(
        &self,
        user: &User,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition> {
        let mut tables = self.presence.lock();
        let (shown, connections) = tables
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
        let mut tables = self.presence.lock();
        let Some((_, connections)) = tables.lobby.get_mut(account) else {
            return Ok(Transition::Same);
        };
        let transition = connections.end(connection, now);
        if !connections.alive(now) {
            tables.lobby.remove(account);
        }
        Ok(transition)
    }

    async fn rename_in_lobby(&self, user: &User) -> Result<bool> {
        let now = Instant::now();
        let mut tables = self.presence.lock();
        let shown = tables
            .lobby
            .get_mut(&user.account_id)
            .filter(|(_, connections)| connections.alive(now));
        let Some((shown, _)) = shown else { return Ok(false) };
        *shown = user.clone();
        Ok(true)
    }

    async fn lobby(&self) -> Result<Vec<User>> {
        let now = Instant::now();
        let tables = self.presence.lock();
        let shown = tables.lobby.values().filter(|(_, connections)| connections.alive(now));
        Ok(by_name(shown.map(|(user, _)| user.clone()).collect()))
    }
}
