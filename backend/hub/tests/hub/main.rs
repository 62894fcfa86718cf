//! Live connections over an in-memory transport and the real embedded store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drain;
mod exchange;
mod faults;
mod faulty;
mod hello;
mod lifetimes;
mod limits;
mod lobby;
mod presence;
mod removal;
mod resume;
mod slow;
mod support;
