//! The services over real TCP: embedded store in a temporary folder, demo model on loopback. The
//! modules mirror the API.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in shared test code too"
)]

mod admin;
mod chat;
mod faults;
mod devices;
mod device_log;
mod identity;
mod links;
mod lifetimes;
mod names;
mod opening;
mod people;
mod process;
mod protocol;
mod recovery;
mod redis;
mod refusals;
mod runs;
mod sessions;
mod socket;
mod store;
mod support;
