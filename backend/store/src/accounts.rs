//! Who is who: accounts, the credentials that open them, usernames and devices.

use async_trait::async_trait;
use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};

use crate::allowance::{Allowance, Wait};
use crate::error::Result;
use crate::username::Username;

/// Names that one account may hold back after giving them up. More would let one account block any
/// number of names.
pub const MAX_NAMES_GIVEN_UP: usize = 10;

/// Devices of one account that were removed and can never be registered again. With as many, no new
/// one is added.
pub const MAX_DEVICES_REMOVED: usize = 256;

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

/// What a credential opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Its account.
    Account(Account),
    /// Nothing any more: it belonged to a device that was removed.
    Removed,
    /// Nothing: it was signed out, has expired, or never opened anything.
    Unknown,
}

impl Access {
    /// The account, when it opens one.
    pub fn account(self) -> Option<Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::Removed | Self::Unknown => None,
        }
    }
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its name on the wire.
    pub id: AccountId,
    /// What opens it.
    pub credential: CredentialHash,
    /// A username to be claimed in the same step.
    pub username: Option<Username>,
    /// Where it comes from and how many accounts may; unlimited when absent.
    pub allowance: Option<Allowance>,
}

/// The outcome of making an account. Whatever it is but `Opened`, no account was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The account exists.
    Opened,
    /// Another account has the username, or one that looks the same.
    Taken,
    /// Another account gave the username up a short time ago.
    HeldBack,
    /// Too many accounts come from this place.
    OverAllowance(Wait),
}

/// The outcome of claiming a username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the account's now (again, perhaps).
    Claimed {
        /// The name until now. After an error the next claim returns the one that no event named
        /// yet.
        previous: Option<String>,
    },
    /// Another account has it, or one that looks the same.
    Taken,
    /// Another account gave it up a short time ago and may take it back.
    HeldBack,
    /// The account holds back as many names as it may: [`MAX_NAMES_GIVEN_UP`].
    TooMany,
}

/// The outcome of registering a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChange {
    /// A new device.
    Added,
    /// The same device with the same keys.
    Unchanged,
    /// The device exists with other keys. Keys never change in place: the client makes a new
    /// device.
    Conflict,
    /// The account has as many devices as it may.
    TooMany,
    /// The device was removed from this account, or the credential belonged to one that was.
    Removed,
}

/// The outcome of removing a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone for good, and the credentials that belonged to it open nothing any more.
    Removed {
        /// One of them was the asker's own, which other devices use too: the fresh one opens the
        /// account instead.
        replaced: bool,
    },
    /// There was none.
    NotFound,
    /// The asker's credential belonged to a removed device itself.
    Refused,
}

/// Accounts, and what belongs to one directly.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account, claims its username and counts it against its allowance, or does nothing
    /// of it.
    ///
    /// Until its first write (a username, a device, a run) it lives for `Retention::opened_ttl`,
    /// and reading does not renew that.
    async fn open_account(&self, new: &NewAccount) -> Result<Opening>;

    /// Makes an account that this credential opens, without name or limit.
    async fn create_account(&self, account: &AccountId, credential: &CredentialHash) -> Result<()> {
        let (id, credential) = (account.clone(), *credential);
        self.open_account(&NewAccount { id, credential, username: None, allowance: None })
            .await
            .map(drop)
    }

    /// What this credential opens. Using it renews the account's time to live.
    async fn access(&self, credential: &CredentialHash) -> Result<Access>;

    /// Signs out: the credential opens nothing any more, and is forgotten.
    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()>;

    /// An account by its id.
    async fn account(&self, account: &AccountId) -> Result<Option<Account>>;

    /// An account by its username; names that look the same are the same.
    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>>;

    /// Claims a username for an account. The earlier one is held back for this account
    /// (`Retention::name_hold`). Each person it has a conversation with, and its own devices, get
    /// an `InboxEvent::Renamed`.
    async fn claim_username(&self, account: &AccountId, username: &Username) -> Result<Claim>;

    /// Registers a device and its public keys; `by` belongs to it from now on.
    async fn add_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        keys: &DeviceKeys,
        by: &CredentialHash,
    ) -> Result<DeviceChange>;

    /// A registered device is used with this credential, which belongs to it from now on. False
    /// when the device is not registered, or the credential belonged to a removed one.
    async fn use_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
    ) -> Result<bool>;

    /// Removes a device for good: it can never be registered again, and the credentials that
    /// belonged to it open nothing any more. When `by`, who asks, is one of them and belongs to
    /// other devices too, `fresh` opens the account instead.
    async fn remove_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
        fresh: &CredentialHash,
    ) -> Result<Removal>;

    /// The account's devices, oldest first.
    async fn devices(&self, account: &AccountId) -> Result<Vec<Device>>;
}
