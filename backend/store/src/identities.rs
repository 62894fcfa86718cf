//! An account's identity and its device log. The store orders the entries and reads none of them.

use async_trait::async_trait;
use backend_protocol::id::AccountId;
use backend_protocol::identity::SignedEntry;

use crate::accounts::{Account, CredentialHash};
use crate::error::Result;

/// SHA-256 of a recovery token. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoveryHash(pub [u8; 32]);

/// An identity to store. Its device log starts with `entry`.
#[derive(Clone)]
pub struct NewIdentity {
    /// The public key, base64url.
    pub identity_key: String,
    /// The sealed private key, base64url.
    pub sealed: String,
    /// Finds the account again.
    pub recovery: RecoveryHash,
    /// The first entry of the device log.
    pub entry: SignedEntry,
    /// The public key of the identity to replace; absent when the account has none.
    pub replaces: Option<String>,
}

/// The outcome of storing an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityChange {
    /// The identity is stored, and the device log starts over.
    Stored,
    /// The same identity with the same first entry is stored.
    Unchanged,
    /// The account has another identity than `replaces`.
    Conflict,
    /// Another account has this recovery hash.
    RecoveryTaken,
}

/// The outcome of appending to a device log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The entry is the newest one.
    Appended,
    /// The log has this entry at this version.
    Unchanged,
    /// The account has no identity.
    NoIdentity,
    /// Another version comes next.
    Conflict {
        /// The version of the newest entry.
        newest: u64,
    },
    /// The log has `MAX_LOG_ENTRIES` entries.
    Full,
}

/// The public part of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The public key, base64url.
    pub identity_key: String,
    /// All entries, from version 1.
    pub log: Vec<SignedEntry>,
}

/// An account found by its recovery hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The account.
    pub account: Account,
    /// The public key, base64url.
    pub identity_key: String,
    /// The sealed private key, base64url.
    pub sealed: String,
}

/// Identities and device logs.
#[async_trait]
pub trait Identities: Send + Sync {
    /// Stores the account's first identity, or replaces the one named by `replaces`.
    async fn put_identity(&self, account: &AccountId, new: &NewIdentity) -> Result<IdentityChange>;

    /// Appends an entry if `version` comes next.
    async fn append_entry(
        &self,
        account: &AccountId,
        version: u64,
        entry: &SignedEntry,
    ) -> Result<Append>;

    /// The account's identity with its whole device log.
    async fn identity(&self, account: &AccountId) -> Result<Option<Identity>>;

    /// Finds the account with this recovery hash and adds the credential to it.
    async fn recover(
        &self,
        recovery: &RecoveryHash,
        credential: &CredentialHash,
    ) -> Result<Option<Recovery>>;
}
