//! The data plane from the client's view: real sockets, real TLS and small backends, in one process
//! on free ports.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod deadlines;
mod faults;
mod files;
mod h2_floods;
mod h2_heads;
mod h2_stalls;
mod harness;
mod http1;
mod identity;
mod keepalive;
mod limits;
mod logs;
mod proxying;
mod rate_limits;
mod upstreams;
mod websocket;
