//! What applies a configuration: reads, builds, binds, serves, reloads, upgrades and drains.

pub(crate) mod acme;
pub(crate) mod admin;
pub(crate) mod bind;
pub(crate) mod certificates;
pub(crate) mod cli;
pub(crate) mod config_source;
pub(crate) mod gateway;
pub(crate) mod local_ca;
pub(crate) mod readiness;
pub(crate) mod reload;
pub(crate) mod service_manager;
pub(crate) mod signals;
pub(crate) mod telemetry;
pub mod trust;
pub(crate) mod upgrade;
