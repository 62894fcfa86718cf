//! Upstreams and their targets.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Metrics;
use super::declare::{ByName, Declare, drop_series, forget};

/// The families of every upstream.
pub(super) struct Upstreams {
    upstream_healthy: IntGaugeVec,
    upstream_in_flight: IntGaugeVec,
    upstream_failures: IntCounterVec,
    upstream_retries: IntCounterVec,
    upstream_ejections: IntCounterVec,
    upstream_refused: IntCounterVec,
    by_name: ByName<UpstreamMetrics>,
}

/// Counters of one upstream.
pub struct UpstreamMetrics {
    name: String,
    healthy: IntGaugeVec,
    failures: IntCounterVec,
    /// Requests at the upstream now.
    pub in_flight: IntGauge,
    /// Attempts after the first.
    pub retries: IntCounter,
    /// Targets ejected.
    pub ejections: IntCounter,
    /// Requests refused: breaker open, or no target left.
    pub refused: IntCounter,
}

impl UpstreamMetrics {
    fn new(all: &Upstreams, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            healthy: all.upstream_healthy.clone(),
            failures: all.upstream_failures.clone(),
            in_flight: all.upstream_in_flight.with_label_values(&[name]),
            retries: all.upstream_retries.with_label_values(&[name]),
            ejections: all.upstream_ejections.with_label_values(&[name]),
            refused: all.upstream_refused.with_label_values(&[name]),
        }
    }

    /// Notes whether a target gets requests.
    pub fn target_healthy(&self, target: &str, healthy: bool) {
        self.healthy.with_label_values(&[self.name.as_str(), target]).set(i64::from(healthy));
    }

    /// Drops the series of a target that is gone.
    pub fn target_gone(&self, target: &str) {
        forget(&self.healthy.remove_label_values(&[self.name.as_str(), target]));
    }

    /// Counts a failed attempt; `reason` must be a literal: `connect`, `timeout`, `reset`, `status`
    /// …
    pub fn failure(&self, reason: &'static str) {
        self.failures.with_label_values(&[self.name.as_str(), reason]).inc();
    }
}

impl Upstreams {
    pub(super) fn declare(declare: &Declare<'_>) -> Self {
        Self {
            upstream_healthy: declare.gauge(
                "upstream_target_healthy",
                "1: the target gets requests; 0: unhealthy or ejected.",
                &["upstream", "target"],
            ),
            upstream_in_flight: declare.gauge(
                "upstream_requests_in_flight",
                "Requests at an upstream now.",
                &["upstream"],
            ),
            upstream_failures: declare.counter(
                "upstream_failures_total",
                "Attempts that failed: connect, write, first_byte, idle, reset, status or websocket.",
                &["upstream", "reason"],
            ),
            upstream_retries: declare.counter("upstream_retries_total", "Attempts after the first.", &["upstream"]),
            upstream_ejections: declare.counter(
                "upstream_ejections_total",
                "Targets ejected after failures.",
                &["upstream"],
            ),
            upstream_refused: declare.counter(
                "upstream_refused_total",
                "Requests refused with 503 because the circuit breaker was open or no target was left.",
                &["upstream"],
            ),
            by_name: ByName::default(),
        }
    }

    /// Drops every series of upstreams that are gone.
    pub(super) fn retain(&self, upstream: &impl Fn(&str) -> bool) {
        self.by_name.retain(upstream);
        for family in [
            &self.upstream_failures,
            &self.upstream_retries,
            &self.upstream_ejections,
            &self.upstream_refused,
        ] {
            drop_series(family, "upstream", upstream);
        }
        for family in [&self.upstream_healthy, &self.upstream_in_flight] {
            drop_series(family, "upstream", upstream);
        }
    }
}

impl Metrics {
    /// The counters of an upstream, made on first use; keep the result.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        let upstreams = &self.0.upstreams;
        upstreams.by_name.get_or_make(name, |name| UpstreamMetrics::new(upstreams, name))
    }
}
