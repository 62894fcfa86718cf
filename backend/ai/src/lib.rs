//! The AI assistant: a model provider, the runs that read it, and a demo model to play the part.
//!
//! ```text
//! POST /api/chat ─> assistant.rs ── start ──> run.rs ── ask ──> provider.rs ──> OpenAI, Azure, any compatible server
//!                        │                     │ append                          or demo.rs on loopback
//! GET …/events ──> tail.rs <── wake, read ── the run's log in the store
//! ```
//!
//! A run is detached from whoever asked: its task reads the model and appends to the run's log;
//! every reader tails that log, the first one too. The task is owned by the
//! [`Assistant`](assistant::Assistant), which drains it.

pub mod assistant;
pub mod demo;
pub mod metrics;
pub mod provider;
pub mod settings;

mod reaper;
mod run;
mod slots;
mod tail;
