//! The real store behind a switch: calls can fail and wake-ups can get lost.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::{
    Conversation, Device, DeviceKeys, Message, Session, SessionPatch, User,
};
use backend_protocol::id::{AccountId, ConnectionId, ConversationId, DeviceId, RunId, SessionId};
use backend_protocol::identity::SignedEntry;
use backend_protocol::linking::RelayedMessages;
use backend_protocol::live::InboxEvent;
use backend_protocol::run::RunEvent;
use backend_store::accounts::{
    Access, Account, Accounts, Claim, CredentialHash, DeviceChange, NewAccount, Opening, Removal,
};
use backend_store::allowance::{Allowance, Allowances, Wait};
use backend_store::broker::{Broker, Payload, Subscription, Topic};
use backend_store::identities::{
    Append, Identities, Identity, IdentityChange, NewIdentity, Recovery, RecoveryHash,
};
use backend_store::links::{
    Approval, LinkClaim, LinkCode, Links, NewApproval, Party, Posting, TokenHash,
};
use backend_store::mailboxes::{Delivered, Delivery, InboxPage, Mailboxes, Page, Undelivered};
use backend_store::presence::{Presence, Transition};
use backend_store::runs::{NewRun, Opened, RunLog, Runs};
use backend_store::sessions::{Deleted, Sessions};
use backend_store::sqlite::SqliteStore;
use backend_store::username::Username;
use backend_store::{Result, Store, StoreError};
use tokio::sync::broadcast;

