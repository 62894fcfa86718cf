//! A wake-up of a store's own, to prove that the broker carries them.

use std::time::Duration;

use backend_protocol::id::RunId;

use crate::broker::{Broker, Payload, Subscription, Topic};
use crate::codec::parsed;
use crate::error::{Result, StoreError};

/// How long a wake-up may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// Listens to a topic of its own, which nobody else knows.
pub(crate) struct Canary {
    topic: Topic,
    heard: Subscription,
}

impl Canary {
    /// Starts to listen.
    pub(crate) async fn new(broker: &impl Broker) -> Result<Self> {
        let run: RunId = parsed("canary", format!("probe-{:032x}", rand::random::<u128>()))?;
        let topic = Topic::Run(run);
        let heard = broker.subscribe(&topic).await?;
        Ok(Self { topic, heard })
    }

    /// Publishes and waits until it is heard.
    pub(crate) async fn sing(mut self, broker: &impl Broker) -> Result<()> {
        let silent = || StoreError::Unavailable {
            reason: format!(
                "a wake-up of the store's own was not heard within {} s",
                DEADLINE.as_secs()
            ),
            retry_after: DEADLINE,
        };
        broker.publish(&self.topic, Payload::from("")).await?;
        tokio::time::timeout(DEADLINE, self.heard.recv())
            .await
            .map_err(|_| silent())?
            .map_err(|_| silent())?;
        Ok(())
    }
}
