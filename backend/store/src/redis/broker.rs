//! Wake-ups between nodes over sharded pub/sub.

use async_trait::async_trait;

use super::RedisStore;
use super::keys::channel;
use crate::broker::{Broker, Payload, Subscription, Topic};
use crate::error::Result;

#[async_trait]
impl Broker for RedisStore {
    async fn publish(&self, topic: &Topic, payload: Payload) -> Result<()> {
        let mut command = redis::cmd("SPUBLISH");
        command.arg(channel(topic)).arg(&*payload);
        self.connection.command("pub/sub", &command).await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        self.listener.subscribe(topic).await
    }
}

impl RedisStore {
    /// Best effort, after the write: a waiting reader also polls.
    pub(super) async fn wake(&self, topic: &Topic) {
        if let Err(error) = self.publish(topic, Payload::from("")).await {
            tracing::debug!(%error, "a wake-up was lost");
        }
    }
}
