//! Runs and their logs in Redis. A run is in its account's slot; the index of leases is in another.

use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::Message;
use backend_protocol::id::{AccountId, RunId};
use backend_protocol::run::RunEvent;
use redis::{FromRedisValue, Value};
use sha2::{Digest, Sha256};

use super::events::{Entry, events, position};
use super::sessions::{Shown, messages_from, session_from};
use super::{RedisStore, keys, ttl};
use crate::broker::Topic;
use crate::codec::{corrupt, encode, now, parsed};
use crate::error::Result;
use crate::runs::{NewRun, Opened, RunLog, Runs};

/// An open run stays this long after its lease, for a node to reap it.
const UNREAPED: Duration = Duration::from_secs(24 * 60 * 60);

/// The index outlives every lease.
const INDEX_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Runs read in one round of reaping.
const ROUND: usize = 100;

#[async_trait]
impl Runs for RedisStore {
    async fn open_run(&self, new: &NewRun) -> Result<Opened> {
        // Indexed first: a crash in between leaves an entry that the reaper removes, never a run
        // that the reaper cannot find.
        self.index(&new.account, &new.run, new.lease).await?;
        let prefix = keys::of(&new.account);
        let (key, body) = match &new.idempotency {
            Some((key, body)) => (hex::encode(Sha256::digest(key)), hex::encode(body)),
            None => (String::new(), String::new()),
        };
        let mut open = self.scripts.open_run.key(prefix.clone() + "sessions");
        open.key(format!("{prefix}idempotency:{key}"))
            .arg(prefix)
            .arg(new.session.as_str())
            .arg(new.run.as_str())
            .arg(encode("messages", &new.message)?)
            .arg(&new.model)
            .arg(&new.title)
            .arg(ttl(new.lease))
            .arg(ttl(UNREAPED))
            .arg(self.retention.history_messages)
            .arg(ttl(self.retention.session_ttl))
            .arg(body);
        let opened = opened_from(self.connection.script("session", &open).await?)?;
        if matches!(opened, Opened::New { .. }) {
            self.settle(&new.account).await?;
        }
        Ok(opened)
    }

    async fn append_run_events(
        &self,
        account: &AccountId,
        run: &RunId,
        events: &[RunEvent],
        lease: Duration,
    ) -> Result<bool> {
        let key = run_key(account, run);
        let mut append = self.scripts.append_run.key(&key);
        append
            .key(key.clone() + ":log")
            .arg(ttl(lease))
            .arg(ttl(UNREAPED))
            .arg(self.calls.name(run, events)?);
        for event in events {
            append.arg(encode("run log", event)?);
        }
        let open: bool = match self.connection.script("run", &append).await {
            Ok(open) => open,
            Err(error) => {
                self.calls.unsettled(run);
                return Err(error);
            }
        };
        self.calls.settled(run);
        if open {
            self.wake(&Topic::Run(run.clone())).await;
        }
        Ok(open)
    }

    async fn close_run(
        &self,
        account: &AccountId,
        run: &RunId,
        last: &RunEvent,
        answer: Option<&Message>,
    ) -> Result<bool> {
        let outcome = self.close(account, run, &encode("run log", last)?, answer, "").await?;
        self.calls.settled(run);
        self.unindex(account, run).await?;
        self.wake(&Topic::Run(run.clone())).await;
        Ok(outcome == "closed")
    }

