//! The store: accounts, identities, links, chat sessions and runs, mailboxes, presence; and the
//! broker that sends wake-ups on changes.
//!
//! ```text
//! accounts.rs  identities.rs  links.rs  sessions.rs  runs.rs  mailboxes.rs  presence.rs  broker.rs
//!                          └── Store: all of them, one topic each ──┘
//!          sqlite.rs (embedded, in-process broker)      redis.rs (streams, scripts, sharded pub/sub)
//! ```
//!
//! Both implementations pass the same conformance suite (`tests/conformance.rs`). Every method is
//! atomic: after an error nothing was changed, or a retry of the same call completes it.

pub mod accounts;
pub mod allowance;
pub mod username;
pub mod identities;
pub mod links;
pub mod sessions;
pub mod runs;
pub mod mailboxes;
pub mod presence;
pub mod broker;
pub mod error;

pub mod sqlite;
pub mod redis;

mod codec;
mod topics;
mod wake_up_probe;

pub use error::{Result, StoreError};

use std::time::Duration;

use backend_protocol::limits::LINK_SECONDS;

/// All traits of a store.
///
/// Cheap to clone behind an `Arc`; methods can be called concurrently.
#[async_trait::async_trait]
pub trait Store:
    accounts::Accounts
    + allowance::Allowances
    + identities::Identities
    + links::Links
    + sessions::Sessions
    + runs::Runs
    + mailboxes::Mailboxes
    + presence::Presence
    + broker::Broker
{
    /// Readiness probe of the whole path: a write, a read and a wake-up through the broker.
    async fn probe(&self) -> Result<()>;

    /// The kind of store for logs and metrics: `sqlite` or `redis`.
    fn kind(&self) -> &'static str;

    /// Removes expired data and returns how many entries. Expired data is never returned, swept or
    /// not: this only frees space. Call it every few minutes; a no-op in stores with built-in
    /// expiry.
    async fn sweep(&self) -> Result<u64> {
        Ok(0)
    }
}

/// How long and how much is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Messages kept per chat session (the oldest are dropped).
    pub history_messages: u32,
    /// Retention of a chat session after its last message.
    pub session_ttl: Duration,
    /// Retention of a finished run's log.
    pub run_ttl: Duration,
    /// Retention of an unused account, its name and devices.
    pub account_ttl: Duration,
    /// Retention of an account without a name, device or chat session.
    pub opened_ttl: Duration,
    /// How long a username stays reserved for the account that gave it up.
    pub name_hold: Duration,
    /// How long a link exists.
    pub link_ttl: Duration,
    /// Retention of private messages and inboxes.
    pub mailbox_ttl: Duration,
    /// Events kept per inbox (the oldest are dropped).
    pub inbox_events: u32,
    /// Messages kept per conversation (the oldest are dropped).
    pub conversation_messages: u32,
}

impl Default for Retention {
    /// 20 messages for 24 hours, as in the original application; the rest is generous.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            history_messages: 20,
            session_ttl: DAY,
            run_ttl: Duration::from_secs(60 * 60),
            account_ttl: DAY * 180,
            opened_ttl: DAY,
            name_hold: DAY * 90,
            link_ttl: Duration::from_secs(u64::from(LINK_SECONDS)),
            mailbox_ttl: DAY * 30,
            inbox_events: 5_000,
            conversation_messages: 5_000,
        }
    }
}
