//! Wake-ups between nodes. The store is the truth; the broker only says "look", and may lose a
//! word: whoever waits looks by itself now and then (at least every 15 s).

use async_trait::async_trait;
use backend_protocol::id::{AccountId, RunId};
use tokio::sync::broadcast;

use crate::error::Result;

/// What can be waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Something was appended to this inbox. No payload.
    Inbox(AccountId),
    /// Something ephemeral for this account's connections. Payload: JSON of a `Notice`.
    Notice(AccountId),
    /// Presence of this account changed, for those who watch it. Payload: JSON of a `Notice`.
    Presence(AccountId),
    /// The lobby changed. Payload: JSON of a `Notice`.
    Lobby,
    /// Something was appended to this run's log. No payload.
    Run(RunId),
    /// The owner of this run should look whether to stop. No payload.
    RunStop(RunId),
    /// The account's credential was revoked. No payload.
    Revoked(AccountId),
}

/// A subscription: ends when dropped. Bounded: a receiver that lags is told so and looks for
/// itself.
pub type Subscription = broadcast::Receiver<Payload>;

/// What comes with a wake-up; empty for most topics.
pub type Payload = std::sync::Arc<str>;

/// Publish and subscribe across all nodes of one store.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Wakes every subscriber of the topic, on every node. Best effort.
    async fn publish(&self, topic: &Topic, payload: Payload) -> Result<()>;

    /// From the moment this returns, later wake-ups arrive; one from just before may arrive as
    /// well.
    async fn subscribe(&self, topic: &Topic) -> Result<Subscription>;
}
