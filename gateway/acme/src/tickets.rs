//! Session ticket keys: rotated, and shared through storage so that a session of one replica
//! resumes on another.

mod ring;

pub use ring::Ticketer;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, from_unix, unix};
use crate::records::{Records, TicketKeyRecord, TicketKeys};
use crate::storage::{Lock, Storage, StorageError};
use ring::{KEY_LEN, Key, NAME_LEN, Ring};

/// Lifetime of ticket keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketSettings {
    /// How long one key encrypts.
    pub rotate: Duration,
    /// Generations in use: the one that encrypts and those that still decrypt. At least two.
    pub generations: usize,
    /// How often storage is read. A new key starts to encrypt after two polls, so that every
    /// replica has read it.
    pub poll: Duration,
}

impl Default for TicketSettings {
    fn default() -> Self {
        Self {
            rotate: Duration::from_secs(12 * 3600),
            generations: 3,
            poll: Duration::from_secs(30),
        }
    }
}

/// Maintains the keys of a [`Ticketer`].
pub struct TicketMaintainer {
    settings: TicketSettings,
    records: Records,
    clock: Arc<dyn Clock>,
    ticketer: Arc<Ticketer>,
}

impl TicketMaintainer {
    /// The ticketer works at once, with a local key until storage is read.
    pub fn new(
        settings: TicketSettings,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        let settings = TicketSettings { generations: settings.generations.max(2), ..settings };
        let first = fresh(SystemTime::UNIX_EPOCH)?;
        let ring = Ring::parse(&TicketKeys { keys: vec![first] });
        // RFC 8446 section 4.6.1: seven days at most.
        let generations = u32::try_from(settings.generations - 1).unwrap_or(u32::MAX);
        let lifetime = settings.rotate.saturating_mul(generations).as_secs().clamp(1, WEEK);
        let lifetime = u32::try_from(lifetime).unwrap_or(u32::MAX);
        let ticketer = Arc::new(Ticketer::new(ring, lifetime, Arc::clone(&clock)));
        Ok(Self { settings, records: Records::new(storage), clock, ticketer })
    }

    /// For [`ServerConfig::ticketer`](rustls::ServerConfig). Stays the same while keys are rotated.
    pub fn ticketer(&self) -> Arc<Ticketer> {
        Arc::clone(&self.ticketer)
    }

    /// Reads and rotates keys until `shutdown`. When storage fails, the current keys stay in use.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let refreshed = tokio::select! {
                () = shutdown.cancelled() => return,
                refreshed = self.refresh() => refreshed,
            };
            if let Err(error) = refreshed {
                tracing::warn!(
                    %error,
                    "cannot share session ticket keys: sessions resume on this replica only"
                );
            }
            let next = self.clock.now() + self.settings.poll;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Reads the keys from storage once, and adds a new one when it is due.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        // Replicas that start together: one creates the first key, the others read it a moment
        // later.
        for _ in 0..FIRST_KEY_READS {
            if self.try_refresh().await? {
                return Ok(());
            }
            tokio::time::sleep(FIRST_KEY_WAIT).await;
        }
        Ok(())
    }

    /// Returns true when storage holds keys.
    async fn try_refresh(&self) -> Result<bool, StorageError> {
        let now = self.clock.now();
        let mut keys = self.records.ticket_keys().await?.unwrap_or_default();
        if self.due(&keys, now)
            && let Some(fence) = self.records.lock(&Lock::TicketKeys, LOCK_TTL).await?
        {
            keys = self.records.ticket_keys().await?.unwrap_or_default();
            let rotated = if self.due(&keys, now) { Some(self.rotate(&keys, now)?) } else { None };
            if let Some(rotated) = rotated {
                self.records.put_ticket_keys(&rotated, &fence).await?;
                keys = rotated;
            }
            self.records.unlock(&fence).await?;
        }
        if !keys.keys.is_empty() {
            self.ticketer.replace(Ring::parse(&keys));
        }
        Ok(!keys.keys.is_empty())
    }

    fn due(&self, keys: &TicketKeys, now: SystemTime) -> bool {
        let newest = keys.keys.iter().map(|key| key.from).max();
        newest.is_none_or(|from| now >= from_unix(from) + self.settings.rotate)
    }

    fn rotate(&self, keys: &TicketKeys, now: SystemTime) -> Result<TicketKeys, StorageError> {
        // The first key is needed at once. Every replica has read a later one before it encrypts.
        let from = if keys.keys.is_empty() { now } else { now + self.settings.poll * 2 };
        let mut rotated = vec![fresh(from)?];
        // One more than the generations, until the newest starts to encrypt.
        rotated.extend(keys.keys.iter().take(self.settings.generations).cloned());
        Ok(TicketKeys { keys: rotated })
    }
}

impl fmt::Debug for TicketMaintainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketMaintainer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn fresh(from: SystemTime) -> Result<TicketKeyRecord, StorageError> {
    let (mut name, mut key) = ([0u8; NAME_LEN], [0u8; KEY_LEN]);
    aws_lc_rs::rand::fill(&mut name).and_then(|()| aws_lc_rs::rand::fill(&mut key)).map_err(
        |_| StorageError::unavailable("create", "a ticket key", "no randomness from the system"),
    )?;
    Ok(TicketKeyRecord { name: hex::encode(name), key: hex::encode(key), from: unix(from) })
}

impl Ring {
    /// Skips malformed keys: their sessions do not resume.
    fn parse(keys: &TicketKeys) -> Self {
        let key = |record: &TicketKeyRecord| {
            let (mut name, mut key) = ([0u8; NAME_LEN], [0u8; KEY_LEN]);
            hex::decode_to_slice(&record.name, &mut name).ok()?;
            hex::decode_to_slice(&record.key, &mut key).ok()?;
            Key::new(name, &key, from_unix(record.from))
        };
        Self::new(keys.keys.iter().filter_map(key).collect())
    }
}

/// Longer than it takes to create a key, much shorter than the poll.
const FIRST_KEY_READS: u32 = 10;
const FIRST_KEY_WAIT: Duration = Duration::from_millis(50);
const LOCK_TTL: Duration = Duration::from_secs(30);
const WEEK: u64 = 7 * 24 * 3600;

#[cfg(test)]
mod tests;
