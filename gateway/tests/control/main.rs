//! The control plane, in process and as a program: start, reload, watch, admin, drain, signals.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod acme;
mod admin;
mod admin_access;
mod bad_certificates;
mod doctor;
mod documentation;
mod drain;
mod logs;
mod misdirected;
mod process;
mod refusals;
mod reload;
mod replicas;
mod signals;
mod start;
mod support;
mod tls_keys;
mod tls_policy;
mod traces;
mod upgrade;
mod watch;
