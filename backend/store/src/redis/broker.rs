//! Wake-ups over sharded pub/sub: one connection of its own, which listens to what this process listens to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use redis::aio::AsyncPushSender;
use redis::{FromRedisValue, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{Notify, RwLock};
use tokio::time::timeout;

use super::RedisStore;
use super::keys::{channel, topic};
use super::link::{Connection, translate};
use super::settings::{DEADLINE, RedisSettings, Target};
use crate::broker::{Broker, Payload, Subscription, Topic};
use crate::error::Result;
use crate::topics::Topics;

/// How often the connection is proven alive, and topics nobody listens to are given up.
const CHECK: Duration = Duration::from_secs(5);

/// The pause between two attempts to connect, doubled up to the longest, with jitter.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Subscriptions sent before the first of them is confirmed.
const AT_ONCE: usize = 256;

/// Takes what Redis pushes and hands it to the listeners of this process. Never blocks.
#[derive(Clone)]
pub(super) struct Hearing {
    topics: Arc<Topics>,
    lost: Arc<Notify>,
}

impl AsyncPushSender for Hearing {
    fn send(&self, push: PushInfo) -> std::result::Result<(), redis::aio::SendError> {
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

/// Keeps the subscriptions of this process alive.
pub(super) struct Listener {
    settings: RedisSettings,
    topics: Arc<Topics>,
    /// Readers subscribe; the writer connects, or gives up topics nobody listens to.
    line: RwLock<Option<Line>>,
}

struct Line {
    connection: Connection,
    /// Of this connection alone: the end of an earlier one is no news.
    lost: Arc<Notify>,
    confirmed: Mutex<HashSet<Topic>>,
}

impl Listener {
    pub(super) fn new(settings: RedisSettings) -> Self {
        Self { settings, topics: Arc::default(), line: RwLock::new(None) }
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        let (subscription, _) = self.topics.listen(topic);
        let line = self.line.read().await;
        if let Some(line) = &*line {
            line.add(topic).await.map_err(|error| translate("pub/sub", &error))?;
            return Ok(subscription);
        }
        drop(line);
        // Connecting subscribes to every topic that has a listener, this one included.
        self.connect().await?;
        Ok(subscription)
    }

    /// Connects unless somebody has, and listens to all that this process listens to.
    pub(super) async fn connect(&self) -> Result<()> {
        let mut line = self.line.write().await;
        let heard = self.topics.heard();
        let lost = |error| translate("pub/sub", &error);
        if let Some(line) = &*line {
            return line.add_all(&heard).await.map_err(lost);
        }
        let hearing = Hearing { topics: self.topics.clone(), lost: Arc::default() };
        let target = Target::build(&self.settings, Some(hearing.clone()))?;
        let connection = Connection::open(&target, Some(&hearing)).await.map_err(lost)?;
        let fresh = Line { connection, lost: hearing.lost, confirmed: Mutex::default() };
        fresh.add_all(&heard).await.map_err(lost)?;
        *line = Some(fresh);
        Ok(())
    }

    /// Runs until it is aborted: connects again when the line is lost, and tells everyone to look, because
    /// wake-ups may have been missed.
    pub(super) async fn tend(&self) {
        loop {
            let line = self.line.read().await.as_ref().map(|line| line.lost.clone());
            if let Some(lost) = line
                && timeout(CHECK, lost.notified()).await.is_err()
                && self.check().await.is_ok()
            {
                continue;
            }
            tracing::warn!("the pub/sub connection to Redis is lost; connecting again");
            *self.line.write().await = None;
            let mut pause = PAUSE;
            while let Err(error) = self.connect().await {
                tracing::debug!(%error, "Redis is not back yet");
                tokio::time::sleep(pause.mul_f32(0.5 + rand::random::<f32>() / 2.0)).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            tracing::info!("the pub/sub connection to Redis is back");
            self.topics.wake_those_who_look();
        }
    }

    async fn check(&self) -> RedisResult<()> {
        let guard = self.line.write().await;
        let Some(line) = &*guard else { return Ok(()) };
        line.keep_only(&self.topics.heard()).await?;
        let mut connection = line.connection.clone();
        redis::cmd("PING").query_async::<Value>(&mut connection).await?;
        Ok(())
    }
}

impl Line {
    /// Subscribing twice to one channel is one subscription, so two callers at once do no harm.
    async fn add(&self, topic: &Topic) -> RedisResult<()> {
        if self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).contains(topic) {
            return Ok(());
        }
        self.change("SSUBSCRIBE", topic).await?;
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone());
        Ok(())
    }

    async fn add_all(&self, topics: &HashSet<Topic>) -> RedisResult<()> {
        let topics: Vec<&Topic> = topics.iter().collect();
        for some in topics.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|topic| self.add(topic))).await?;
        }
        Ok(())
    }

    async fn keep_only(&self, heard: &HashSet<Topic>) -> RedisResult<()> {
        let unheard: Vec<Topic> = {
            let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
            confirmed.extract_if(|topic| !heard.contains(topic)).collect()
        };
        for some in unheard.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|topic| self.change("SUNSUBSCRIBE", topic))).await?;
        }
        Ok(())
    }

    async fn change(&self, command: &'static str, topic: &Topic) -> RedisResult<()> {
        let channel = channel(topic);
        let late = || Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        let sending = async {
            match (self.connection.clone(), command) {
                (Connection::Cluster(mut connection), "SSUBSCRIBE") => connection.ssubscribe(channel).await,
                (Connection::Cluster(mut connection), _) => connection.sunsubscribe(channel).await,
                (Connection::Single(mut connection), command) => {
                    redis::cmd(command).arg(channel).query_async::<Value>(&mut connection).await.map(drop)
                }
            }
        };
        timeout(DEADLINE, sending).await.unwrap_or_else(|_| late())
    }
}

#[async_trait]
impl Broker for RedisStore {
    async fn publish(&self, topic: &Topic, payload: Payload) -> Result<()> {
        let mut command = redis::cmd("SPUBLISH");
        command.arg(channel(topic)).arg(&*payload);
        self.link.command("pub/sub", &command).await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        self.listener.subscribe(topic).await
    }
}

impl RedisStore {
    /// Best effort: the write has happened, and whoever waits looks by itself.
    pub(super) async fn wake(&self, topic: &Topic) {
        if let Err(error) = self.publish(topic, Payload::from("")).await {
            tracing::debug!(%error, "a wake-up was lost");
        }
    }
}
