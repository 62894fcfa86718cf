//! What applies a configuration: reads, builds, binds, serves, reloads, upgrades and drains.

// Where it begins.
pub(crate) mod cli;
pub(crate) mod telemetry;
pub(crate) mod signals;
pub(crate) mod service_manager;
pub mod trust;

// From a text to something that could be served.
pub(crate) mod config_source;
pub(crate) mod local_ca;
pub(crate) mod certificates;
pub(crate) mod acme;
pub(crate) mod candidate;

// Sockets, new or from the process before.
pub(crate) mod bind;
pub(crate) mod upgrade;

// What runs.
pub(crate) mod gateway;
pub(crate) mod admin;
pub(crate) mod handover;
pub(crate) mod maintenance;

// What all of them hold.
pub(crate) mod handle;
pub(crate) mod phase;
pub(crate) mod report;
pub(crate) mod background;
