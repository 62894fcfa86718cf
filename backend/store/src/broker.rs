//! Wake-ups between nodes. The store is the source of truth; a wake-up only makes subscribers
//! read it, and may get lost. Subscribers also poll (at least every 15 s).

use async_trait::async_trait;
use backend_protocol::id::{AccountId, RunId};
use tokio::sync::broadcast;

use crate::error::Result;

/// What a subscriber waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Something was appended to this inbox. No payload.
    Inbox(AccountId),
    /// An ephemeral notice for this account's connections. Payload: JSON of a `Notice`.
    Notice(AccountId),
    /// Presence of this account changed. Payload: JSON of a `Notice`.
    Presence(AccountId),
    /// The lobby changed. Payload: JSON of a `Notice`.
    Lobby,
    /// Something was appended to this run's log. No payload.
    Run(RunId),
    /// A stop of this run was requested. No payload.
    RunStop(RunId),
    /// A credential of the account was revoked. No payload.
    Revoked(AccountId),
}

/// A subscription, closed when dropped. Bounded: a lagging receiver gets an error and has to read
/// the store.
pub type Subscription = broadcast::Receiver<Payload>;

/// The payload of a wake-up; empty for most topics.
pub type Payload = std::sync::Arc<str>;

/// Publish and subscribe across all nodes of one store.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Wakes every subscriber of the topic, on every node. Best effort.
    async fn publish(&self, topic: &Topic, payload: Payload) -> Result<()>;

    /// Subscribes. Wake-ups published after this returns arrive; earlier ones may arrive, too.
    async fn subscribe(&self, topic: &Topic) -> Result<Subscription>;
}