/// A store that fails on demand.
pub(crate) struct Faulty {
    inner: Arc<SqliteStore>,
    away: AtomicBool,
    /// How long a call takes before it fails.
    hang: Mutex<Duration>,
    /// Calls that failed, by name.
    failed: Mutex<HashMap<&'static str, usize>>,
    deaf: AtomicBool,
    /// Subscriptions made while deaf: they receive nothing, and `hang_up` closes them.
    silence: Mutex<broadcast::Sender<Payload>>,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<SqliteStore>) -> Self {
        Self {
            inner,
            away: AtomicBool::new(false),
            hang: Mutex::default(),
            failed: Mutex::default(),
            deaf: AtomicBool::new(false),
            silence: Mutex::new(broadcast::Sender::new(1)),
        }
    }

    /// Makes every call fail, or succeed again.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Calls that fail take this long, like those to a store that does not answer.
    pub(crate) fn set_hang(&self, hang: Duration) {
        *self.hang.lock().unwrap() = hang;
    }

    /// How many calls of this method failed.
    pub(crate) fn failed(&self, call: &str) -> usize {
        self.failed.lock().unwrap().get(call).copied().unwrap_or(0)
    }

    /// Subscriptions made from now on receive nothing.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Closes the subscriptions made while deaf.
    pub(crate) fn hang_up(&self) {
        *self.silence.lock().unwrap() = broadcast::Sender::new(1);
    }

    async fn check(&self, call: &'static str) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            let hang = *self.hang.lock().unwrap();
            tokio::time::sleep(hang).await;
            *self.failed.lock().unwrap().entry(call).or_default() += 1;
            return Err(StoreError::Unavailable {
                reason: "switched off by a test".into(),
                retry_after: Duration::from_millis(1_500),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Broker for Faulty {
    async fn publish(&self, topic: &Topic, payload: Payload) -> Result<()> {
        self.check("publish").await?;
        self.inner.publish(topic, payload).await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription> {
        self.check("subscribe").await?;
        if self.deaf.load(Ordering::SeqCst) {
            Ok(self.silence.lock().unwrap().subscribe())
        } else {
            self.inner.subscribe(topic).await
        }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn probe(&self) -> Result<()> {
        self.check("probe").await?;
        self.inner.probe().await
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}

macro_rules! pass_on {
    ($trait:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)+ }) => {
        #[async_trait]
        impl $trait for Faulty {
            $(async fn $name(&self, $($arg: $ty),*) -> Result<$out> {
                self.check(stringify!($name)).await?;
                self.inner.$name($($arg),*).await
            })+
        }
    };
}

pass_on!(Accounts {
    fn open_account(new: &NewAccount) -> Opening;
    fn access(credential: &CredentialHash) -> Access;
    fn revoke_credential(credential: &CredentialHash) -> ();
    fn account(account: &AccountId) -> Option<Account>;
    fn account_by_username(username: &Username) -> Option<Account>;
    fn claim_username(account: &AccountId, username: &Username) -> Claim;
    fn add_device(account: &AccountId, device: &DeviceId, keys: &DeviceKeys, by: &CredentialHash) -> DeviceChange;
    fn use_device(account: &AccountId, device: &DeviceId, by: &CredentialHash) -> bool;
    fn remove_device(account: &AccountId, device: &DeviceId, by: &CredentialHash, fresh: &CredentialHash) -> Removal;
    fn devices(account: &AccountId) -> Vec<Device>;
});

pass_on!(Allowances {
    fn spend(allowance: &Allowance) -> Option<Wait>;
});

pass_on!(Identities {
    fn put_identity(account: &AccountId, new: &NewIdentity) -> IdentityChange;
    fn append_entry(account: &AccountId, version: u64, entry: &SignedEntry) -> Append;
    fn identity(account: &AccountId) -> Option<Identity>;
    fn recover(recovery: &RecoveryHash, credential: &CredentialHash) -> Option<Recovery>;
});

pass_on!(Links {
    fn open_link(code: &LinkCode, token: &TokenHash) -> bool;
    fn is_party(code: &LinkCode, party: &Party) -> bool;
    fn post_to_link(code: &LinkCode, party: &Party, body: &str) -> Posting;
    fn link_messages(code: &LinkCode, party: &Party, after: u32) -> Option<RelayedMessages>;
    fn approve_link(code: &LinkCode, approval: &NewApproval) -> Approval;
    fn claim_link(code: &LinkCode, token: &TokenHash, credential: &CredentialHash) -> LinkClaim;
});

pass_on!(Mailboxes {
    fn deliver(delivery: &Delivery) -> std::result::Result<Delivered, Undelivered>;
    fn append_event(account: &AccountId, event: &InboxEvent) -> u64;
    fn inbox(account: &AccountId, after: u64, limit: usize) -> InboxPage;
    fn mark_received(account: &AccountId, upto: u64) -> ();
    fn mark_read(account: &AccountId, conversation: &ConversationId, upto: u64) -> bool;
    fn conversations(account: &AccountId) -> Vec<Conversation>;
    fn conversation_page(account: &AccountId, conversation: &ConversationId, before: Option<u64>, limit: usize) -> Option<Page>;
});

pass_on!(Presence {
    fn arrive(account: &AccountId, connection: &ConnectionId, ttl: Duration) -> Transition;
    fn depart(account: &AccountId, connection: &ConnectionId) -> Transition;
    fn online(accounts: &[AccountId]) -> BTreeSet<AccountId>;
    fn enter_lobby(user: &User, connection: &ConnectionId, ttl: Duration) -> Transition;
    fn leave_lobby(account: &AccountId, connection: &ConnectionId) -> Transition;
    fn rename_in_lobby(user: &User) -> bool;
    fn lobby() -> Vec<User>;
});

pass_on!(Sessions {
    fn sessions(account: &AccountId) -> Vec<Session>;
    fn session(account: &AccountId, session: &SessionId) -> Option<Session>;
    fn history(account: &AccountId, session: &SessionId) -> Option<Vec<Message>>;
    fn update_session(account: &AccountId, session: &SessionId, patch: &SessionPatch) -> Option<Session>;
    fn delete_session(account: &AccountId, session: &SessionId) -> Deleted;
});

pass_on!(Runs {
    fn open_run(run: &NewRun) -> Opened;
    fn append_run_events(account: &AccountId, run: &RunId, events: &[RunEvent], lease: Duration) -> bool;
    fn close_run(account: &AccountId, run: &RunId, last: &RunEvent, answer: Option<&Message>) -> bool;
    fn run_log(account: &AccountId, run: &RunId, after: u64, limit: usize) -> Option<RunLog>;
    fn request_stop(account: &AccountId, run: &RunId) -> bool;
    fn stop_requested(account: &AccountId, run: &RunId) -> bool;
    fn reap_runs(last: &RunEvent) -> usize;
});
