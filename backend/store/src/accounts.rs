//! Who is who: accounts, the credentials that open them, usernames and devices.

use async_trait::async_trait;
use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};

use crate::error::Result;
use crate::username::Username;

/// SHA-256 of a credential. The credential itself is never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash(pub [u8; 32]);

/// A person, as far as the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name on the wire.
    pub id: AccountId,
    /// The claimed username, as its owner writes it.
    pub username: Option<String>,
}

/// The outcome of claiming a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the account's now (again, perhaps); an earlier name of the account is free.
    Claimed,
    /// Somebody else has it, or one that looks the same.
    Taken,
}

/// The outcome of registering a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChange {
    /// A new device.
    Added,
    /// The same device with the same keys.
    Unchanged,
    /// The device exists with other keys. Keys never change in place: the client makes a new device.
    Conflict,
    /// The account has as many devices as it may.
    TooMany,
}

/// Accounts, and what belongs to one directly.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Creates an account that this credential opens.
    async fn create_account(&self, account: &AccountId, credential: &CredentialHash) -> Result<()>;

    /// The account that this credential opens. Using it renews the account's time to live.
    async fn account_by_credential(&self, credential: &CredentialHash) -> Result<Option<Account>>;

    /// Signs out: the credential opens nothing any more.
    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()>;

    /// An account by its id.
    async fn account(&self, account: &AccountId) -> Result<Option<Account>>;

    /// An account by its username; names that look the same are the same.
    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>>;

    /// Claims a username for an account, releasing its earlier one.
    async fn claim_username(&self, account: &AccountId, username: &Username) -> Result<Claim>;

    /// Registers a device and its public keys.
    async fn add_device(&self, account: &AccountId, device: &DeviceId, keys: &DeviceKeys) -> Result<DeviceChange>;

    /// Removes a device; false when there was none.
    async fn remove_device(&self, account: &AccountId, device: &DeviceId) -> Result<bool>;

    /// The account's devices, oldest first.
    async fn devices(&self, account: &AccountId) -> Result<Vec<Device>>;
}
