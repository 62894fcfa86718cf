//! The store for many nodes: Redis 7 or newer, or Valkey; one server, Sentinel or Cluster.
//!
//! ```text
//! {u:ACCOUNT}:…       account, identity, devices, sessions, runs, inbox, presence: one slot, so
//!                     one script each
//! {c:CONVERSATION}:…  counter, log, names of messages
//! {u:ACCOUNT}:inbox:POSITION {c:CONVERSATION}:log:NUMBER   the body of a message with a lifetime
//! {n:NAME}:… {k:CREDENTIAL}:…   the account that has a name, the account that a credential opens
//! {i:RECOVERY}:… {l:CODE}:…     the account with a recovery hash; a link and its messages
//! {p:PLACE}:… {places}:…        requests from one network address, and the secret of its pseudonym
//! {lobby}:… {leases}:…          the lobby; runs by the end of their lease
//! ```
//!
//! A method that stays in one slot is one script. A method that touches several slots has a commit
//! point and repeatable steps, so that the same call again completes what a crash left out
//! (`mailboxes.rs`, `accounts.rs`, `identities.rs` and `links.rs` describe how). Every key has a
//! time to live and Redis expires it, so there is nothing to sweep.

mod settings;

mod connection;
mod events;
mod keys;
mod scripts;

mod calls;
mod listener;

mod accounts;
mod broker;
mod devices;
mod identities;
mod links;
mod persistence;
mod replicas;
mod conversation_log;
mod mailboxes;
mod names;
mod presence;
mod runs;
mod sessions;

pub use settings::RedisSettings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::task::JoinHandle;

use crate::error::Result;
use crate::wake_up_probe::WakeUpProbe;
use crate::{Retention, Store};
use calls::Calls;
use connection::Connection;
use listener::Listener;
use replicas::Replicas;
use scripts::Scripts;

/// A store in Redis, for any number of nodes. Dropping it closes its connections.
pub struct RedisStore {
    connection: Connection,
    listener: Arc<Listener>,
    scripts: Scripts,
    calls: Calls,
    retention: Retention,
    /// Absent when no write waits for replicas.
    replicas: Option<Replicas>,
    /// Absent in the store of [`Replicas`].
    maintenance: Option<JoinHandle<()>>,
}

impl RedisStore {
    /// Connects. Logs what the persistence of Redis means, and a warning when it may evict keys.
    pub async fn connect(settings: RedisSettings, retention: Retention) -> Result<Self> {
        settings.refuse_waiting_in_a_cluster()?;
        let connection = Connection::new(settings.target(None)?);
        warn_of_eviction(&connection).await?;
        persistence::log(&connection).await;
        let wanted = settings.wait_replicas;
        let waiting = (wanted > 0).then(|| settings.target(None)).transpose()?;
        let listener = Arc::new(Listener::new(settings));
        listener.connect().await?;
        let replicas = waiting.map(|target| {
            let (connection, listener) = (Connection::new(target), listener.clone());
            let (scripts, calls, retention) = (Scripts::new(), Calls::default(), retention.clone());
            let store = Self {
                connection,
                listener,
                scripts,
                calls,
                retention,
                replicas: None,
                maintenance: None,
            };
            Replicas::new(store, wanted)
        });
        let maintained = listener.clone();
        let maintenance = tokio::spawn(async move { maintained.maintain().await });
        Ok(Self {
            connection,
            listener,
            scripts: Scripts::new(),
            calls: Calls::default(),
            retention,
            replicas,
            maintenance: Some(maintenance),
        })
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        if let Some(maintenance) = &self.maintenance {
            maintenance.abort();
        }
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("retention", &self.retention).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn probe(&self) -> Result<()> {
        let wake_up_probe = WakeUpProbe::new(self).await?;
        let key = format!("{{probe:{:016x}}}:written", rand::random::<u64>());
        let mut write = redis::cmd("SET");
        write.arg(&key).arg("1").arg("PX").arg(10_000);
        self.connection.command::<()>("the probe", &write).await?;
        self.connection.command::<i64>("the probe", redis::cmd("DEL").arg(&key)).await?;
        wake_up_probe.ping(self).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}

/// With any other policy than `noeviction`, a full Redis drops messages that were acknowledged.
async fn warn_of_eviction(connection: &Connection) -> Result<()> {
    let info: Value = connection.command("INFO", redis::cmd("INFO").arg("memory")).await?;
    let mut texts = Vec::new();
    collect_texts(&info, &mut texts);
    for line in texts.iter().flat_map(|text| text.lines()) {
        let policy = line.strip_prefix("maxmemory_policy:").map(str::trim);
        if let Some(policy) = policy.filter(|policy| *policy != "noeviction") {
            tracing::warn!(
                policy,
                "Redis may evict data that the store has acknowledged: set maxmemory-policy to noeviction"
            );
        }
    }
    Ok(())
}

/// A cluster replies with one text for each node.
fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| collect_texts(value, texts)),
        _ => {}
    }
}

/// A time to live as scripts take it: whole milliseconds, at least one.
fn ttl(duration: Duration) -> i64 {
    crate::codec::millis(duration).max(1)
}

#[cfg(test)]
mod tests;
