//! The front door: terminates TLS, routes, protects, serves the static UI, carries WebSockets, and changes its mind
//! without dropping a connection.
//!
//! A request flows: listener → tls → (tunnel | proxy) → router → filters → static files | upstream → access log, metrics.

pub mod access_log;
pub mod local_ca;
pub mod metrics;
mod answer;
mod connection;
mod filters;
mod head;
mod listener;
pub mod plane;
mod proxy;
mod router;
pub mod snapshot;
pub mod static_files;
mod stream;
pub mod tls;
mod tunnel;
mod upstream;
