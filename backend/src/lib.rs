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

pub mod telemetry;
pub mod settings;
mod server;
mod start_error;
mod store;
mod model;
mod admin;
pub mod listener;
mod router;
mod middleware;
mod metrics;
mod identity;
mod extract;
mod app;
mod api;
mod sse;
mod error;
pub mod live;

pub use listener::{ListenAddress, Listener};
pub use server::{Running, start};
pub use settings::{Role, Settings, SettingsError};
pub use start_error::StartError;
