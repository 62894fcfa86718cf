//! Live connections: everything between a WebSocket and the store. No sockets and no HTTP here: a
//! connection is any [`Transport`], so tests run in memory.
//!
//! ```text
//! transport ──> wire.rs ──> connection.rs ──> connection/{hello,requests}.rs ──> store: send, received, read, typing …
//!   (text)    (bounded)    (one task per       │
//!     <───────────┴───────── connection) <──── ├── connection/inbox.rs   durable events, in order, without gaps
//!                                              └── connection/notices.rs presence, lobby, typing: latest state only
//! hub.rs      accepts connections, drains them          roster.rs  rate.rs  drain.rs   per account and per hub
//! presence.rs lobby.rs   boards shared by all connections: one subscription and one poll for the hub
//! ```
//!
//! The inbox in the store is the source of truth. A connection stores the last position it queued
//! and *pulls* what follows: when a wake-up arrives, or every 15 s without one, and only while its
//! queue has room. Memory stays bounded.

mod settings;
mod metrics;
mod transport;
mod hub;
mod shared;
mod connection;
mod wire;
mod timers;
mod roster;
mod rate;
mod presence;
mod lobby;
mod drain;
mod locked;

pub use hub::Hub;
pub use metrics::HubMetrics;
pub use settings::HubSettings;
pub use transport::{Incoming, Outgoing, Transport, TransportError};
