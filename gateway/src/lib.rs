//! The front door: terminates TLS, routes, protects, serves the static UI, carries WebSockets, and changes its mind
//! without dropping a connection.
//!
//! ```text
//! request:  listener → tls → connection → tunnel | proxy → router → filters → static files | upstream → access log, metrics
//! control:  cli → config source → certificates → snapshot → bind → gateway ← reload ← files, SIGHUP, admin
//! ```
//!
//! Start at [`gateway::Gateway::start`] for the control plane and at [`plane::Plane`] for the data plane; what they share
//! is one [`snapshot::Snapshot`], swapped whole.

// A request, in the order in which it flows.
mod listener;
pub mod tls;
mod stream;
mod connection;
mod head;
mod tunnel;
mod proxy;
mod router;
mod filters;
pub mod static_files;
mod upstream;
mod answer;
pub mod access_log;
pub mod metrics;
pub mod plane;
pub mod snapshot;

// A configuration, from its text to its end.
pub mod cli;
pub mod config_source;
pub mod local_ca;
pub mod certificates;
pub mod bind;
pub mod gateway;
pub mod admin;
pub mod reload;
pub mod life_cycle;
pub mod telemetry;
pub mod trust;