    async fn run_log(
        &self,
        account: &AccountId,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Option<RunLog>> {
        let key = run_key(account, run);
        let mut read = self.scripts.read_run.key(&key);
        read.key(key.clone() + ":log").arg(position(after)).arg(limit);
        let found: Option<(String, u64, bool, Vec<Entry>)> =
            self.connection.script("run log", &read).await?;
        let Some((session, last, closed, entries)) = found else { return Ok(None) };
        let events = events("run log", &entries)?;
        let reached = events.last().map_or(after, |(position, _)| *position);
        Ok(Some(RunLog {
            session: parsed("run", session)?,
            events,
            finished: closed && reached >= last,
        }))
    }

    async fn request_stop(&self, account: &AccountId, run: &RunId) -> Result<bool> {
        let requested: bool = self
            .connection
            .script("run", &self.scripts.stop_run.key(run_key(account, run)))
            .await?;
        if requested {
            self.wake(&Topic::RunStop(run.clone())).await;
        }
        Ok(requested)
    }

    async fn stop_requested(&self, account: &AccountId, run: &RunId) -> Result<bool> {
        let get = redis::cmd("HEXISTS").arg(run_key(account, run)).arg("stop").clone();
        self.connection.command("run", &get).await
    }

    async fn reap_runs(&self, last: &RunEvent) -> Result<usize> {
        let last = encode("run log", last)?;
        let mut reaped = 0;
        loop {
            let mut due = redis::cmd("ZRANGEBYSCORE");
            due.arg(keys::LEASES).arg("-inf").arg(now()).arg("LIMIT").arg(0).arg(ROUND);
            let due: Vec<String> = self.connection.command("leases", &due).await?;
            for entry in &due {
                if self.reap(entry, &last).await? {
                    reaped += 1;
                }
            }
            if due.len() < ROUND {
                return Ok(reaped);
            }
        }
    }
}

impl RedisStore {
    /// Closes the run of an index entry if its lease has expired. Otherwise updates the entry.
    async fn reap(&self, entry: &str, last: &str) -> Result<bool> {
        let (account, run) =
            entry.split_once('.').ok_or_else(|| corrupt("leases", &"expected `account.run`"))?;
        let (account, run): (AccountId, RunId) =
            (parsed("leases", account.into())?, parsed("leases", run.into())?);
        let outcome = self.close(&account, &run, last, None, "over").await?;
        if let Ok(lease) = outcome.parse::<i64>() {
            let again = redis::cmd("ZADD").arg(keys::LEASES).arg(lease).arg(entry).clone();
            self.connection.command::<i64>("leases", &again).await?;
            return Ok(false);
        }
        self.unindex(&account, &run).await?;
        if outcome != "closed" {
            return Ok(false);
        }
        self.wake(&Topic::Run(run.clone())).await;
        self.wake(&Topic::RunStop(run)).await;
        Ok(true)
    }

    async fn close(
        &self,
        account: &AccountId,
        run: &RunId,
        last: &str,
        answer: Option<&Message>,
        only: &str,
    ) -> Result<String> {
        let key = run_key(account, run);
        let answer =
            answer.map(|answer| encode("messages", answer)).transpose()?.unwrap_or_default();
        let mut close = self.scripts.close_run.key(&key);
        close
            .key(key.clone() + ":log")
            .arg(keys::of(account))
            .arg(run.as_str())
            .arg(last)
            .arg(answer)
            .arg(self.retention.history_messages)
            .arg(ttl(self.retention.session_ttl))
            .arg(ttl(self.retention.run_ttl))
            .arg(only);
        self.connection.script("run", &close).await
    }

    /// Indexes only the first end of the lease, so that an append needs no second slot. The reaper
    /// reads the current one.
    async fn index(&self, account: &AccountId, run: &RunId, lease: Duration) -> Result<()> {
        let add = redis::cmd("ZADD")
            .arg(keys::LEASES)
            .arg(now() + ttl(lease))
            .arg(entry(account, run))
            .clone();
        self.connection.command::<i64>("leases", &add).await?;
        let keep = redis::cmd("PEXPIRE").arg(keys::LEASES).arg(ttl(INDEX_TTL)).clone();
        self.connection.command::<i64>("leases", &keep).await?;
        Ok(())
    }

    async fn unindex(&self, account: &AccountId, run: &RunId) -> Result<()> {
        let remove = redis::cmd("ZREM").arg(keys::LEASES).arg(entry(account, run)).clone();
        self.connection.command::<i64>("leases", &remove).await?;
        Ok(())
    }
}

fn run_key(account: &AccountId, run: &RunId) -> String {
    format!("{}run:{run}", keys::of(account))
}

fn entry(account: &AccountId, run: &RunId) -> String {
    format!("{account}.{run}")
}

fn opened_from(answer: Vec<Value>) -> Result<Opened> {
    let mut parts = answer.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    match text(next())?.as_str() {
        "conflict" => Ok(Opened::IdempotencyConflict),
        "existing" => Ok(Opened::Existing {
            run: parsed("idempotency key", text(next())?)?,
            session: parsed("idempotency key", text(next())?)?,
        }),
        "active" => Ok(Opened::Active { run: parsed("session", text(next())?)? }),
        _ => {
            let unreadable = |error| corrupt("session", &error);
            let session = session_from(Shown::from_redis_value(next()).map_err(unreadable)?)?;
            let history =
                messages_from(Vec::<String>::from_redis_value(next()).map_err(unreadable)?)?;
            Ok(Opened::New { session, history })
        }
    }
}

fn text(value: Value) -> Result<String> {
    String::from_redis_value(value).map_err(|error| corrupt("session", &error))
}
