//! Accounts, the credentials that open them, usernames and devices.

use async_trait::async_trait;
use backend_protocol::api::{Device, DeviceKeys};
use backend_protocol::id::{AccountId, DeviceId};

use crate::allowance::{Allowance, Wait};
use crate::error::Result;
use crate::username::Username;

/// Names reserved for one account after it gave them up. Without a limit, one account could block
/// any number of names.
pub const MAX_NAMES_GIVEN_UP: usize = 10;

/// Removed devices of one account, which can never be registered again. At this limit, no new
/// device is added.
pub const MAX_DEVICES_REMOVED: usize = 256;

/// SHA-256 of a credential. The credential itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash(pub [u8; 32]);

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The claimed username, as its owner writes it.
    pub username: Option<String>,
}

/// The result of looking up a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The credential opens this account.
    Account(Account),
    /// The credential was revoked with a removed device.
    Removed,
    /// The credential is unknown, signed out or expired.
    Unknown,
}

impl Access {
    /// The account, if the credential opens one.
    pub fn account(self) -> Option<Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::Removed | Self::Unknown => None,
        }
    }
}

/// An account to create.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// The credential that opens it.
    pub credential: CredentialHash,
    /// A username to claim in the same step.
    pub username: Option<Username>,
    /// The allowance to count the account against; unlimited when absent.
    pub allowance: Option<Allowance>,
}

/// The outcome of creating an account. Except for `Opened`, no account was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The account exists.
    Opened,
    /// Another account has the username, or one that looks the same.
    Taken,
    /// Another account gave the username up recently.
    HeldBack,
    /// The client's network has used up its allowance.
    OverAllowance(Wait),
}

/// The outcome of claiming a username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The account has the name (possibly as before).
    Claimed {
        /// The previous name. After an error, the next claim returns the name from before the
        /// failed claim.
        previous: Option<String>,
    },
    /// Another account has it, or one that looks the same.
    Taken,
    /// Another account gave it up recently and may claim it again.
    HeldBack,
    /// The account has reached [`MAX_NAMES_GIVEN_UP`].
    TooMany,
}

/// The outcome of registering a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChange {
    /// A new device.
    Added,
    /// The same device with the same keys.
    Unchanged,
    /// The same device with the same signing key and a higher generation of keys.
    Replaced,
    /// The device exists with another signing key, or with other keys of this or a higher
    /// generation.
    Conflict,
    /// The account has too many devices.
    TooMany,
    /// The device was removed from this account, or the credential was revoked with a removed
    /// device.
    Removed,
}

/// The outcome of removing a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The device is removed for good, and its credentials are revoked.
    Removed {
        /// The caller's own credential was among them and other devices use it, too: the fresh
        /// credential opens the account instead.
        replaced: bool,
    },
    /// There is no such device.
    NotFound,
    /// The caller's credential was revoked with a removed device.
    Refused,
}

/// Accounts, credentials, usernames and devices.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Creates an account, claims its username and counts it against its allowance; or does none of
    /// these.
    ///
    /// Until its first write (a username, a device, a run) it lives for `Retention::opened_ttl`,
    /// and reads do not renew that.
    async fn open_account(&self, new: &NewAccount) -> Result<Opening>;

    /// Creates an account with this credential, without a name or an allowance.
    async fn create_account(&self, account: &AccountId, credential: &CredentialHash) -> Result<()> {
        let (id, credential) = (account.clone(), *credential);
        self.open_account(&NewAccount { id, credential, username: None, allowance: None })
            .await
            .map(drop)
    }

    /// Looks up a credential. Renews the account's time to live.
    async fn access(&self, credential: &CredentialHash) -> Result<Access>;

    /// Signs out: deletes the credential.
    async fn revoke_credential(&self, credential: &CredentialHash) -> Result<()>;

    /// An account by its id.
    async fn account(&self, account: &AccountId) -> Result<Option<Account>>;

    /// An account by its username; names that look the same are equal.
    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>>;

    /// Claims a username for an account. The previous one stays reserved for this account
    /// (`Retention::name_hold`). Everyone with whom it has a conversation, and its own devices, get
    /// an `InboxEvent::Renamed`.
    async fn claim_username(&self, account: &AccountId, username: &Username) -> Result<Claim>;

    /// Registers a device and its public keys, or replaces its keys by a higher generation, and
    /// binds the credential `by` to it.
    async fn add_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        keys: &DeviceKeys,
        by: &CredentialHash,
    ) -> Result<DeviceChange>;

    /// Binds the credential `by` to a registered device. False when the device is not registered,
    /// or the credential was revoked with a removed device.
    async fn use_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
        by: &CredentialHash,
    ) -> Result<bool>;

    /// Removes a device for good, also one that was approved by a link and not registered yet: it
    /// can never be registered or approved again, and its credentials are revoked. When the
    /// caller's credential `by` is among them and bound to other devices, too, `fresh` opens the
    /// account instead.
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
