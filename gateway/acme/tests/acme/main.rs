//! Tests with a real ACME server (Pebble), a real Redis, and handshakes over loopback.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions; these are their helpers"
)]

mod support;

mod failing;
mod issuing;
mod renewal_info;
mod renewing;
mod replicas;
mod storing;
mod tickets;
