//! A new process takes over the listening sockets of the running one, and no connection is lost in
//! between.
//!
//! ```text
//! predecessor (handover.rs)                      successor (predecessor.rs)
//!                               <─ ask           configuration read and built
//! sockets, their descriptors    ─>               binds what is new, accepts on all, is ready
//!                               <─ serving
//! handed over                   ─>               puts its own upgrade socket in place
//! stops accepting and drains
//! ```
//!
//! Until `serving` the predecessor has changed nothing: whatever ends the conversation before
//! leaves it as it was. Both processes hold the same sockets, so a connection waits in one queue,
//! and either accepts it.

mod predecessor;
mod socket;
mod wire;

pub(crate) use predecessor::Predecessor;
pub(crate) use socket::{BoundSocket, Identity, check_directory, dry_run, identity};
pub(crate) use wire::{Channel, Described, Message, PREPARATION, PROTOCOL};

use std::io;
use std::path::PathBuf;

/// What a gateway does with `[upgrade]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrades {
    /// A later process may take over from it.
    #[default]
    Offered,
    /// It takes over from the running one, if there is one; a later process may take over from it.
    TakeOver,
    /// Nothing: the process does more than a gateway, and another one could not go on with that.
    Ignored,
}

/// Why a process cannot take over, or cannot offer that another one does.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// There is no `[upgrade]`.
    #[error("`--take-over` needs `[upgrade]` with a `socket` in the configuration")]
    NotConfigured,
    /// The directory of the socket is open to others.
    #[error("`[upgrade]`, key `socket`: {}: {reason}", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it, and what mends it.
        reason: String,
    },
    /// Another gateway offers itself there.
    #[error(
        "`[upgrade]`, key `socket`: {}: a running gateway listens there; start with `--take-over` to take its place",
        .0.display()
    )]
    Taken(PathBuf),
    /// Something that is no socket is there.
    #[error("`[upgrade]`, key `socket`: {}: is there and is no socket; remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The operating system refuses.
    #[error("`[upgrade]`, key `socket`: {}: {error}", .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The process at the socket is another user's.
    #[error("`[upgrade]`, key `socket`: {}: the process there belongs to the user {uid}, not to ours", .path.display())]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The running gateway does not hand over.
    #[error("the running gateway refuses: {0}")]
    Refused(String),
    /// The running gateway sends an unexpected message, or none.
    #[error("unexpected answer of the running gateway: {0}")]
    Broken(String),
}
