//! The embedded store: one SQLite file with one writer thread and two reader threads; presence and
//! broker in memory.

mod open;
mod statement;
mod group;
mod worker;
mod account_rows;
mod inbox;
mod conversations;
mod sessions;
mod run_appends;
mod runs;
mod names;
mod devices;
mod accounts;
mod identities;
mod links;
mod mailboxes;
mod presence_table;
mod presence;
mod sweep;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rusqlite::Transaction;

use crate::broker::{Broker, Payload, Subscription, Topic};
use crate::error::Result;
use crate::topics::Topics;
use crate::wake_up_probe::WakeUpProbe;
use crate::{Retention, Store};
use presence_table::PresenceTable;
use run_appends::RunAppends;
use worker::Worker;

/// Reader threads.
const READERS: usize = 2;

/// A store in one file, for one process.
pub struct SqliteStore {
    writer: Worker,
    readers: [Worker; READERS],
    next_reader: AtomicUsize,
    topics: Topics,
    run_appends: RunAppends,
    presence: PresenceTable,
    retention: Retention,
    /// Locked for as long as the threads above may write.
    _lock: File,
}

impl SqliteStore {
    /// Opens the database file at `path` and creates it if it is missing. Dropping the store ends
    /// its threads.
    pub fn open(path: &Path, retention: Retention) -> Result<Self> {
        let lock = open::claim(path)?;
        let writer = Worker::start("store-write", open::writer(path)?)?;
        let reader = || Worker::start("store-read", open::reader(path)?);
        let readers = [reader()?, reader()?];
        Ok(Self {
            writer,
            readers,
            next_reader: AtomicUsize::new(0),
            topics: Topics::default(),
            run_appends: RunAppends::default(),
            presence: PresenceTable::default(),
            retention,
            _lock: lock,
        })
    }

    /// Returns after the commit is on the disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let next = self.next_reader.fetch_add(1, Ordering::Relaxed);
        self.readers[next % READERS].read(work).await
    }

    fn wake(&self, topic: &Topic) {
        self.topics.wake(topic, Payload::from(""));
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("retention", &self.retention).finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for SqliteStore {
    async fn publish(&self, topic: &Topic, payload: Payload) -> Result<()> {
        self.topics.wake(topic, payload);
        Ok(())
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        Ok(self.topics.listen(topic).0)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn probe(&self) -> Result<()> {
        let wake_up_probe = WakeUpProbe::new(self).await?;
        self.write(|tx| {
            let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
            // Writes the current value: proves that the file is writable without changing it.
            tx.pragma_update(None, "user_version", version)?;
            Ok(())
        })
        .await?;
        self.read(|tx| {
            Ok(tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?)
        })
        .await?;
        wake_up_probe.ping(self).await
    }

    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn sweep(&self) -> Result<u64> {
        self.presence.sweep();
        self.sweep_file().await
    }
}

#[cfg(test)]
mod tests;
