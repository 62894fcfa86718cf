//! Wire types of Gatehouse: the messages of `/api` and `/ws`, their limits and error codes.
//!
//! ```text
//! browser ── /api ──> api.rs, identity.rs, linking.rs, run.rs, problem.rs ──> backend handlers
//!         ── /ws  ──> live.rs, envelope.rs                                ──> hub connections
//! both ends ────────> id.rs, limits.rs
//! ```
//!
//! Depends on `serde` only. The TypeScript of the UI (`ui/src/protocol/wire.ts`) is generated from
//! this crate; a test fails when it is stale. JSON is snake_case, times are RFC 3339 in UTC.

pub mod api;
pub mod identity;
pub mod linking;
pub mod run;
pub mod problem;
pub mod live;
pub mod envelope;
pub mod id;
pub mod limits;

#[cfg(test)]
mod tests;
