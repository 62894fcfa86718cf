//! How much the gateway takes from whom.

use std::time::Duration;

use crate::RateLimit;

/// `[limits]`: general protection; every limit has a safe default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most client connections open at once over all listeners.
    pub max_connections: u32,
    /// Most client connections open at once from one address (IPv6: one /64).
    pub max_connections_per_address: u32,
    /// Deadline for the TLS handshake, the PROXY header included.
    pub handshake_timeout: Duration,
    /// Deadline for the head of a request, from its first byte or, on a new connection, from
    /// accept.
    pub header_timeout: Duration,
    /// Silence while a request body is being received after which it is given up.
    pub body_timeout: Duration,
    /// Silence while a client takes nothing of its answer after which the answer is cut.
    pub send_timeout: Duration,
    /// Idle time between two requests on one connection.
    pub keepalive_timeout: Duration,
    /// Most requests on one h1 connection.
    pub keepalive_requests: u32,
    /// Longest request head, in bytes.
    pub header_bytes: u32,
    /// Most header fields of a request.
    pub header_fields: u32,
    /// Longest request body unless the route says otherwise, in bytes.
    pub body_bytes: u64,
    /// Most streams open at once on one h2 connection.
    pub h2_concurrent_streams: u32,
    /// Most streams that a client may reset before their answer began, per connection, before it is
    /// closed.
    pub h2_pending_resets: u32,
    /// Most bytes held for requests of one client address (IPv6: one /64): answers that it has not
    /// taken yet, and what each request costs besides.
    pub held_bytes_per_address: u64,
    /// Requests that one client address (IPv6: one /64) may make; a file of a site counts as a
    /// tenth of one.
    pub rate_limit: RateLimit,
    /// Most client addresses that rate limits remember at once.
    pub rate_limit_addresses: u32,
}
