//! Usernames in Redis.
//!
//! A name has its own key. Its value is the account that has the name, or `held <account>` after
//! that account gave it up. A claim reserves the name for a while, writes it into the account (the
//! commit point), extends the key, and holds the earlier name back. A crash in between leaves a
//! reservation that expires, or a name whose key the next use of the account extends. The key
//! outlives its account, so the name of an expired account is held back as well.

use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_protocol::live::InboxEvent;
use futures::future::try_join_all;

use super::accounts::account_from;
use super::{RedisStore, keys, ttl};
use crate::accounts::{Account, Claim, MAX_NAMES_GIVEN_UP};
use crate::codec::{corrupt, parsed};
use crate::error::Result;
use crate::mailboxes::Mailboxes;
use crate::username::Username;

/// How long a name stays reserved for an account that does not have it in its fields.
const RESERVATION: Duration = Duration::from_secs(10 * 60);

/// The prefix of the account that gave a name up.
const HELD: &str = "held ";

/// Inboxes written concurrently.
const AT_ONCE: usize = 64;

impl RedisStore {
    /// The account with this name.
    pub(super) async fn holder(&self, username: &Username) -> Result<Option<Account>> {
        let get = redis::cmd("GET").arg(keys::name_of(username)).clone();
        let Some(holder) = self.connection.command::<Option<String>>("name", &get).await? else {
            return Ok(None);
        };
        if holder.starts_with(HELD) {
            return Ok(None);
        }
        let fields = self.fields(&parsed("name", holder)?).await?;
        // A name that is only reserved belongs to no account.
        if fields.2.as_deref() == Some(username.key()) { account_from(fields) } else { Ok(None) }
    }

    /// Why this account cannot have this name, if it cannot.
    pub(super) async fn refusal(
        &self,
        account: &AccountId,
        username: &Username,
    ) -> Result<Option<Claim>> {
        let get = redis::cmd("GET").arg(keys::name_of(username)).clone();
        match self.connection.command::<Option<String>>("name", &get).await? {
            None => Ok(None),
            Some(holder) => self.refusal_of(account, holder).await,
        }
    }

    async fn refusal_of(&self, account: &AccountId, holder: String) -> Result<Option<Claim>> {
        let (held, holder) = match holder.strip_prefix(HELD) {
            Some(holder) => (true, holder.to_owned()),
            None => (false, holder),
        };
        let holder: AccountId = parsed("name", holder)?;
        if holder == *account {
            return Ok(None);
        }
        // The name of an expired account is held back as long as its key exists.
        let held = held || !self.account_exists(&holder).await?;
        Ok(Some(if held { Claim::HeldBack } else { Claim::Taken }))
    }

    pub(super) async fn claim(&self, account: &AccountId, username: &Username) -> Result<Claim> {
        let mut reserve = self.scripts.claim_name.key(keys::name_of(username));
        reserve.arg(account.as_str()).arg(ttl(RESERVATION.min(self.retention.account_ttl)));
        let holder: String = self.connection.script("name", &reserve).await?;
        if !holder.is_empty()
            && let Some(refusal) = self.refusal_of(account, holder).await?
        {
            return Ok(refusal);
        }
        let prefix = keys::of(account);
        let mut take = self.scripts.take_name.key(prefix.clone() + "account");
        take.key(prefix + "names").arg(username.display()).arg(username.key());
        take.arg(ttl(self.retention.name_hold)).arg(MAX_NAMES_GIVEN_UP);
        let (outcome, earlier): (String, String) = self.connection.script("account", &take).await?;
        if outcome != "taken" {
            self.release(account, username.key()).await?;
            return match outcome.as_str() {
                "too many" => Ok(Claim::TooMany),
                _ => Err(corrupt("account", &"the account that claims a name is gone")),
            };
        }
        self.renew_name(account, username.key(), true).await?;
        if !earlier.is_empty() && earlier != username.key() {
            let mut hold = self.scripts.hold_name.key(keys::name(&earlier));
            hold.arg(account.as_str()).arg(ttl(self.retention.name_hold));
            self.connection.script::<i64>("name", &hold).await?;
        }
        self.settle(account).await?;
        let previous = self.announce_name(account, username).await?;
        Ok(Claim::Claimed { previous })
    }

    /// Extends a name's key to the lifetime of its account plus the hold.
    pub(super) async fn renew_name(
        &self,
        account: &AccountId,
        key: &str,
        held: bool,
    ) -> Result<()> {
        let kept = self.retention.account_ttl.saturating_add(self.retention.name_hold);
        let mut renew = self.scripts.renew_name.key(keys::name(key));
        renew.arg(account.as_str()).arg(ttl(kept)).arg(i32::from(held));
        self.connection.script::<i64>("name", &renew).await?;
        Ok(())
    }

    /// Appends the rename event to the inboxes of the account's peers and to its own, unless that
    /// was done. Returns the previous name. After a crash, some inboxes may get the event twice.
    async fn announce_name(
        &self,
        account: &AccountId,
        username: &Username,
    ) -> Result<Option<String>> {
        let key = keys::of(account) + "account";
        let get = redis::cmd("HGET").arg(&key).arg("renamed_from").clone();
        let Some(previous) = self.connection.command::<Option<String>>("account", &get).await?
        else {
            return Ok(Some(username.display().to_owned()));
        };
        let previous = Some(previous).filter(|previous| !previous.is_empty());
        let conversations = self.conversations(account).await?;
        let peers = conversations.into_iter().map(|conversation| conversation.peer.account_id);
        let mut notified: Vec<AccountId> = peers.filter(|peer| peer != account).collect();
        if !self.list_devices(account).await?.is_empty() {
            notified.push(account.clone());
        }
        let username = username.display().to_owned();
        let event =
            InboxEvent::Renamed { account: account.clone(), username, previous: previous.clone() };
        for some in notified.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|account| self.append_event(account, &event))).await?;
        }
        let done = redis::cmd("HDEL").arg(&key).arg("renamed_from").clone();
        self.connection.command::<i64>("account", &done).await?;
        Ok(previous)
    }

    async fn release(&self, account: &AccountId, key: &str) -> Result<()> {
        let mut release = self.scripts.release_name.key(keys::name(key));
        self.connection.script::<i64>("name", release.arg(account.as_str())).await?;
        Ok(())
    }
}
