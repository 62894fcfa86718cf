//! Certificates against a real ACME server (Pebble), a real Redis, and handshakes over loopback.

mod support;

mod failing;
mod issuing;
mod renewal_info;
mod renewing;
mod replicas;
mod storing;
mod tickets;
