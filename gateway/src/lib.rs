//! The front door: terminates TLS, routes, protects, serves the static UI, carries WebSockets, and
//! changes its mind without dropping a connection.
//!
//! ```text
//! request:  listener → tls → connection → tunnel | proxy → router → filters → static files | upstream → access log, metrics
//! control:  cli → config source → certificates → snapshot → bind → gateway ← reload ← files, SIGHUP, admin
//! ```
//!
//! Start at [`gateway::Gateway::start`] for the control plane and at [`plane::Plane`] for the data
//! plane; what they share is one [`snapshot::Snapshot`], swapped whole.

// What a request meets.
pub mod access_log;
mod answer;
mod connection;
mod filters;
mod head;
mod held;
mod listener;
pub mod metrics;
pub mod plane;
mod proxy;
mod router;
pub mod snapshot;
pub mod static_files;
mod stream;
pub mod tls;
mod traces;
mod tunnel;
mod upstream;

// What puts a configuration into effect.
mod acme;
pub mod admin;
pub mod bind;
pub mod certificates;
pub mod cli;
pub mod config_source;
mod files;
pub mod gateway;
pub mod life_cycle;
pub mod local_ca;
pub mod reload;
mod secret;
mod service_manager;
pub mod take_over;
pub mod telemetry;
pub mod trust;
