//! What applies a configuration: reads, builds, binds, serves, reloads, upgrades and drains.
//! Declared in the order of the flow; a module imports only what is declared after it.

// The program.
pub(crate) mod cli;
pub(crate) mod signals;
pub(crate) mod service_manager;
pub mod trust;

// A gateway from start to end, and what it runs.
pub(crate) mod gateway;
pub(crate) mod telemetry;
pub(crate) mod maintenance;
pub(crate) mod admin;
pub(crate) mod handover;

// What every part of a running gateway holds.
pub(crate) mod handle;
pub(crate) mod phase;
pub(crate) mod report;

// From a text to something that could be served.
pub(crate) mod candidate;
pub(crate) mod acme;
pub(crate) mod background;
pub(crate) mod config_source;
pub(crate) mod certificates;
pub(crate) mod local_ca;

// Sockets, new or from the process before.
pub(crate) mod upgrade;
pub(crate) mod bind;
