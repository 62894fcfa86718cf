//! Presence: each connection has its own expiry, so that connections of a dead node disappear.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};

use crate::error::Result;

/// The effect of a change of a connection on its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The account was offline and is online now.
    Came,
    /// The account was online and is offline now.
    Left,
    /// No change.
    Same,
}

/// Presence of accounts, and the lobby. Delivery does not depend on it.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Marks a connection as online for `ttl`; call again to renew.
    async fn arrive(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition>;

    /// Ends a connection. `Same` when its account had already expired.
    async fn depart(&self, account: &AccountId, connection: &ConnectionId) -> Result<Transition>;

    /// The subset of these accounts that is online.
    async fn online(&self, accounts: &[AccountId]) -> Result<BTreeSet<AccountId>>;

    /// Shows a person in the lobby for `ttl`; call again to renew.
    async fn enter_lobby(
        &self,
        user: &User,
        connection: &ConnectionId,
        ttl: Duration,
    ) -> Result<Transition>;

    /// Removes a connection from the lobby.
    async fn leave_lobby(
        &self,
        account: &AccountId,
        connection: &ConnectionId,
    ) -> Result<Transition>;

    /// Renames a person in the lobby; false when the account is not in the lobby.
    async fn rename_in_lobby(&self, user: &User) -> Result<bool>;

    /// Everyone in the lobby, in order of name.
    async fn lobby(&self) -> Result<Vec<User>>;
}

/// The order of the lobby: by name, ignoring case, then by account, so that it is stable.
pub(crate) fn by_name(mut users: Vec<User>) -> Vec<User> {
    users.sort_by_cached_key(|user| (user.username.to_lowercase(), user.account_id.clone()));
    users
}
