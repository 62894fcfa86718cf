//! Where certificates, account keys, challenges and ticket keys live, shared by all replicas.

mod directory;
mod records;
mod redis;
mod seal;

pub use directory::DirectoryStorage;
pub use redis::{RedisAddress, RedisStorage};

pub(crate) use records::{
    Account, Attempts, Records, Renewal, Stored, TicketKeyRecord, TicketKeys,
};

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// What is kept. Its `Display` is the key under which it is kept: letters, digits, `.`, `-`, `_`
/// and one `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// The certificate and key of a set of names, by [`NameSet::id`](crate::NameSet::id).
    Certificate(String),
    /// What was tried for a set of names, by its id: so that no replica hammers an authority.
    Attempts(String),
    /// The account key at one authority, by a digest of its directory URL.
    Account(String),
    /// What to answer for an HTTP-01 token.
    Http01(String),
    /// What to prove in a TLS handshake for a server name.
    TlsAlpn01(String),
    /// The session ticket keys.
    TicketKeys,
}

/// What only one replica may do at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// Order for a set of names, by its id.
    Order(String),
    /// Register an account, by a digest of the directory URL.
    Account(String),
    /// Rotate the ticket keys.
    TicketKeys,
}

/// Proof of holding a [`Lock`]. Its token grows with each holder, so a holder that overslept is
/// recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Which lock.
    pub lock: Lock,
    /// Larger than that of every holder before.
    pub token: u64,
}

/// One place, shared by the replicas. Values are opaque here; [`Records`] gives them their types.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Reads an item.
    async fn read(&self, item: &Item) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes an item as a whole or not at all, and only while nobody took the lock after `fence`.
    /// A challenge may be forgotten after [`CHALLENGE_LIFETIME`].
    async fn write(&self, item: &Item, value: &[u8], fence: &Fence) -> Result<(), StorageError>;

    /// Removes an item, under the same condition.
    async fn remove(&self, item: &Item, fence: &Fence) -> Result<(), StorageError>;

    /// Takes a lock for `ttl`; `None` while another holds it.
    async fn lock(&self, lock: &Lock, ttl: Duration) -> Result<Option<Fence>, StorageError>;

    /// Holds on for another `ttl` from now; [`StorageError::Fenced`] when another has taken the
    /// lock.
    async fn extend(&self, fence: &Fence, ttl: Duration) -> Result<(), StorageError>;

    /// Lets go, if still held.
    async fn unlock(&self, fence: &Fence) -> Result<(), StorageError>;
}

/// How long a challenge may stay when nobody removes it.
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

/// Keeps a key from climbing out of its directory, whatever it was made from.
struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => write!(f, "{c}"),
            other => write!(f, "={:x}=", u32::from(other)),
        })
    }
}

/// Why storage did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The lock belongs to somebody else by now.
    #[error("lost {lock} to another replica: nothing was written")]
    Fenced {
        /// Which lock.
        lock: String,
    },
    /// The storage cannot be used at the moment.
    #[error("cannot {doing} {place}: {reason}")]
    Unavailable {
        /// Read, write, lock …
        doing: &'static str,
        /// The path or key.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// The secret is not the one the value was sealed with.
    #[error(
        "{place} was sealed with another secret or was tampered with: give every replica the same storage secret"
    )]
    Sealed {
        /// The key.
        place: String,
    },
    /// The secret is too short to be one.
    #[error("expected a storage secret of {} random bytes or more, got {got}", seal::LEAST_SECRET)]
    ShortSecret {
        /// How many bytes came.
        got: usize,
    },
    /// What is kept is not what this version writes.
    #[error("{place} does not hold what was expected: {reason}; remove it to start anew")]
    Malformed {
        /// The path or key.
        place: String,
        /// What the parser says.
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
    fn no_name_from_outside_climbs_out_of_its_directory() {
        let item = Item::Http01("../../etc/passwd\0".to_owned());
        assert_eq!(item.to_string(), "challenges/http-01...=2f=..=2f=etc=2f=passwd=0=");
        assert_eq!(
            Item::TlsAlpn01("a.example".into()).to_string(),
            "challenges/tls-alpn-01.a.example"
        );
    }
}
