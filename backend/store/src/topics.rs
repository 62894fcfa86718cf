//! Fan-out of wake-ups inside one process. The embedded store needs nothing else; with Redis it is
//! the last step.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::broker::{Payload, Subscription, Topic};

/// The topics with subscribers in this process.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    channels: Mutex<Channels>,
}

#[derive(Debug, Default)]
struct Channels {
    by_topic: HashMap<Topic, broadcast::Sender<Payload>>,
    /// Topics left after the last clean-up; the next one starts at twice as many.
    settled: usize,
}

/// Below this many topics, no clean-up runs.
const FEW: usize = 64;

impl Topics {
    /// Subscribes to a topic; true when it is the first subscription in this process.
    pub(crate) fn listen(&self, topic: &Topic) -> (Subscription, bool) {
        let mut channels = self.lock();
        if channels.by_topic.len() >= FEW.max(2 * channels.settled) {
            channels.by_topic.retain(|_, sender| sender.receiver_count() > 0);
            channels.settled = channels.by_topic.len();
        }
        if let Some(sender) = channels.by_topic.get(topic) {
            return (sender.subscribe(), false);
        }
        let (sender, receiver) = broadcast::channel(capacity(topic));
        channels.by_topic.insert(topic.clone(), sender);
        (receiver, true)
    }

    /// Wakes the subscribers in this process. A topic without subscribers is removed.
    pub(crate) fn wake(&self, topic: &Topic, payload: Payload) {
        let mut channels = self.lock();
        if let Some(sender) = channels.by_topic.get(topic)
            && sender.send(payload).is_err()
        {
            channels.by_topic.remove(topic);
        }
    }

    /// Removes topics without subscribers; returns the others.
    pub(crate) fn subscribed(&self) -> HashSet<Topic> {
        let mut channels = self.lock();
        channels.by_topic.retain(|_, sender| sender.receiver_count() > 0);
        channels.settled = channels.by_topic.len();
        channels.by_topic.keys().cloned().collect()
    }

    /// Wakes all subscribers of topics without payload: they read the store and find what they
    /// missed.
    pub(crate) fn wake_pollers(&self) {
        for (topic, sender) in &self.lock().by_topic {
            if matches!(topic, Topic::Inbox(_) | Topic::Run(_) | Topic::RunStop(_)) {
                // No subscriber is left.
                let _ = sender.send(Payload::from(""));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wake-ups buffered for a slow subscriber. Wake-ups without payload are interchangeable, so few
/// are enough.
fn capacity(topic: &Topic) -> usize {
    match topic {
        Topic::Inbox(_) | Topic::Run(_) | Topic::RunStop(_) | Topic::Revoked(_) => 4,
        Topic::Presence(_) => 8,
        Topic::Notice(_) => 32,
        Topic::Lobby => 128,
    }
}
