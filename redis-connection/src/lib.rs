//! A connection to Redis or Valkey that reconnects: one server, Sentinel or Cluster, with TLS.
//!
//! ```text
//! Address (URL, password, authorities) ─▶ Target (redis clients) ─▶ Established (one connection)
//!                                            └─▶ Connection: connects on first use, retries, reconnects
//! ```
//!
//! The crate sends any command or script and has no knowledge of what they store. Every attempt to
//! connect, every command and every call as a whole has a deadline.

mod address;
mod error;

mod established;
mod retry;

mod target;

mod connection;

pub use address::{Address, AddressError};
pub use connection::Connection;
pub use error::Error;
pub use established::Established;
pub use retry::{Backoff, LastFailure};
pub use target::{Options, Target};
