//! Wake-ups over sharded pub/sub: one connection of its own, which listens to what this process
//! listens to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
use crate::error::{Result, StoreError};
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
    place: RwLock<Place>,
}

#[derive(Default)]
struct Place {
    line: Option<Line>,
    /// When connecting last failed: those who waited for it need not try themselves.
    failed: Option<Instant>,
}

struct Line {
    connection: Connection,
    /// Of this connection alone: the end of an earlier one is no news.
    lost: Arc<Notify>,
    confirmed: Mutex<HashSet<Topic>>,
}

impl Listener {
    pub(super) fn new(settings: RedisSettings) -> Self {
        Self { settings, topics: Arc::default(), place: RwLock::default() }
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        let (subscription, _) = self.topics.listen(topic);
        let place = self.place.read().await;
        if let Some(line) = &place.line {
            line.add(topic).await.map_err(|error| translate("pub/sub", &error))?;
            return Ok(subscription);
        }
        drop(place);
        // Connecting subscribes to every topic that has a listener, this one included.
        self.connect().await?;
        Ok(subscription)
    }

    /// Connects unless somebody has, and listens to all that this process listens to.
    pub(super) async fn connect(&self) -> Result<()> {
        let asked = Instant::now();
        let mut place = self.place.write().await;
        let heard = self.topics.heard();
        if let Some(line) = &place.line {
            return line.add_all(&heard).await.map_err(|error| translate("pub/sub", &error));
        }
        if place.failed.is_some_and(|when| when >= asked) {
            return Err(StoreError::Unavailable {
                reason: "no pub/sub connection".into(),
                retry_after: LONGEST_PAUSE,
            });
        }
        let outcome = self.open(&heard).await;
        match outcome {
            Ok(line) => place.line = Some(line),
            Err(error) => {
                place.failed = Some(Instant::now());
                return Err(error);
            }
        }
        Ok(())
    }

    async fn open(&self, heard: &HashSet<Topic>) -> Result<Line> {
        let lost = |error| translate("pub/sub", &error);
        let hearing = Hearing { topics: self.topics.clone(), lost: Arc::default() };
        let target = Target::build(&self.settings, Some(hearing.clone()))?;
        let connection = Connection::open(&target, Some(&hearing)).await.map_err(lost)?;
        let line = Line { connection, lost: hearing.lost, confirmed: Mutex::default() };
        line.add_all(heard).await.map_err(lost)?;
        Ok(line)
    }

    /// Runs until it is aborted: connects again when the line is lost, and tells everyone to look,
    /// because wake-ups may have been missed.
    pub(super) async fn tend(&self) {
        loop {
            let lost = self.place.read().await.line.as_ref().map(|line| line.lost.clone());
            if let Some(lost) = lost
                && timeout(CHECK, lost.notified()).await.is_err()
                && self.check().await.is_ok()
            {
                continue;
            }
            tracing::warn!("the pub/sub connection to Redis is lost; connecting again");
            self.place.write().await.line = None;
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
        let place = self.place.write().await;
        let Some(line) = &place.line else { return Ok(()) };
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
                (Connection::Cluster(mut connection), "SSUBSCRIBE") => {
                    connection.ssubscribe(channel).await
                }
                (Connection::Cluster(mut connection), _) => connection.sunsubscribe(channel).await,
                (Connection::Single(mut connection), command) => redis::cmd(command)
                    .arg(channel)
                    .query_async::<Value>(&mut connection)
                    .await
                    .map(drop),
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
