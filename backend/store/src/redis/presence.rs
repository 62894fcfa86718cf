//! Presence and the lobby in Redis. A key expires with its last connection, so an account is online
//! while its key exists.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};
use futures::future::try_join_all;

use super::{RedisStore, keys, ttl};
use crate::codec::parsed;
use crate::error::Result;
use crate::presence::{Presence, Transition, by_name};

/// Commands sent before the first reply, so that they share packets.
const AT_ONCE: usize = 256;

#[async_trait]
impl Presence for RedisStore {
    async fn arrive(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
        lives: Duration,
    ) -> Result<Transition> {
        let mut arrive = self.scripts.arrive.key(connections(account));
        arrive.arg(connection.as_str()).arg(ttl(lives));
        let came: bool = self.connection.script("presence", &arrive).await?;
        Ok(if came { Transition::Came } else { Transition::Same })
    }

    async fn depart(&self, account: &AccountId, connection: &ConnectionId) -> Result<Transition> {
        let mut depart = self.scripts.depart.key(connections(account));
        let left: bool =
            self.connection.script("presence", depart.arg(connection.as_str())).await?;
        Ok(if left { Transition::Left } else { Transition::Same })
    }

    async fn online(&self, accounts: &[AccountId]) -> Result<BTreeSet<AccountId>> {
        let mut online = BTreeSet::new();
        for some in accounts.chunks(AT_ONCE) {
            let found = try_join_all(some.iter().map(|account| self.is_online(account))).await?;
            let present = some.iter().zip(found).filter(|(_, is_online)| *is_online);
            online.extend(present.map(|(account, _)| account.clone()));
        }
        Ok(online)
    }

    async fn enter_lobby(
        &self,
        user: &User,
        connection: &ConnectionId,
        lives: Duration,
    ) -> Result<Transition> {
        let mut enter = self.scripts.enter_lobby.key(lobby("people"));
        enter.key(lobby("names")).key(lobby_of(&user.account_id));
        enter
            .arg(user.account_id.as_str())
            .arg(&user.username)
            .arg(connection.as_str())
            .arg(ttl(lives));
        let came: bool = self.connection.script("lobby", &enter).await?;
        Ok(if came { Transition::Came } else { Transition::Same })
    }

    async fn leave_lobby(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
    ) -> Result<Transition> {
        let mut leave = self.scripts.leave_lobby.key(lobby("people"));
        leave
            .key(lobby("names"))
            .key(lobby_of(account))
            .arg(account.as_str())
            .arg(connection.as_str());
        let left: bool = self.connection.script("lobby", &leave).await?;
        Ok(if left { Transition::Left } else { Transition::Same })
    }

    async fn rename_in_lobby(&self, user: &User) -> Result<bool> {
        let mut rename = self.scripts.rename_in_lobby.key(lobby("people"));
        rename.key(lobby("names")).arg(user.account_id.as_str()).arg(&user.username);
        self.connection.script("lobby", &rename).await
    }

    async fn lobby(&self) -> Result<Vec<User>> {
        let mut read = self.scripts.read_lobby.key(lobby("people"));
        let names: Vec<(String, String)> =
            self.connection.script("lobby", read.key(lobby("names"))).await?;
        let user =
            |(account, username)| Ok(User { account_id: parsed("lobby", account)?, username });
        Ok(by_name(names.into_iter().map(user).collect::<Result<Vec<_>>>()?))
    }
}

impl RedisStore {
    async fn is_online(&self, account: &AccountId) -> Result<bool> {
        self.connection.command("presence", redis::cmd("EXISTS").arg(connections(account))).await
    }
}

fn connections(account: &AccountId) -> String {
    keys::of(account) + "connections"
}

fn lobby(what: &str) -> String {
    format!("{}{what}", keys::LOBBY)
}

fn lobby_of(account: &AccountId) -> String {
    format!("{}connections:{account}", keys::LOBBY)
}
