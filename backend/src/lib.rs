//! The services behind the gateway: `/api` (assistant, accounts, keys) and `/ws` (live chat).
//!
//! ```text
//! settings ──> server: start ──> listener ──> middleware ──> router ──> identity ──> api/*.rs ──> store, assistant
//!                  │                                           └──────> live ──> hub ──> store
//!                  └──> model (provider or demo), store (embedded or Redis), admin (health, metrics)
//! ```
//!
//! `backend --role api|live|all` is a thin `main` over [`start`]; the single-process `gatehouse`
//! also calls [`start`].

pub mod listener;
pub mod live;
pub mod settings;
pub mod telemetry;

mod admin;
mod api;
mod app;
mod error;
mod extract;
mod identity;
mod metrics;
mod middleware;
mod model;
mod router;
mod server;
mod sse;
mod store;

pub use listener::{ListenAddress, Listener};
pub use server::{Running, StartError, start};
pub use settings::{Role, Settings, SettingsError};

#[cfg(test)]
mod tests;
