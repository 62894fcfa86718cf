//! Links in Redis.
//!
//! A link is in its own slot and expires there. Approving it appends to the device log in the
//! account's slot (the commit point), then marks the link: a repeated call completes what a crash
//! left out. Claiming it first adds the credential to the account, then marks the link as claimed
//! (the commit point): a crash in between leaves a credential that was given to no client.

use async_trait::async_trait;
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::{MAX_LINK_BYTES, MAX_LINK_MESSAGES};
use backend_protocol::linking::{LinkSide, RelayedMessage, RelayedMessages};

use super::accounts::account_from;
use super::identities::{Appending, Approving};
use super::{RedisStore, keys, ttl};
use crate::accounts::{Account, CredentialHash};
use crate::codec::{corrupt, parsed};
use crate::error::Result;
use crate::identities::Append;
use crate::links::{Approval, LinkClaim, LinkCode, Links, NewApproval, Party, Posting, TokenHash};

#[async_trait]
impl Links for RedisStore {
    async fn open_link(&self, code: &LinkCode, token: &TokenHash) -> Result<bool> {
        let mut open = self.scripts.open_link.key(link(code));
        open.arg(hex::encode(token.0)).arg(ttl(self.retention.link_ttl));
        self.connection.script("link", &open).await
    }

    async fn is_party(&self, code: &LinkCode, party: &Party) -> Result<bool> {
        let (side, name) = named(party);
        let mut look = self.scripts.use_link.key(link(code));
        self.connection.script("link", look.arg(side).arg(name)).await
    }

    async fn post_to_link(&self, code: &LinkCode, party: &Party, body: &str) -> Result<Posting> {
        let (side, name) = named(party);
        let mut post = self.scripts.post_to_link.key(link(code));
        post.key(messages(code)).arg(side).arg(name).arg(body);
        post.arg(format!("{:016x}", rand::random::<u64>()));
        post.arg(MAX_LINK_MESSAGES).arg(MAX_LINK_BYTES);
        match self.connection.script::<String>("link", &post).await?.as_str() {
            "posted" => Ok(Posting::Posted),
            "full" => Ok(Posting::Full),
            _ => Ok(Posting::NotFound),
        }
    }

    async fn link_messages(
        &self,
        code: &LinkCode,
        party: &Party,
        after: u32,
    ) -> Result<Option<RelayedMessages>> {
        let (side, name) = named(party);
        let mut read = self.scripts.read_link.key(link(code));
        read.key(messages(code)).arg(side).arg(name).arg(after);
        let found: Vec<String> = self.connection.script("link", &read).await?;
        let mut found = found.into_iter();
        let Some(state) = found.next() else { return Ok(None) };
        let mut messages = Vec::with_capacity(found.len());
        // In this order: the range is not advanced beyond its end.
        for (message, index) in found.zip(after.saturating_add(1)..) {
            messages.push(message_from(index, &message)?);
        }
        Ok(Some(RelayedMessages { messages, approved: state == "approved" }))
    }

    async fn approve_link(&self, code: &LinkCode, approval: &NewApproval) -> Result<Approval> {
        let NewApproval { account, device, version, entry } = approval;
        let again = match self.mark_approved(code, approval, false).await?.as_str() {
            "open" => false,
            "approved" => true,
            "unbound" => return Ok(Approval::Unbound),
            "other" => return Ok(Approval::OtherDevice),
            _ => return Ok(Approval::NotFound),
        };
        let approving = Some(Approving { device, again });
        match self.append_to_log(account, *version, entry, approving).await? {
            Appending::Log(Append::Appended | Append::Unchanged) => {}
            Appending::Log(rejected) => return Ok(Approval::Rejected(rejected)),
            Appending::Removed => return Ok(Approval::Removed),
            Appending::TooMany => return Ok(Approval::TooMany),
        }
        match self.mark_approved(code, approval, true).await?.as_str() {
            "approved" => Ok(Approval::Approved),
            "other" => Ok(Approval::OtherDevice),
            // The link has expired in between. The entry stays, for a device without a credential.
            _ => Ok(Approval::NotFound),
        }
    }

