//! `[limits]`, `[admin]`, `[log]`, `[drain]`, `[upgrade]`, `[trust]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use super::route::RateLimitText;
use crate::HostPattern;

/// Protection against overload and abuse.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(crate) struct LimitsText {
    /// Maximum open client connections. Default: 100000.
    pub(crate) max_connections: Option<Text<u32>>,
    /// Maximum open client connections from one address (IPv6: one /64). Default: 1000.
    pub(crate) max_connections_per_address: Option<Text<u32>>,
    /// Timeout of the TLS handshake. Default: `10s`.
    pub(crate) handshake_timeout: Option<Text<Duration>>,
    /// Timeout of a request head. Default: `10s`.
    pub(crate) header_timeout: Option<Text<Duration>>,
    /// Timeout between two reads of a request body; then 408. Default: `30s`.
    pub(crate) body_timeout: Option<Text<Duration>>,
    /// Timeout between two writes of a response that the client does not read; then the response is
    /// cut off. Default: `30s`.
    pub(crate) send_timeout: Option<Text<Duration>>,
    /// Idle timeout between two requests on one connection. Default: `75s`.
    pub(crate) keepalive_timeout: Option<Text<Duration>>,
    /// Maximum requests on one HTTP/1.1 connection. Default: 10000.
    pub(crate) keepalive_requests: Option<Text<u32>>,
    /// Maximum size of a request head. Default: `32KiB`.
    pub(crate) header_bytes: Option<Text<u64>>,
    /// Maximum number of header fields in a request. Default: 100.
    pub(crate) header_fields: Option<Text<u32>>,
    /// Maximum size of a request body. Default: `1MiB`.
    pub(crate) body_bytes: Option<Text<u64>>,
    /// Maximum open streams on one HTTP/2 connection. Default: 128.
    pub(crate) h2_concurrent_streams: Option<Text<u32>>,
    /// Maximum streams a client may reset before their response starts, per connection. Default:
    /// 50.
    pub(crate) h2_pending_resets: Option<Text<u32>>,
    /// Maximum bytes held for the requests of one client address (IPv6: one /64): buffered
    /// responses plus 32 KiB per request; above that, 503. Default: `128MiB`.
    pub(crate) held_bytes_per_address: Option<Text<u64>>,
    /// Request rate of one client address (IPv6: one /64). A static file counts as a tenth of a
    /// request; rejected requests count too. Default: 100 per second, burst 1000.
    pub(crate) rate_limit: Option<RateLimitText>,
    /// Maximum client addresses tracked for rate limits. Default: 100000.
    pub(crate) rate_limit_addresses: Option<Text<u32>>,
}

/// Address of `/metrics`, `/livez`, `/readyz`, `/reload`, `/drain` and `/config`, over plain HTTP.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub(crate) struct AdminText {
    /// Address to bind. Any client that can connect to it can reload and stop the gateway: keep it
    /// off the internet. Required.
    pub(crate) address: Text<SocketAddr>,
    /// Host names accepted in requests, without a port, besides IP addresses and `localhost`;
    /// `*.example.org` is every name below `example.org`. A request for any other host gets 421,
    /// which stops web pages that point their own name here (DNS rebinding). Default: none.
    pub(crate) hosts: Option<Vec<Text<HostPattern>>>,
}

/// Logs, written to standard error.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Log")]
pub(crate) struct LogText {
    /// Whether to log every request. Default: true.
    pub(crate) access: Option<bool>,
    /// Minimum level of log lines; the environment variable `RUST_LOG` overrides it. Default:
    /// `info`.
    pub(crate) level: Option<LevelText>,
    /// Format of log lines. Default: `json`.
    pub(crate) format: Option<FormatText>,
    /// Whether to replace client addresses by a hash of their network; the hash key changes at each
    /// start. Default: true.
    pub(crate) pseudonymise: Option<bool>,
}

/// Minimum level of log lines.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogLevel")]
pub(crate) enum LevelText {
    /// Failures that need attention.
    Error,
    /// Also unexpected conditions.
    Warn,
    /// Also normal events.
    Info,
    /// Also details for debugging.
    Debug,
    /// Everything.
    Trace,
}

/// Format of log lines.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogFormat")]
pub(crate) enum FormatText {
    /// One JSON object per line.
    Json,
    /// Short lines for people.
    Text,
}

/// Graceful shutdown, on SIGTERM or `POST /drain`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Drain")]
pub(crate) struct DrainText {
    /// Time to keep accepting connections after `/readyz` fails; behind a load balancer, set it to
    /// the interval of its health checks. Default: `0s`.
    pub(crate) delay: Option<Text<Duration>>,
    /// Time after that for open requests and WebSockets to finish. Default: `30s`.
    pub(crate) deadline: Option<Text<Duration>>,
}

/// Replacing the running gateway process by a new one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upgrade")]
pub(crate) struct UpgradeText {
    /// Unix socket on which `gateway run --take-over` requests the listening sockets of the running
    /// gateway. Its directory must belong to the gateway's user and must not be writable by others.
    /// Required.
    pub(crate) socket: Text<PathBuf>,
}

/// Trusted proxies and request header fields.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Trust")]
pub(crate) struct TrustText {
    /// Networks of proxies whose `X-Forwarded-*`, `X-Request-Id` and `traceparent` are trusted.
    /// Default: none, these fields are overwritten.
    pub(crate) forwarded: Option<Vec<Text<IpNet>>>,
    /// Whether to forward header fields with an underscore in their name. Many services read
    /// `X_Real_Ip` as `X-Real-Ip`; fields that identify the client are always
    /// removed. Default: false.
    pub(crate) underscores_in_headers: Option<bool>,
}
