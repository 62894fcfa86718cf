//! Session ticket keys: rotated, shared through storage, so that a session of one replica resumes
//! on another.

mod ring;

pub use ring::Ticketer;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::clock::{from_unix, unix};
use crate::storage::{Lock, Records, TicketKeyRecord, TicketKeys};
use crate::{Clock, Storage, StorageError};
use ring::{KEY_LEN, Key, NAME_LEN, Ring};

/// How long ticket keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketSettings {
    /// How long one key encrypts.
    pub rotate: Duration,
    /// How many generations are known: the one that encrypts and those that still decrypt. Two or
    /// more.
    pub generations: usize,
    /// How often storage is read; a new key encrypts only once every replica has had two chances to
    /// read it.
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

/// Keeps a [`Ticketer`] supplied with keys.
pub struct TicketKeeper {
    settings: TicketSettings,
    records: Records,
    clock: Arc<dyn Clock>,
    ticketer: Arc<Ticketer>,
}

impl TicketKeeper {
    /// A keeper whose ticketer works at once, with a key of its own until storage was read.
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

    /// For [`ServerConfig::ticketer`](rustls::ServerConfig); it stays the same while keys come and
    /// go.
    pub fn ticketer(&self) -> Arc<Ticketer> {
        Arc::clone(&self.ticketer)
    }

    /// Reads and rotates until `shutdown`. When storage fails, the keys at hand stay in use.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let tended = tokio::select! {
                () = shutdown.cancelled() => return,
                tended = self.tend() => tended,
            };
            if let Err(error) = tended {
                tracing::warn!(%error, "cannot share session ticket keys: sessions resume on this replica only");
            }
            let next = self.clock.now() + self.settings.poll;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// One look: takes over what storage holds, and adds a key when it is time.
    pub async fn tend(&self) -> Result<(), StorageError> {
        // Replicas that start together: one makes the first key, the others take it a moment later.
        for _ in 0..FIRST_KEY_LOOKS {
            if self.look().await? {
                return Ok(());
            }
            tokio::time::sleep(FIRST_KEY_WAIT).await;
        }
        Ok(())
    }

    /// Whether there are keys now.
    async fn look(&self) -> Result<bool, StorageError> {
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
        // The very first key is needed at once; later ones are known everywhere before they
        // encrypt.
        let from = if keys.keys.is_empty() { now } else { now + self.settings.poll * 2 };
        let mut rotated = vec![fresh(from)?];
        // One more than the generations while the newest waits for its turn.
        rotated.extend(keys.keys.iter().take(self.settings.generations).cloned());
        Ok(TicketKeys { keys: rotated })
    }
}

impl fmt::Debug for TicketKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn fresh(from: SystemTime) -> Result<TicketKeyRecord, StorageError> {
    let (mut name, mut key) = ([0u8; NAME_LEN], [0u8; KEY_LEN]);
    aws_lc_rs::rand::fill(&mut name).and_then(|()| aws_lc_rs::rand::fill(&mut key)).map_err(
        |_| StorageError::unavailable("make", "a ticket key", "the system gives no randomness"),
    )?;
    Ok(TicketKeyRecord { name: hex::encode(name), key: hex::encode(key), from: unix(from) })
}

impl Ring {
    /// Keys that cannot be read are left out: their sessions start anew.
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

/// Longer than it takes to make a key, much shorter than the poll.
const FIRST_KEY_LOOKS: u32 = 10;
const FIRST_KEY_WAIT: Duration = Duration::from_millis(50);
const LOCK_TTL: Duration = Duration::from_secs(30);
const WEEK: u64 = 7 * 24 * 3600;

#[cfg(test)]
mod tests;
