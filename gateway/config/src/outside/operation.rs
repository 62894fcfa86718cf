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

/// General protection.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(crate) struct LimitsText {
    /// Most client connections open at once. Default: 100000.
    pub(crate) max_connections: Option<Text<u32>>,
    /// Most client connections open at once from one address (IPv6: one /64). Default: 1000.
    pub(crate) max_connections_per_address: Option<Text<u32>>,
    /// Deadline for the TLS handshake. Default: `10s`.
    pub(crate) handshake_timeout: Option<Text<Duration>>,
    /// Deadline for the head of a request. Default: `10s`.
    pub(crate) header_timeout: Option<Text<Duration>>,
    /// Silence while a request body is received; 408 after that. Default: `30s`.
    pub(crate) body_timeout: Option<Text<Duration>>,
    /// Silence while a client takes nothing of its answer; it is cut after that. Default: `30s`.
    pub(crate) send_timeout: Option<Text<Duration>>,
    /// Idle time between two requests on one connection. Default: `75s`.
    pub(crate) keepalive_timeout: Option<Text<Duration>>,
    /// Most requests on one HTTP/1.1 connection. Default: 10000.
    pub(crate) keepalive_requests: Option<Text<u32>>,
    /// Longest request head. Default: `32KiB`.
    pub(crate) header_bytes: Option<Text<u64>>,
    /// Most header fields. Default: 100.
    pub(crate) header_fields: Option<Text<u32>>,
    /// Longest request body. Default: `1MiB`.
    pub(crate) body_bytes: Option<Text<u64>>,
    /// Most streams open at once on one h2 connection. Default: 128.
    pub(crate) h2_concurrent_streams: Option<Text<u32>>,
    /// Most streams that a client may reset before their answer, per connection. Default: 50.
    pub(crate) h2_pending_resets: Option<Text<u32>>,
    /// Most bytes held for requests of one client address (IPv6: one /64): answers that it has not
    /// taken yet, and 32 KiB for each request; 503 above that. Default: `128MiB`.
    pub(crate) held_bytes_per_address: Option<Text<u64>>,
    /// Requests that one client address (IPv6: one /64) may make; a file of a site counts as a
    /// tenth of one, and what is refused counts too. Default: 100 a second, 1000 at once.
    pub(crate) rate_limit: Option<RateLimitText>,
    /// Most client addresses remembered for rate limits. Default: 100000.
    pub(crate) rate_limit_addresses: Option<Text<u32>>,
}

/// Where `/metrics`, `/livez`, `/readyz`, `/reload`, `/drain` and `/config` are served, with plain
/// HTTP.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub(crate) struct AdminText {
    /// The address; whoever reaches it can reload and stop the gateway: keep it off the internet.
    /// Required.
    pub(crate) address: Text<SocketAddr>,
    /// Names by which it is asked, without port, besides its IP addresses and `localhost`;
    /// `*.example.org` is every name below. A request for another name is answered 421: it may come
    /// from a web page whose name leads here (DNS rebinding). Default: none.
    pub(crate) hosts: Option<Vec<Text<HostPattern>>>,
}

/// Logs, on standard error.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Log")]
pub(crate) struct LogText {
    /// Whether each request is logged. Default: true.
    pub(crate) access: Option<bool>,
    /// How much is logged. Default: `info`. The variable RUST_LOG goes before it.
    pub(crate) level: Option<LevelText>,
    /// How lines look. Default: `json`.
    pub(crate) format: Option<FormatText>,
    /// Whether client addresses are replaced by a hash of their network, keyed anew at each start.
    /// Default: true.
    pub(crate) pseudonymise: Option<bool>,
}

/// How much is logged.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogLevel")]
pub(crate) enum LevelText {
    /// Failures that someone must look at.
    Error,
    /// And what was odd.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

/// How log lines look.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogFormat")]
pub(crate) enum FormatText {
    /// One JSON object a line.
    Json,
    /// Short lines for people.
    Text,
}

/// How the gateway stops, on SIGTERM or `POST /drain`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Drain")]
pub(crate) struct DrainText {
    /// How long it goes on accepting after `/readyz` says no. Default: `0s`; behind a load
    /// balancer: its check interval.
    pub(crate) delay: Option<Text<Duration>>,
    /// How long open requests and WebSockets then have. Default: `30s`.
    pub(crate) deadline: Option<Text<Duration>>,
}

/// How a new process takes over from the running one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upgrade")]
pub(crate) struct UpgradeText {
    /// The Unix socket at which `gateway run --take-over` asks the running gateway for its
    /// listening sockets. Its directory must belong to the gateway's user and be writable by nobody
    /// else. Required.
    pub(crate) socket: Text<PathBuf>,
}

/// Who is believed.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Trust")]
pub(crate) struct TrustText {
    /// Networks of proxies in front whose `X-Forwarded-*`, `X-Request-Id` and `traceparent` are
    /// believed. Default: none, they are overwritten.
    pub(crate) forwarded: Option<Vec<Text<IpNet>>>,
    /// Whether fields whose names have an underscore go to services. Many services read `X_Real_Ip`
    /// as `X-Real-Ip`, so they are removed unless asked for, and those that name the client always.
    /// Default: false.
    pub(crate) underscores_in_headers: Option<bool>,
}
