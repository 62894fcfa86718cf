//! Waiting for replicas: with `wait_replicas`, a covered write is acknowledged after that many
//! replicas have it.
//!
//! `WAIT` promises the writes of its own connection and blocks the commands after it. Therefore
//! covered writes have their own connection, and reads do not wait. Each round writes a marker
//! first: the retry of a write that is already there may change nothing, and then `WAIT` has no
//! write that it must wait for. A round covers every write that ended before it, so many writers
//! share a few rounds. <https://redis.io/docs/latest/commands/wait/>
//!
//! If the connection is replaced during a write, the new one may lead to another master after a
//! failover. Then the write is an error, and the client sends it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::RedisStore;
use crate::error::{Result, StoreError};

/// Deadline of a round: shorter than that of a reply.
const DEADLINE: Duration = Duration::from_secs(1);

/// When a retry makes sense.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// One key for all nodes; its value has no meaning.
const MARKER: &str = "{replicas}:marker";

/// The connection of covered writes and their rounds.
pub(super) struct Replicas {
    store: Box<RedisStore>,
    wanted: u32,
    /// Writes that asked for a round so far.
    asked: AtomicU64,
    /// Locked during a round.
    last: Mutex<Option<Round>>,
}

struct Round {
    /// The last write it covers.
    covers: u64,
    connection: u64,
    outcome: Result<()>,
}

impl Replicas {
    pub(super) fn new(store: RedisStore, wanted: u32) -> Self {
        let (store, asked, last) = (Box::new(store), AtomicU64::new(0), Mutex::new(None));
        Self { store, wanted, asked, last }
    }

    /// Runs a write and returns its value once the replicas have it.
    pub(super) async fn acknowledged<'a, T: Send>(
        &'a self,
        write: impl FnOnce(&'a RedisStore) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let connection = self.store.connection.number().await?;
        let value = write(&self.store).await?;
        self.wait(connection).await?;
        Ok(value)
    }

    async fn wait(&self, connection: u64) -> Result<()> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if let Some(round) = &*last
            && round.covers >= ticket
            && round.connection == connection
        {
            return round.outcome.clone();
        }
        let covers = self.asked.load(Ordering::SeqCst);
        let outcome = self.round(connection).await;
        *last = Some(Round { covers, connection, outcome: outcome.clone() });
        outcome
    }

    async fn round(&self, number: u64) -> Result<()> {
        let connection = &self.store.connection;
        let mut marker = redis::cmd("SET");
        marker.arg(MARKER).arg("1").arg("PX").arg(10_000);
        connection.command_over::<()>(number, "the replicas", &marker).await?;
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.wanted).arg(super::ttl(DEADLINE));
        let have: u32 = connection.command_over(number, "the replicas", &wait).await?;
        if have >= self.wanted {
            return Ok(());
        }
        let reason = format!(
            "{have} of {} replicas acknowledged the write within {} s",
            self.wanted,
            DEADLINE.as_secs()
        );
        Err(StoreError::Unavailable { reason, retry_after: RETRY_AFTER })
    }
}
