//! Limits: how much of the gateway clients may use.

use std::time::Duration;

use crate::RateLimit;

/// `[limits]`: protection against overload and abuse; every limit has a safe default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum open client connections over all listeners.
    pub max_connections: u32,
    /// Maximum open client connections from one address (IPv6: one /64).
    pub max_connections_per_address: u32,
    /// Timeout of the TLS handshake, including a PROXY protocol header.
    pub handshake_timeout: Duration,
    /// Timeout of a request head, from its first byte or, on a new connection, from accept.
    pub header_timeout: Duration,
    /// Timeout between two reads of a request body.
    pub body_timeout: Duration,
    /// Timeout between two writes of a response that the client does not read.
    pub send_timeout: Duration,
    /// Idle timeout between two requests on one connection.
    pub keepalive_timeout: Duration,
    /// Maximum requests on one HTTP/1.1 connection.
    pub keepalive_requests: u32,
    /// Maximum size of a request head, in bytes.
    pub header_bytes: u32,
    /// Maximum number of header fields in a request.
    pub header_fields: u32,
    /// Maximum size of a request body, in bytes, unless the route sets its own.
    pub body_bytes: u64,
    /// Maximum open streams on one HTTP/2 connection.
    pub h2_concurrent_streams: u32,
    /// Maximum streams a client may reset before their response starts; more of them close the
    /// connection.
    pub h2_pending_resets: u32,
    /// Maximum bytes held for the requests of one client address (IPv6: one /64): buffered
    /// responses plus a fixed cost per request.
    pub held_bytes_per_address: u64,
    /// Request rate of one client address (IPv6: one /64); a static file counts as a tenth of a
    /// request.
    pub rate_limit: RateLimit,
    /// Maximum client addresses tracked for rate limits.
    pub rate_limit_addresses: u32,
}
