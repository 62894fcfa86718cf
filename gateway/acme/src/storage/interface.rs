//! The interface of storage: items, locks, fences and errors.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// A stored item. Its `Display` is its key: letters, digits, `.`, `-`, `_` and one `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// The certificate and key of a set of names, by [`NameSet::id`](crate::NameSet::id).
    Certificate(String),
    /// Failed attempts for a set of names, by its id, so that replicas share the backoff.
    Attempts(String),
    /// The account key at one authority, by a digest of its directory URL.
    Account(String),
    /// The answer for an HTTP-01 token.
    Http01(String),
    /// The answer for a server name in a TLS handshake.
    TlsAlpn01(String),
    /// The session ticket keys.
    TicketKeys,
}

/// Work that only one replica may do at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// Ordering for a set of names, by its id.
    Order(String),
    /// Registering an account, by a digest of the directory URL.
    Account(String),
    /// Rotating the ticket keys.
    TicketKeys,
}

/// Proof of holding a [`Lock`]. The token grows with each holder, so that a late holder is
/// detected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lock.
    pub lock: Lock,
    /// Larger than that of every earlier holder.
    pub token: u64,
}

/// One storage, shared by the replicas. Values are opaque bytes.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Reads an item.
    async fn read(&self, item: &Item) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes an item atomically, unless another holder took the lock after `fence`. A challenge
    /// may be dropped after [`CHALLENGE_LIFETIME`].
    async fn write(&self, item: &Item, value: &[u8], fence: &Fence) -> Result<(), StorageError>;

    /// Removes an item, under the same condition.
    async fn remove(&self, item: &Item, fence: &Fence) -> Result<(), StorageError>;

    /// Takes a lock for `ttl`. `None` while another holds it.
    async fn lock(&self, lock: &Lock, ttl: Duration) -> Result<Option<Fence>, StorageError>;

    /// Extends the lock to `ttl` from now. [`StorageError::Fenced`] when another holder took it.
    async fn extend(&self, fence: &Fence, ttl: Duration) -> Result<(), StorageError>;

    /// Releases the lock, if still held.
    async fn unlock(&self, fence: &Fence) -> Result<(), StorageError>;
}

/// How long a challenge that is not removed stays.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Item {
    pub(crate) fn is_challenge(&self) -> bool {
        matches!(self, Self::Http01(_) | Self::TlsAlpn01(_))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(id) => write!(f, "certificates/{}", Safe(id)),
            Self::Attempts(id) => write!(f, "attempts/{}", Safe(id)),
            Self::Account(id) => write!(f, "accounts/{}", Safe(id)),
            Self::Http01(token) => write!(f, "challenges/http-01.{}", Safe(token)),
            Self::TlsAlpn01(name) => write!(f, "challenges/tls-alpn-01.{}", Safe(name)),
            Self::TicketKeys => f.write_str("tickets/keys"),
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => write!(f, "locks/order.{}", Safe(id)),
            Self::Account(id) => write!(f, "locks/account.{}", Safe(id)),
            Self::TicketKeys => f.write_str("locks/tickets"),
        }
    }
}

/// Escapes a name, so that its key cannot leave its directory.
struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => write!(f, "{c}"),
            other => write!(f, "={:x}=", u32::from(other)),
        })
    }
}

/// In bytes. A shorter secret is a password, and HKDF does not strengthen those.
pub(super) const LEAST_SECRET: usize = 32;

/// Why a storage operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// Another holder has the lock.
    #[error("another replica took {lock}: nothing was written")]
    Fenced {
        /// The lock.
        lock: String,
    },
    /// The storage is not usable at present.
    #[error("cannot {doing} {place}: {reason}")]
    Unavailable {
        /// Read, write, lock …
        doing: &'static str,
        /// The path or key.
        place: String,
        /// The error of the system.
        reason: String,
    },
    /// The secret differs from the one that sealed the value.
    #[error(
        "{place} was sealed with another secret or was tampered with: give every replica the same storage secret"
    )]
    Sealed {
        /// The key.
        place: String,
    },
    /// The secret is too short.
    #[error("expected a storage secret of {} random bytes or more, got {got}", LEAST_SECRET)]
    ShortSecret {
        /// Its length in bytes.
        got: usize,
    },
    /// The stored value is not in the format of this version.
    #[error("{place} has unexpected contents: {reason}; remove it to start over")]
    Malformed {
        /// The path or key.
        place: String,
        /// The error of the parser.
        reason: String,
    },
}

impl StorageError {
    pub(crate) fn unavailable(
        doing: &'static str,
        place: impl fmt::Display,
        reason: impl fmt::Display,
    ) -> Self {
        Self::Unavailable { doing, place: place.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn fenced(lock: &Lock) -> Self {
        Self::Fenced { lock: lock.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_external_name_leaves_its_directory() {
        let item = Item::Http01("../../etc/passwd\0".to_owned());
        assert_eq!(item.to_string(), "challenges/http-01...=2f=..=2f=etc=2f=passwd=0=");
        assert_eq!(
            Item::TlsAlpn01("a.example".into()).to_string(),
            "challenges/tls-alpn-01.a.example"
        );
    }
}
