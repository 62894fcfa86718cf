//! The services over real TCP: embedded store in a temporary folder, demo model on loopback.
//! Modules mirror the API.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in what tests share too"
)]

mod admin;
mod chat;
mod faults;
mod devices;
mod identity;
mod names;
mod opening;
mod people;
mod process;
mod redis;
mod refusals;
mod runs;
mod sessions;
mod socket;
mod store;
mod support;
