//! What a request goes through: from the listener to the answer.

// Connections.
pub(crate) mod plane;
pub(crate) mod listener;
pub(crate) mod caps;
pub(crate) mod connection;
pub(crate) mod tls;
pub(crate) mod stream;
pub(crate) mod head;

// Requests.
pub(crate) mod tunnel;
pub(crate) mod proxy;
pub(crate) mod filters;
pub(crate) mod router;
pub(crate) mod rate_limits;
pub(crate) mod held;

// Answers.
pub(crate) mod static_files;
pub(crate) mod upstream;
pub(crate) mod answer;
pub(crate) mod headers;

// What is written down about them.
pub(crate) mod record;
pub(crate) mod access_log;
pub(crate) mod traces;

// What they share.
pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod challenges;
pub(crate) mod drain;
pub(crate) mod network;
