//! Subscriptions of this process over sharded pub/sub, on a connection of their own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use redis::aio::{AsyncPushSender, SendError};
use redis::{FromRedisValue, PushInfo, PushKind, Value};
use redis_connection::{Backoff, Error, Established, LastFailure};
use tokio::sync::{Notify, RwLock};
use tokio::time::timeout;

use super::connection::store_error;
use super::keys::{channel, topic};
use super::settings::RedisSettings;
use crate::broker::{Subscription, Topic};
use crate::error::Result;
use crate::topics::Topics;

/// How often the connection is checked, and topics without a listener are unsubscribed.
const CHECK: Duration = Duration::from_secs(5);

/// Pauses between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Subscriptions sent before the first of them is confirmed.
const AT_ONCE: usize = 256;

/// Keeps the subscriptions of this process alive.
pub(super) struct Listener {
    settings: RedisSettings,
    topics: Arc<Topics>,
    /// Read-locked to subscribe; write-locked to connect, or to unsubscribe from topics without a
    /// listener.
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    pub_sub: Option<PubSub>,
    failed: LastFailure,
}

/// One pub/sub connection and its subscriptions.
struct PubSub {
    established: Established,
    /// Notified when this connection is lost; the end of an earlier one does not count.
    lost: Arc<Notify>,
    confirmed: Mutex<HashSet<Topic>>,
}

impl Listener {
    pub(super) fn new(settings: RedisSettings) -> Self {
        Self { settings, topics: Arc::default(), state: RwLock::default() }
    }

    pub(super) async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        let (subscription, _) = self.topics.listen(topic);
        let state = self.state.read().await;
        if let Some(pub_sub) = &state.pub_sub {
            pub_sub.add(topic).await.map_err(|error| store_error("pub/sub", error))?;
            return Ok(subscription);
        }
        drop(state);
        // Connecting subscribes to every topic that has a listener, this one included.
        self.connect().await?;
        Ok(subscription)
    }

    /// Connects if there is no connection, and subscribes to every topic that has a listener.
    pub(super) async fn connect(&self) -> Result<()> {
        let began = Instant::now();
        let mut state = self.state.write().await;
        let topics = self.topics.subscribed();
        let connected = match &state.pub_sub {
            Some(pub_sub) => pub_sub.add_all(&topics).await,
            None => match state.failed.since(began) {
                Some(error) => Err(error),
                None => match self.open(&topics).await? {
                    Ok(pub_sub) => {
                        state.pub_sub = Some(pub_sub);
                        Ok(())
                    }
                    Err(error) => {
                        state.failed.record(error.clone());
                        Err(error)
                    }
                },
            },
        };
        connected.map_err(|error| store_error("pub/sub", error))
    }

    /// The outer error is one of the settings.
    async fn open(&self, topics: &HashSet<Topic>) -> Result<std::result::Result<PubSub, Error>> {
        let lost = Arc::<Notify>::default();
        let pushes = Pushes { topics: Arc::clone(&self.topics), lost: Arc::clone(&lost) };
        let target = self.settings.target(Some(Arc::new(pushes)))?;
        let opening = async {
            let established = target.open().await?;
            let pub_sub = PubSub { established, lost, confirmed: Mutex::default() };
            pub_sub.add_all(topics).await?;
            Ok(pub_sub)
        };
        Ok(opening.await)
    }

    /// Runs until it is aborted. Reconnects when the connection is lost, and then wakes every
    /// listener, because wake-ups may have been missed.
    pub(super) async fn maintain(&self) {
        loop {
            let lost = self.state.read().await.pub_sub.as_ref().map(|pub_sub| pub_sub.lost.clone());
            if let Some(lost) = lost
                && timeout(CHECK, lost.notified()).await.is_err()
                && self.check().await.is_ok()
            {
                continue;
            }
            tracing::warn!("the pub/sub connection to Redis is lost; reconnecting");
            self.state.write().await.pub_sub = None;
            let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
            while let Err(error) = self.connect().await {
                tracing::debug!(%error, "cannot reconnect to Redis for pub/sub");
                tokio::time::sleep(backoff.next_pause()).await;
            }
            tracing::info!("the pub/sub connection to Redis is restored");
            self.topics.wake_pollers();
        }
    }

    async fn check(&self) -> std::result::Result<(), Error> {
        let state = self.state.write().await;
        let Some(pub_sub) = &state.pub_sub else { return Ok(()) };
        pub_sub.keep_only(&self.topics.subscribed()).await?;
        pub_sub.established.command::<Value>(&redis::cmd("PING")).await.map(drop)
    }
}

impl PubSub {
    /// Two callers at once do no harm: a second subscription to one channel has no effect.
    async fn add(&self, topic: &Topic) -> std::result::Result<(), Error> {
        if self.confirmed().contains(topic) {
            return Ok(());
        }
        self.established.ssubscribe(&channel(topic)).await?;
        self.confirmed().insert(topic.clone());
        Ok(())
    }

    async fn add_all(&self, topics: &HashSet<Topic>) -> std::result::Result<(), Error> {
        let topics: Vec<&Topic> = topics.iter().collect();
        for some in topics.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|topic| self.add(topic))).await?;
        }
        Ok(())
    }

    async fn keep_only(&self, wanted: &HashSet<Topic>) -> std::result::Result<(), Error> {
        let unwanted: Vec<Topic> =
            self.confirmed().extract_if(|topic| !wanted.contains(topic)).collect();
        for some in unwanted.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|topic| self.remove(topic))).await?;
        }
        Ok(())
    }

    async fn remove(&self, topic: &Topic) -> std::result::Result<(), Error> {
        self.established.sunsubscribe(&channel(topic)).await
    }

    fn confirmed(&self) -> MutexGuard<'_, HashSet<Topic>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes what Redis pushes to the listeners of this process. Never blocks.
struct Pushes {
    topics: Arc<Topics>,
    lost: Arc<Notify>,
}

impl AsyncPushSender for Pushes {
    fn send(&self, push: PushInfo) -> std::result::Result<(), SendError> {
        match push.kind {
            PushKind::SMessage => {
                if let [Value::BulkString(channel), payload] = push.data.as_slice()
                    && let Some(topic) = std::str::from_utf8(channel).ok().and_then(topic)
                    && let Ok(payload) = String::from_redis_value_ref(payload)
                {
                    self.topics.wake(&topic, payload.into());
                }
            }
            PushKind::Disconnection => self.lost.notify_one(),
            _ => {}
        }
        Ok(())
    }
}
