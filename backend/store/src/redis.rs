//! The store for many nodes: Redis 7 or newer, or Valkey; one server, Sentinel or Cluster.
//!
//! ```text
//! {u:ACCOUNT}:…       account, devices, sessions, runs, inbox, presence     one slot, so one script each
//! {c:CONVERSATION}:…  counter, log, names of messages
//! {n:NAME}:… {k:CREDENTIAL}:…   who has a name, who is opened by a credential
//! {p:PLACE}:… {places}:…        accounts from one place, and the secret of its pseudonym
//! {lobby}:… {leases}:…          the lobby; runs by the end of their lease
//! ```
//!
//! A method that stays in one slot is one script. One that touches several has a commit point and
//! steps that may be repeated, so that the same call again mends what a crash left (`mailboxes.rs`
//! and `accounts.rs` say how). Every key has a time to live; expiry is Redis' own, so there is
//! nothing to sweep.

mod accounts;
mod broker;
mod calls;
mod devices;
mod events;
mod keys;
mod link;
mod mailboxes;
mod names;
mod presence;
mod runs;
mod scripts;
mod sessions;
mod settings;

pub use settings::RedisSettings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::task::JoinHandle;

use crate::canary::Canary;
use crate::error::Result;
use crate::{Retention, Store};
use broker::Listener;
use calls::Calls;
use link::Link;
use scripts::Scripts;
use settings::Target;

/// A store in Redis, for any number of nodes. Dropping it ends its connections.
pub struct RedisStore {
    link: Link,
    listener: Arc<Listener>,
    scripts: Scripts,
    calls: Calls,
    retention: Retention,
    tending: JoinHandle<()>,
}

impl RedisStore {
    /// Connects, and warns when Redis is set to throw data away.
    pub async fn connect(settings: RedisSettings, retention: Retention) -> Result<Self> {
        let link = Link::new(Target::build(&settings, None)?);
        warn_of_eviction(&link).await?;
        let listener = Arc::new(Listener::new(settings));
        listener.connect().await?;
        let tended = listener.clone();
        let tending = tokio::spawn(async move { tended.tend().await });
        Ok(Self {
            link,
            listener,
            scripts: Scripts::new(),
            calls: Calls::default(),
            retention,
            tending,
        })
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.tending.abort();
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
        let canary = Canary::new(self).await?;
        let key = format!("{{probe:{:016x}}}:written", rand::random::<u64>());
        let mut write = redis::cmd("SET");
        write.arg(&key).arg("1").arg("PX").arg(10_000);
        self.link.command::<()>("the probe", &write).await?;
        self.link.command::<i64>("the probe", redis::cmd("DEL").arg(&key)).await?;
        canary.sing(self).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}

/// With any other policy than `noeviction` a full Redis forgets messages that were promised.
async fn warn_of_eviction(link: &Link) -> Result<()> {
    let info: Value = link.command("INFO", redis::cmd("INFO").arg("memory")).await?;
    let mut texts = Vec::new();
    collect_texts(&info, &mut texts);
    let policies = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("maxmemory_policy:"));
    for policy in policies.map(str::trim).filter(|policy| *policy != "noeviction") {
        tracing::warn!(
            policy,
            "Redis may throw away what it promised to keep: set maxmemory-policy to noeviction"
        );
    }
    Ok(())
}

/// A cluster answers with one text for each node.
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
