//! What a request goes through: from the listener to the answer. Declared in the order of the flow;
//! a module imports only what is declared after it.

// Connections and the requests on them.
pub(crate) mod plane;
pub(crate) mod connection;
pub(crate) mod listener;
pub(crate) mod tunnel;
pub(crate) mod proxy;
pub(crate) mod filters;

// What is known about a request, and what all of them share.
pub(crate) mod record;
pub(crate) mod shared;
pub(crate) mod challenges;
pub(crate) mod drain;

// What a configuration is built into.
pub(crate) mod snapshot;
pub(crate) mod caps;
pub(crate) mod rate_limits;
pub(crate) mod router;
pub(crate) mod static_files;
pub mod page;
pub(crate) mod traces;
pub(crate) mod access_log;
pub(crate) mod upstream;

// What bytes and heads pass through.
pub(crate) mod stream;
pub(crate) mod head;
pub(crate) mod held;
pub(crate) mod tls;
pub(crate) mod answer;
pub(crate) mod headers;
pub(crate) mod network;
