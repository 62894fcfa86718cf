//! Who is here: each connection with an expiry of its own, so that a dead node's people fade by
//! themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};

use crate::error::Result;

/// What a change of a connection meant for its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It was away and is here now.
    Came,
    /// It was here and is away now.
    Left,
    /// It was and stays as it was.
    Same,
}

/// Presence of accounts, and the lobby. Delivery never depends on it.
#[async_trait]
pub trait Presence: Send + Sync {
    /// This connection is here for `ttl`; call again to renew.
    async fn arrive(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition>;

    /// This connection is gone. An account that faded before this has not left now: `Same`.
    async fn depart(&self, account: &AccountId, connection: &ConnectionId) -> Result<Transition>;

    /// Those of these accounts that are here.
    async fn online(&self, accounts: &[AccountId]) -> Result<BTreeSet<AccountId>>;

    /// This connection shows its person in the lobby for `ttl`; call again to renew.
    async fn enter_lobby(
        &self,
        user: &User,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition>;

    /// This connection leaves the lobby.
    async fn leave_lobby(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
    ) -> Result<Transition>;

    /// Shows a person of the lobby under another name; false when the account is not in the lobby.
    async fn rename_in_lobby(&self, user: &User) -> Result<bool>;

    /// Everyone in the lobby, in order of name.
    async fn lobby(&self) -> Result<Vec<User>>;
}

/// The order of the lobby: by name as people read it, then by account, so that it never jumps.
pub(crate) fn by_name(mut users: Vec<User>) -> Vec<User> {
    users.sort_by_cached_key(|user| (user.username.to_lowercase(), user.account_id.clone()));
    users
}
