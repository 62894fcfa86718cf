//! The data plane as clients see it: real sockets, real TLS, small backends, all in this process
//! and on free ports.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says where")]

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
mod upstreams;
mod websocket;
