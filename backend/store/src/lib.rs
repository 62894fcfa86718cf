//! What Gatehouse keeps, in the domain's words: accounts, assistant sessions and runs, mailboxes,
//! presence; and the broker that wakes whoever waits for a change.
//!
//! ```text
//! accounts.rs  sessions.rs  runs.rs  mailboxes.rs  presence.rs  broker.rs     the traits, one topic each
//!                          └── Store: all of them ──┘
//!          sqlite.rs (embedded, in-process broker)      redis.rs (streams, scripts, sharded pub/sub)
//! ```
//!
//! Both implementations pass the same conformance suite (`tests/conformance.rs`). Every method is
//! atomic: after an error nothing of it was kept, or a retry of the same call mends it.

pub mod accounts;
pub mod allowance;
pub mod broker;
pub mod error;
pub mod mailboxes;
pub mod presence;
pub mod redis;
pub mod runs;
pub mod sessions;
pub mod sqlite;
pub mod username;

mod canary;
mod codec;
mod topics;

pub use error::{Result, StoreError};

use std::time::Duration;

/// All that the services need of a store.
///
/// Cheap to clone behind an `Arc`; safe to call from many tasks at once.
#[async_trait::async_trait]
pub trait Store:
    accounts::Accounts
    + sessions::Sessions
    + runs::Runs
    + mailboxes::Mailboxes
    + presence::Presence
    + broker::Broker
{
    /// Proves the whole path: a write, a read and a wake-up through the broker. For readiness.
    async fn probe(&self) -> Result<()>;

    /// The kind of store, for logs and metrics: `sqlite` or `redis`.
    fn kind(&self) -> &'static str;

    /// Removes what has expired; how many things. Nothing expired is ever answered, swept or not:
    /// this only gives the space back. Call it every few minutes; a store that expires by itself
    /// has nothing to do.
    async fn sweep(&self) -> Result<u64> {
        Ok(0)
    }
}

/// How long and how much is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Messages kept of one assistant session (the oldest go first).
    pub history_messages: u32,
    /// An assistant session expires this long after its last message.
    pub session_ttl: Duration,
    /// The log of a finished run stays readable this long.
    pub run_ttl: Duration,
    /// An account without use, its name and devices.
    pub account_ttl: Duration,
    /// An account that was only opened: no name, no device, no session.
    pub opened_ttl: Duration,
    /// A username that was given up stays reserved for the account that had it.
    pub name_hold: Duration,
    /// Private messages and inboxes.
    pub mailbox_ttl: Duration,
    /// Events kept of one inbox (the oldest go first).
    pub inbox_events: u32,
    /// Messages kept of one conversation (the oldest go first).
    pub conversation_messages: u32,
}

impl Default for Retention {
    /// 20 messages for 24 hours, as the founding application kept; the rest generously.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            history_messages: 20,
            session_ttl: DAY,
            run_ttl: Duration::from_secs(60 * 60),
            account_ttl: DAY * 180,
            opened_ttl: DAY,
            name_hold: DAY * 90,
            mailbox_ttl: DAY * 30,
            inbox_events: 5_000,
            conversation_messages: 5_000,
        }
    }
}
