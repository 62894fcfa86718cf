//! The AI assistant: a model provider, runs that read its answers, and a demo model.
//!
//! ```text
//! POST /api/chat ─> assistant.rs ── start ──> run.rs ── request ──> provider.rs ──> OpenAI, Azure, any compatible server
//!                        │                     │ append                          or demo.rs on loopback
//! GET …/events ──> tail.rs <── wake, read ── the run's log in the store
//! ```
//!
//! A run is independent of the client that started it: its task reads the model and appends to the
//! run's log, and every reader tails that log, including the first one. The tasks belong to the
//! [`Assistant`](assistant::Assistant), which drains them.

pub mod settings;
pub mod metrics;
pub mod assistant;
mod shared;
mod slots;
mod run;
mod ids;
mod tail;
mod reaper;
pub mod provider;
pub mod demo;
