//! `[[upstream]]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{Name, Target};

/// An internal service: equal targets behind one name, spoken to with plain HTTP/1.1.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub(crate) struct UpstreamText {
    /// A name for routes, logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// `host:port`, the addresses of a name being tried in turn; `dns:name:port`, every address of
    /// the name being a target; or `unix:/absolute/path`. Names are looked up again every few
    /// seconds. Required, at least one.
    pub(crate) targets: Vec<Text<Target>>,
    /// How a target is chosen. Default: `least-request`.
    pub(crate) balance: Option<BalanceText>,
    /// `rendezvous`: the cookie whose value decides; without it the client's address does. Required
    /// there.
    pub(crate) hash_cookie: Option<Text<String>>,
    /// Deadline for connecting, for all addresses of a name together. Default: `2s`.
    pub(crate) connect_timeout: Option<Text<Duration>>,
    /// Most idle connections kept for reuse, per target; 0: none. Default: 128.
    pub(crate) keepalive_connections: Option<Text<u32>>,
    /// How long an idle connection is kept; less than the target's own. Default: `60s`.
    pub(crate) keepalive_timeout: Option<Text<Duration>>,
    /// Active health checks. Default: none.
    pub(crate) health_check: Option<HealthCheckText>,
    /// Retries, before the first byte of an answer. Default: one, within 20 percent of requests.
    pub(crate) retries: Option<RetriesText>,
    /// Targets that keep failing are left out for a while. Default: after 5 failures, for 10
    /// seconds.
    pub(crate) ejection: Option<EjectionText>,
    /// Load above which 503 is answered. Default: 1024 requests, 100000 WebSockets.
    pub(crate) circuit_breaker: Option<CircuitBreakerText>,
    /// Time over which a target that came back gets its full share. Default: `10s`.
    pub(crate) slow_start: Option<Text<Duration>>,
}

/// How a target is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Balance")]
pub(crate) enum BalanceText {
    /// The one with fewer requests in flight of two chosen at random.
    LeastRequest,
    /// The same key keeps its target while that is healthy.
    Rendezvous,
}

/// Active health checks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HealthCheck")]
pub(crate) struct HealthCheckText {
    /// The path to GET, any 2xx being healthy. Default: none, a connection is enough.
    pub(crate) path: Option<Text<String>>,
    /// Time between two checks. Default: `5s`.
    pub(crate) interval: Option<Text<Duration>>,
    /// Deadline of one check. Default: `2s`.
    pub(crate) timeout: Option<Text<Duration>>,
    /// Good checks in a row that bring a target back. Default: 2.
    pub(crate) healthy_after: Option<Text<u32>>,
    /// Bad checks in a row that take a target out. Default: 3.
    pub(crate) unhealthy_after: Option<Text<u32>>,
}

/// Retries.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retries")]
pub(crate) struct RetriesText {
    /// Most further attempts for one request; 0 turns retries off. Default: 1.
    pub(crate) per_request: Option<Text<u32>>,
    /// Retries may be at most this share of requests, in percent. Default: 20.
    pub(crate) budget_percent: Option<Text<u32>>,
}

/// Passive ejection.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ejection")]
pub(crate) struct EjectionText {
    /// Failures in a row; 0 turns ejection off. Default: 5.
    pub(crate) consecutive_failures: Option<Text<u32>>,
    /// How long a target stays out the first time. Default: `10s`.
    pub(crate) duration: Option<Text<Duration>>,
    /// Most targets out at once, in percent. Default: 50.
    pub(crate) max_percent: Option<Text<u32>>,
}

/// Load limits.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CircuitBreaker")]
pub(crate) struct CircuitBreakerText {
    /// Most requests in flight over all targets. Default: 1024.
    pub(crate) max_requests: Option<Text<u32>>,
    /// Most WebSockets open over all targets. Default: 100000.
    pub(crate) max_websockets: Option<Text<u32>>,
}
