//! Certificates by ACME (RFC 8555): the whole life of a certificate, without a listener in sight.
//!
//! ```text
//!  settings ─▶ maintain ─▶ lease ─▶ account ─▶ order ─▶ check ─▶ certificate ─▶ (watch) ─▶ the gateway's TLS
//!                 │          │                  │ publishes
//!                 │          └──── storage ◀────┴─ solvers ◀── any replica answers a challenge
//!                 └─ schedule: when to renew, how long to back off          tickets: session keys, shared
//! ```
//!
//! Replicas share one [`Storage`]: a [lock](storage::Lock) with a fencing token lets exactly one of
//! them order, and what it publishes there (challenges, then the certificate) is served by all.
//! Nothing here opens a port: the gateway asks [`Challenges`] for answers, watches [`Certificates`]
//! and gives rustls the [`Ticketer`].

mod names;
mod settings;

mod clock;
mod failure;

mod certificate;
pub mod check;

pub mod storage;

mod account;
mod authority;
mod order;
mod solvers;

mod lease;
mod maintain;
mod schedule;
mod status;

mod tickets;

pub use certificate::{Certificate, Certificates};
pub use clock::{Clock, SystemClock};
pub use failure::{Failure, FailureKind};
pub use maintain::{Maintainer, Prompt};
pub use names::{NameError, NameSet};
pub use schedule::Backoff;
pub use settings::{Authority, ExternalAccount, Settings, SettingsError};
pub use solvers::{ACME_TLS_ALPN, ChallengeKind, Challenges};
pub use status::{Source, Status};
pub use storage::{DirectoryStorage, RedisAddress, RedisStorage, Storage, StorageError};
pub use tickets::{TicketKeeper, TicketSettings, Ticketer};
