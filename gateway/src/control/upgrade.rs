//! Upgrades: a new process takes over the listening sockets of the running one without losing a
//! connection.
//!
//! ```text
//! predecessor (handover.rs)                      successor (predecessor.rs)
//!                               <─ ask           has loaded and built its configuration
//! sockets, file descriptors     ─>               binds new addresses, accepts on all, is ready
//!                               <─ serving
//! handed over                   ─>               publishes its own upgrade socket
//! stops accepting and drains
//! ```
//!
//! The predecessor changes nothing until `serving`, so a failure before it leaves the predecessor
//! running. Both processes hold the same sockets, so each connection waits in one queue and either
//! process can accept it.

mod predecessor;
mod socket;
mod wire;

pub(crate) use predecessor::Predecessor;
pub(crate) use socket::{BoundSocket, Identity, check_directory, dry_run, identity};
pub(crate) use wire::{Channel, Described, Message, PREPARATION, PROTOCOL};

use std::io;
use std::path::PathBuf;

/// How a gateway uses `[upgrade]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrades {
    /// A successor can replace it.
    #[default]
    Offered,
    /// It replaces the running gateway, if there is one; a successor can replace it.
    TakeOver,
    /// Not at all: the process does more than run a gateway, and a successor could not continue
    /// that.
    Ignored,
}

/// Why a process cannot replace another one, or cannot offer to be replaced.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// There is no `[upgrade]`.
    #[error("`--take-over` needs `[upgrade]` with a `socket` in the configuration")]
    NotConfigured,
    /// The directory of the socket cannot be used, for example because others can write into it.
    #[error("`[upgrade]`, key `socket`: {}: {reason}", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it, and how to fix it.
        reason: String,
    },
    /// Another gateway listens there.
    #[error(
        "`[upgrade]`, key `socket`: {}: a running gateway listens there; start with `--take-over` to replace it",
        .0.display()
    )]
    Taken(PathBuf),
    /// A file that is not a socket is there.
    #[error("`[upgrade]`, key `socket`: {}: exists but is not a socket; remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// An operating system error.
    #[error("`[upgrade]`, key `socket`: {}: {error}", .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The process that listens there belongs to another user.
    #[error("`[upgrade]`, key `socket`: {}: the process that listens there runs as user {uid}; expected the gateway's own user or root", .path.display())]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// The user of the process.
        uid: u32,
    },
    /// The running gateway refuses the upgrade.
    #[error("the running gateway refuses the upgrade: {0}")]
    Refused(String),
    /// The handover failed: no answer, an invalid message, or missing sockets.
    #[error("the handover from the running gateway failed: {0}")]
    Broken(String),
}
