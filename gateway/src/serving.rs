//! What a request goes through: from the listener to the answer.

pub(crate) mod access_log;
pub(crate) mod answer;
pub(crate) mod connection;
pub(crate) mod filters;
pub(crate) mod head;
pub(crate) mod held;
pub(crate) mod listener;
pub(crate) mod plane;
pub(crate) mod proxy;
pub(crate) mod router;
pub(crate) mod snapshot;
pub(crate) mod static_files;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod traces;
pub(crate) mod tunnel;
pub(crate) mod upstream;
