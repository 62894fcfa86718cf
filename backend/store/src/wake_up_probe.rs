//! A wake-up to the store itself, to prove that the broker works.

use std::time::Duration;

use backend_protocol::id::RunId;

use crate::broker::{Broker, Payload, Subscription, Topic};
use crate::codec::parsed;
use crate::error::{Result, StoreError};

/// Deadline for the wake-up.
const DEADLINE: Duration = Duration::from_secs(2);

/// A subscription to a random topic.
pub(crate) struct WakeUpProbe {
    topic: Topic,
    subscription: Subscription,
}

impl WakeUpProbe {
    /// Subscribes.
    pub(crate) async fn new(broker: &impl Broker) -> Result<Self> {
        let run: RunId = parsed("wake_up_probe", format!("probe-{:032x}", rand::random::<u128>()))?;
        let topic = Topic::Run(run);
        let subscription = broker.subscribe(&topic).await?;
        Ok(Self { topic, subscription })
    }

    /// Publishes and waits for the wake-up.
    pub(crate) async fn ping(mut self, broker: &impl Broker) -> Result<()> {
        let silent = || StoreError::Unavailable {
            reason: format!("a test wake-up did not arrive within {} s", DEADLINE.as_secs()),
            retry_after: DEADLINE,
        };
        broker.publish(&self.topic, Payload::from("")).await?;
        tokio::time::timeout(DEADLINE, self.subscription.recv())
            .await
            .map_err(|_| silent())?
            .map_err(|_| silent())?;
        Ok(())
    }
}