    async fn claim_link(
        &self,
        code: &LinkCode,
        token: &TokenHash,
        credential: &CredentialHash,
    ) -> Result<LinkClaim> {
        let (account, device) = match self.mark_claimed(code, token, credential, false).await? {
            (LinkState::Open, Some(approved)) => approved,
            (state, _) => return Ok(state.refusal()),
        };
        let Some(found) = account_from(self.fields(&account).await?)? else {
            return Ok(LinkClaim::NotFound);
        };
        let mut bind = self.of_account(&self.scripts.link_credential, &account);
        bind.arg(device.as_str()).arg(hex::encode(credential.0));
        if self.connection.script::<String>("devices", &bind).await? != "linked" {
            return Ok(LinkClaim::Removed);
        }
        self.add_credential(&account, credential).await?;
        match self.mark_claimed(code, token, credential, true).await? {
            (LinkState::Claimed, _) => Ok(LinkClaim::Claimed(found)),
            (state, _) => {
                self.drop_credential(&found, credential).await?;
                Ok(state.refusal())
            }
        }
    }
}

/// What `claim_link.lua` returned.
#[derive(PartialEq, Eq)]
enum LinkState {
    None,
    Unapproved,
    ClaimedBefore,
    Open,
    Claimed,
}

impl LinkState {
    fn refusal(self) -> LinkClaim {
        match self {
            Self::Unapproved => LinkClaim::NotApproved,
            Self::ClaimedBefore => LinkClaim::ClaimedBefore,
            Self::None | Self::Open | Self::Claimed => LinkClaim::NotFound,
        }
    }
}

impl RedisStore {
    /// Checks, or marks, that the link approves the device.
    async fn mark_approved(
        &self,
        code: &LinkCode,
        approval: &NewApproval,
        mark: bool,
    ) -> Result<String> {
        let mut approve = self.scripts.approve_link.key(link(code));
        approve.arg(approval.account.as_str()).arg(approval.device.as_str()).arg(i32::from(mark));
        self.connection.script("link", &approve).await
    }

    /// Checks, or marks, that the link is claimed by the credential. Returns the account and the
    /// device when it may be.
    async fn mark_claimed(
        &self,
        code: &LinkCode,
        token: &TokenHash,
        credential: &CredentialHash,
        mark: bool,
    ) -> Result<(LinkState, Option<(AccountId, DeviceId)>)> {
        let mut claim = self.scripts.claim_link.key(link(code));
        claim.arg(hex::encode(token.0)).arg(hex::encode(credential.0)).arg(i32::from(mark));
        let found: Vec<String> = self.connection.script("link", &claim).await?;
        let mut found = found.into_iter();
        let state = match found.next().as_deref() {
            Some("open") => LinkState::Open,
            Some("claimed") => LinkState::Claimed,
            Some("unapproved") => LinkState::Unapproved,
            Some("claimed before") => LinkState::ClaimedBefore,
            _ => LinkState::None,
        };
        let (Some(account), Some(device)) = (found.next(), found.next()) else {
            return Ok((state, None));
        };
        Ok((state, Some((parsed("link", account)?, parsed("link", device)?))))
    }

    /// Deletes a credential that lost the claim.
    async fn drop_credential(&self, account: &Account, credential: &CredentialHash) -> Result<()> {
        let delete = redis::cmd("DEL").arg(keys::credential(credential)).clone();
        self.connection.command::<i64>("credential", &delete).await?;
        let mut unbind = redis::cmd("HDEL");
        unbind.arg(keys::of(&account.id) + "credentials").arg(hex::encode(credential.0));
        self.connection.command::<i64>("credentials", &unbind).await?;
        Ok(())
    }
}

/// The side of a party and its token or account, as stored.
fn named(party: &Party) -> (&'static str, String) {
    match party {
        Party::New(token) => ("n", hex::encode(token.0)),
        Party::Old(account) => ("o", account.to_string()),
    }
}

fn message_from(index: u32, message: &str) -> Result<RelayedMessage> {
    let (from, body) = match (message.strip_prefix('n'), message.strip_prefix('o')) {
        (Some(body), _) => (LinkSide::New, body),
        (None, Some(body)) => (LinkSide::Old, body),
        (None, None) => return Err(corrupt("link", &"expected a side and a body")),
    };
    Ok(RelayedMessage { index, from, body: body.to_owned() })
}

fn link(code: &LinkCode) -> String {
    keys::link(code) + "link"
}

fn messages(code: &LinkCode) -> String {
    keys::link(code) + "messages"
}
