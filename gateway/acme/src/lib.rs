//! Certificates by ACME (RFC 8555): the whole life cycle of a certificate, without listeners.
//!
//! ```text
//!  settings ─▶ maintenance ─▶ lease ─▶ account ─▶ order ─▶ check ─▶ certificate ─▶ (watch) ─▶ the gateway's TLS
//!                 │             │                  │ publishes
//!                 │             └──── records ◀────┴─ solvers ◀── any replica answers a challenge
//!                 │                      └─▶ storage: a directory or Redis
//!                 └─ schedule: when to renew, how long to back off          tickets: session ticket keys, shared
//! ```
//!
//! Replicas share one [`Storage`]. A [lock](storage::Lock) with a fencing token lets exactly one of
//! them order. All of them serve what it publishes there: challenges, then the certificate. The
//! crate opens no port: the gateway gets challenge answers from [`Challenges`], watches
//! [`Certificates`] and passes the [`Ticketer`] to rustls.

mod clock;
mod names;

mod challenge;
pub mod storage;

mod certificate;
pub mod check;

mod failure;

mod records;

mod schedule;
mod settings;
mod status;

mod authority;
mod lease;
mod solvers;

mod account;
mod order;

mod maintenance;

mod tickets;

pub use certificate::{Certificate, Certificates};
pub use challenge::ChallengeKind;
pub use clock::{Clock, SystemClock};
pub use failure::{Failure, FailureKind};
pub use maintenance::{Maintainer, Prompt};
pub use names::{NameError, NameSet};
pub use redis_connection::Address as RedisAddress;
pub use schedule::Backoff;
pub use settings::{Authority, ExternalAccount, Settings, SettingsError};
pub use solvers::{ACME_TLS_ALPN, Challenges};
pub use status::{Source, Status};
pub use storage::{DirectoryStorage, RedisStorage, Storage, StorageError};
pub use tickets::{TicketMaintainer, TicketSettings, Ticketer};
