//! Live connections: what happens between a WebSocket and the store. No sockets and no HTTP here: a
//! connection is any [`Transport`], so everything can be driven from memory.
//!
//! ```text
//! transport ──> wire.rs ──> session.rs ──> session/{hello,requests}.rs ──> store: send, received, read, typing …
//!   (text)    (bounded)    (one task per       │
//!     <───────────┴───────── connection) <──── ├── session/inbox.rs   durable events, in order, without gaps
//!                                              └── session/notices.rs presence, lobby, typing: newest wins
//! hub.rs      admits connections, drains them          roster.rs  rate.rs  drain.rs   per account and per hub
//! presence.rs lobby.rs   boards shared by all sessions: one subscription and one periodic look for the hub
//! ```
//!
//! The inbox in the store is the truth. A session remembers the last position it queued and *pulls*
//! what follows whenever it is woken (or every 15 s by itself) and its queue has room, so memory
//! stays bounded whatever arrives.

mod drain;
mod hub;
mod lobby;
mod locked;
mod metrics;
mod presence;
mod rate;
mod roster;
mod session;
mod settings;
mod timers;
mod transport;
mod wire;

pub use hub::Hub;
pub use metrics::HubMetrics;
pub use settings::HubSettings;
pub use transport::{Incoming, Outgoing, Transport, TransportError};
