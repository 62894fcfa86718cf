//! Typed records over storage: written as JSON, validated when read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::challenge::ChallengeKind;
use crate::failure::Failure;
use crate::names::NameSet;
use crate::storage::{Fence, Item, Lock, Storage, StorageError};

/// A stored certificate.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The chain, leaf first.
    pub(crate) chain: String,
    /// The private key.
    pub(crate) key: String,
    /// The directory URL of its issuer.
    pub(crate) authority: String,
    /// When it was stored, in seconds since 1970.
    pub(crate) issued: u64,
    /// The authority's suggestion for its renewal.
    pub(crate) renewal: Option<Renewal>,
    /// The challenge that proved its names, if it was the same for all: tried first next time.
    #[serde(default)]
    pub(crate) proven: Option<ChallengeKind>,
}

/// The window that an authority suggests (RFC 9773), and the moment in it that was drawn for all
/// replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renewal {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// When to renew; `None` while the authority suggests nothing.
    pub(crate) at: Option<u64>,
    /// When to query again.
    #[serde(rename = "ask")]
    pub(crate) query: u64,
}

/// Failed attempts for a set of names since the last success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempts {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// The earliest time of the next attempt.
    pub(crate) next: u64,
    /// The last failure.
    pub(crate) error: Option<Failure>,
}

/// A stored account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) directory: String,
    pub(crate) contacts: Vec<String>,
    /// In the format of the ACME library: account URL and private key.
    pub(crate) credentials: serde_json::Value,
}

/// The session ticket keys, newest first.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct TicketKeys {
    pub(crate) keys: Vec<TicketKeyRecord>,
}

/// One session ticket key, in hex.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TicketKeyRecord {
    pub(crate) name: String,
    pub(crate) key: String,
    /// When it starts to encrypt, in seconds since 1970.
    pub(crate) from: u64,
}

/// The answer to a challenge.
#[derive(Clone, Serialize, Deserialize)]
struct Answer {
    key_authorization: String,
}

/// A [`Storage`] with the types of this crate.
#[derive(Clone)]
pub(crate) struct Records(Arc<dyn Storage>);

impl Records {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self(storage)
    }

    pub(crate) async fn certificate(
        &self,
        names: &NameSet,
    ) -> Result<Option<Stored>, StorageError> {
        self.get(&Item::Certificate(names.id())).await
    }

    pub(crate) async fn put_certificate(
        &self,
        names: &NameSet,
        stored: &Stored,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.put(&Item::Certificate(names.id()), stored, fence).await
    }

    pub(crate) async fn attempts(&self, names: &NameSet) -> Result<Attempts, StorageError> {
        Ok(self.get(&Item::Attempts(names.id())).await?.unwrap_or_default())
    }

    pub(crate) async fn put_attempts(
        &self,
        names: &NameSet,
        attempts: &Attempts,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.put(&Item::Attempts(names.id()), attempts, fence).await
    }

    pub(crate) async fn account(&self, directory: &str) -> Result<Option<Account>, StorageError> {
        self.get(&Item::Account(digest_of(directory))).await
    }

    pub(crate) async fn put_account(
        &self,
        account: &Account,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.put(&Item::Account(digest_of(&account.directory)), account, fence).await
    }

    pub(crate) fn account_lock(directory: &str) -> Lock {
        Lock::Account(digest_of(directory))
    }

    pub(crate) async fn answer(&self, challenge: &Item) -> Result<Option<String>, StorageError> {
        Ok(self.get::<Answer>(challenge).await?.map(|answer| answer.key_authorization))
    }

    pub(crate) async fn put_answer(
        &self,
        challenge: &Item,
        key_authorization: &str,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.put(challenge, &Answer { key_authorization: key_authorization.to_owned() }, fence)
            .await
    }

    pub(crate) async fn remove_answer(
        &self,
        challenge: &Item,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.0.remove(challenge, fence).await
    }

    pub(crate) async fn ticket_keys(&self) -> Result<Option<TicketKeys>, StorageError> {
        self.get(&Item::TicketKeys).await
    }

    pub(crate) async fn put_ticket_keys(
        &self,
        keys: &TicketKeys,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.put(&Item::TicketKeys, keys, fence).await
    }

    pub(crate) async fn lock(
        &self,
        lock: &Lock,
        ttl: Duration,
    ) -> Result<Option<Fence>, StorageError> {
        self.0.lock(lock, ttl).await
    }

    pub(crate) async fn extend(&self, fence: &Fence, ttl: Duration) -> Result<(), StorageError> {
        self.0.extend(fence, ttl).await
    }

    pub(crate) async fn unlock(&self, fence: &Fence) -> Result<(), StorageError> {
        self.0.unlock(fence).await
    }

    async fn get<T: DeserializeOwned>(&self, item: &Item) -> Result<Option<T>, StorageError> {
        let Some(bytes) = self.0.read(item).await? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|error| malformed(item, &error))
    }

    async fn put<T: Serialize>(
        &self,
        item: &Item,
        value: &T,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        let bytes = serde_json::to_vec(value).map_err(|error| malformed(item, &error))?;
        self.0.write(item, &bytes, fence).await
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}

fn malformed(item: &Item, error: &serde_json::Error) -> StorageError {
    // serde's text may quote its input, which may be a key: report only the position.
    let reason = format!("JSON error at line {} column {}", error.line(), error.column());
    StorageError::Malformed { place: item.to_string(), reason }
}

fn digest_of(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes())).chars().take(32).collect()
}
