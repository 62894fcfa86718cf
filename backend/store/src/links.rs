//! Links: a new device and a device of an account exchange messages until the account approves the
//! new device, which then claims a credential.

use async_trait::async_trait;
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::identity::SignedEntry;
use backend_protocol::linking::RelayedMessages;
use serde::Deserialize;

use crate::accounts::{Account, CredentialHash};
use crate::error::Result;
use crate::identities::Append;

/// Digits of a code.
const DIGITS: usize = 8;

/// Eight digits that find a link.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct LinkCode(String);

/// A text that is no link code.
#[derive(Debug, thiserror::Error)]
#[error("a link code is {DIGITS} digits")]
pub struct InvalidCode;

impl LinkCode {
    /// A random code.
    pub fn random() -> Self {
        let number = rand::random_range(0..10u32.pow(DIGITS as u32));
        Self(format!("{number:0DIGITS$}"))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LinkCode {
    type Error = InvalidCode;
    fn try_from(text: String) -> std::result::Result<Self, InvalidCode> {
        let is_code = text.len() == DIGITS && text.bytes().all(|digit| digit.is_ascii_digit());
        if is_code { Ok(Self(text)) } else { Err(InvalidCode) }
    }
}

/// SHA-256 of the new device's token. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// A party of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// The new device, identified by its token.
    New(TokenHash),
    /// A device of this account. The first account that posts is bound to the link.
    Old(AccountId),
}

/// The outcome of posting a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posting {
    /// The message is the newest one.
    Posted,
    /// There is no such link, or it belongs to others.
    NotFound,
    /// The link has too many messages or bytes.
    Full,
}

/// An approval of a new device.
#[derive(Debug, Clone)]
pub struct NewApproval {
    /// The account that approves it.
    pub account: AccountId,
    /// The new device.
    pub device: DeviceId,
    /// The version of the entry in the account's device log.
    pub version: u64,
    /// The entry.
    pub entry: SignedEntry,
}

/// The outcome of an approval. Except for `Approved`, nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// The log has the entry, and the new device may claim the link.
    Approved,
    /// There is no such link, or it is bound to another account.
    NotFound,
    /// The link is bound to no account.
    Unbound,
    /// Another device was approved for this link.
    OtherDevice,
    /// The device was removed from the account.
    Removed,
    /// The account has too many devices.
    TooMany,
    /// The device log rejected the entry.
    Rejected(Append),
}

/// The outcome of claiming a link. Except for `Claimed`, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkClaim {
    /// The credential opens this account and is bound to the approved device.
    Claimed(Account),
    /// There is no such link, the token is another one, or the account has expired.
    NotFound,
    /// The account has approved no device.
    NotApproved,
    /// The link was claimed before.
    ClaimedBefore,
    /// The approved device was removed.
    Removed,
}

/// Links. Each ends `Retention::link_ttl` after it was opened.
#[async_trait]
pub trait Links: Send + Sync {
    /// Opens a link; false when the code is in use.
    async fn open_link(&self, code: &LinkCode, token: &TokenHash) -> Result<bool>;

    /// True when the token is the link's, or the account is bound to it.
    async fn is_party(&self, code: &LinkCode, party: &Party) -> Result<bool>;

    /// Appends a message, within `MAX_LINK_MESSAGES` and `MAX_LINK_BYTES`.
    async fn post_to_link(&self, code: &LinkCode, party: &Party, body: &str) -> Result<Posting>;

    /// The messages after `after`. An account may read a link that is not bound yet. `None` when
    /// there is no such link, or it belongs to others.
    async fn link_messages(
        &self,
        code: &LinkCode,
        party: &Party,
        after: u32,
    ) -> Result<Option<RelayedMessages>>;

    /// Appends the approval to the device log of the account that is bound to the link.
    async fn approve_link(&self, code: &LinkCode, approval: &NewApproval) -> Result<Approval>;

    /// Adds the credential to the account that approved the new device, once.
    async fn claim_link(
        &self,
        code: &LinkCode,
        token: &TokenHash,
        credential: &CredentialHash,
    ) -> Result<LinkClaim>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_eight_digits() {
        for _ in 0..100 {
            let code = LinkCode::random();
            assert!(LinkCode::try_from(code.as_str().to_owned()).is_ok());
        }
        for wrong in ["", "1234567", "123456789", "1234567x", "１２３４５６７８"] {
            assert!(LinkCode::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
