//! `[[upstream]]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{Name, Target};

/// An internal service: one name for a group of equivalent targets, reached over plain HTTP/1.1.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub(crate) struct UpstreamText {
    /// Name for routes, logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// `host:port`, which tries the addresses of the name in turn; `dns:name:port`, which makes
    /// every address of the name a target; or `unix:/absolute/path`. Names are resolved again every
    /// few seconds. Required, at least one.
    pub(crate) targets: Vec<Text<Target>>,
    /// Load balancing algorithm. Default: `least-request`.
    pub(crate) balance: Option<BalanceText>,
    /// Cookie whose value selects the target; requests without it are balanced by client address.
    /// Required for `rendezvous`.
    pub(crate) hash_cookie: Option<Text<String>>,
    /// Timeout for connecting, over all addresses of a name. Default: `2s`.
    pub(crate) connect_timeout: Option<Text<Duration>>,
    /// Maximum idle connections kept for reuse, per target; 0 turns reuse off. Default: 128.
    pub(crate) keepalive_connections: Option<Text<u32>>,
    /// How long an idle connection is kept for reuse; set it lower than the target's own timeout.
    /// Default: `60s`.
    pub(crate) keepalive_timeout: Option<Text<Duration>>,
    /// Active health checks. Default: none.
    pub(crate) health_check: Option<HealthCheckText>,
    /// Retries before the first byte of a response. Default: one per request, up to 20 percent of
    /// requests.
    pub(crate) retries: Option<RetriesText>,
    /// Excludes failing targets for some time. Default: after 5 consecutive failures, for 10
    /// seconds.
    pub(crate) ejection: Option<EjectionText>,
    /// Load above which requests get 503. Default: 1024 requests, 100000 WebSockets.
    pub(crate) circuit_breaker: Option<CircuitBreakerText>,
    /// Time over which a recovered target ramps up to its full share. Default: `10s`.
    pub(crate) slow_start: Option<Text<Duration>>,
}

/// Load balancing algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Balance")]
pub(crate) enum BalanceText {
    /// Of two random targets, the one with fewer requests in flight.
    LeastRequest,
    /// A key keeps its target as long as that target is healthy.
    Rendezvous,
}

/// Active health checks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HealthCheck")]
pub(crate) struct HealthCheckText {
    /// Path for GET requests; any 2xx is healthy. Default: none, a TCP connection is enough.
    pub(crate) path: Option<Text<String>>,
    /// Time between two checks of a target. Default: `5s`.
    pub(crate) interval: Option<Text<Duration>>,
    /// Timeout of one check. Default: `2s`.
    pub(crate) timeout: Option<Text<Duration>>,
    /// Consecutive successes that mark a target healthy. Default: 2.
    pub(crate) healthy_after: Option<Text<u32>>,
    /// Consecutive failures that mark a target unhealthy. Default: 3.
    pub(crate) unhealthy_after: Option<Text<u32>>,
}

/// Retries.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retries")]
pub(crate) struct RetriesText {
    /// Maximum retries of one request; 0 turns retries off. Default: 1.
    pub(crate) per_request: Option<Text<u32>>,
    /// Maximum share of requests that are retries, in percent. Default: 20.
    pub(crate) budget_percent: Option<Text<u32>>,
}

/// Passive ejection.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ejection")]
pub(crate) struct EjectionText {
    /// Consecutive failures that eject a target; 0 turns ejection off. Default: 5.
    pub(crate) consecutive_failures: Option<Text<u32>>,
    /// Time a target stays ejected the first time. Default: `10s`.
    pub(crate) duration: Option<Text<Duration>>,
    /// Maximum share of targets ejected at once, in percent. Default: 50.
    pub(crate) max_percent: Option<Text<u32>>,
}

/// Load limits.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CircuitBreaker")]
pub(crate) struct CircuitBreakerText {
    /// Maximum requests in flight over all targets. Default: 1024.
    pub(crate) max_requests: Option<Text<u32>>,
    /// Maximum open WebSockets over all targets. Default: 100000.
    pub(crate) max_websockets: Option<Text<u32>>,
}
