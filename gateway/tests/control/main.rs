//! The control plane, in process and as a program: start, reload, watch, admin, drain, signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod acme;
mod admin;
mod doctor;
mod documentation;
mod drain;
mod process;
mod reload;
mod replicas;
mod start;
mod support;
mod tls_policy;
mod traces;
mod upgrade;
mod watch;
