//! Counters taken once per route, upstream and listener, so that counting is an atomic addition.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Families;

/// An HTTP version, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0 or HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
}

impl HttpVersion {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
        }
    }
}

/// How a TLS handshake ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeResult {
    /// Established.
    Success,
    /// The deadline passed.
    Timeout,
    /// The client left.
    Closed,
    /// No common version, suite or protocol, or an alert.
    Failure,
}

impl HandshakeResult {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Failure => "failure",
        }
    }
}

/// What became of spans.
pub struct TraceMetrics {
    /// The collector took them.
    pub exported: IntCounter,
    /// The queue was full.
    pub dropped: IntCounter,
    /// The collector did not take them.
    pub failed: IntCounter,
}

impl TraceMetrics {
    pub(super) fn new(spans: &IntCounterVec) -> Self {
        let [exported, dropped, failed] =
            ["exported", "dropped", "failed"].map(|result| spans.with_label_values(&[result]));
        Self { exported, dropped, failed }
    }
}

/// Why a connection was closed at once, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The listener or the gateway has as many as it takes.
    Total,
    /// The client's address has as many as it may have.
    Address,
    /// The PROXY header was missing, malformed or late.
    ProxyHeader,
    /// The process is out of file descriptors.
    Descriptors,
}

impl ConnectionRefusal {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
            Self::ProxyHeader => "proxy_header",
            Self::Descriptors => "descriptors",
        }
    }
}

/// How it went when a process took over from another, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeResult {
    /// This process took over.
    TakenOver,
    /// Another process took over from this one.
    HandedOver,
    /// Another process began to take over from this one and did not go through with it.
    Failed,
    /// Another process was not given the sockets.
    Refused,
}

impl UpgradeResult {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::TakenOver, Self::HandedOver, Self::Failed, Self::Refused];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::HandedOver => "handed_over",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Status codes that have a series of their own; others are counted as `other`.
const CODES: std::ops::Range<u16> = 100..600;

/// Counters of one route.
pub struct RouteMetrics {
    name: String,
    requests: IntCounterVec,
    answered: [Box<[OnceLock<IntCounter>]>; 2],
    /// Requests being answered now: inc at the head, dec at the end.
    pub in_flight: IntGauge,
    /// Seconds from the head of a request to the last byte of its answer.
    pub duration: Histogram,
    /// Bytes of request bodies.
    pub request_bytes: IntCounter,
    /// Bytes of response bodies.
    pub response_bytes: IntCounter,
    /// Requests refused with 429.
    pub rate_limited: IntCounter,
    /// WebSockets open now.
    pub websockets_open: IntGauge,
    /// WebSockets opened.
    pub websockets: IntCounter,
    /// Bytes from clients in WebSockets.
    pub websocket_bytes_in: IntCounter,
    /// Bytes to clients in WebSockets.
    pub websocket_bytes_out: IntCounter,
    /// Event streams open now.
    pub event_streams_open: IntGauge,
    /// Seconds from the head of a request to the first byte of its event stream.
    pub event_stream_first_event: Histogram,
    /// Longest silence, in seconds, observed once per event stream.
    pub event_stream_longest_gap: Histogram,
    /// Event streams that the upstream broke off or left silent.
    pub event_stream_stalls: IntCounter,
}

impl RouteMetrics {
    pub(super) fn new(all: &Families, name: &str) -> Self {
        let slots = || CODES.map(|_| OnceLock::new()).collect();
        Self {
            name: name.to_owned(),
            requests: all.requests.clone(),
            answered: [slots(), slots()],
            in_flight: all.requests_in_flight.with_label_values(&[name]),
            duration: all.request_duration.with_label_values(&[name]),
            request_bytes: all.request_bytes.with_label_values(&[name]),
            response_bytes: all.response_bytes.with_label_values(&[name]),
            rate_limited: all.rate_limited.with_label_values(&[name]),
            websockets_open: all.websockets_open.with_label_values(&[name]),
            websockets: all.websockets.with_label_values(&[name]),
            websocket_bytes_in: all.websocket_bytes.with_label_values(&[name, "in"]),
            websocket_bytes_out: all.websocket_bytes.with_label_values(&[name, "out"]),
            event_streams_open: all.event_streams_open.with_label_values(&[name]),
            event_stream_first_event: all.event_stream_first_event.with_label_values(&[name]),
            event_stream_longest_gap: all.event_stream_longest_gap.with_label_values(&[name]),
            event_stream_stalls: all.event_stream_stalls.with_label_values(&[name]),
        }
    }

    /// Counts one answered request.
    pub fn answered(&self, code: u16, version: HttpVersion) {
        let [h1, h2] = &self.answered;
        let slots = if version == HttpVersion::H1 { h1 } else { h2 };
        match code.checked_sub(CODES.start).and_then(|index| slots.get(usize::from(index))) {
            Some(slot) => slot
                .get_or_init(|| {
                    self.requests.with_label_values(&[
                        &self.name,
                        code.to_string().as_str(),
                        version.as_str(),
                    ])
                })
                .inc(),
            None => self
                .requests
                .with_label_values(&[self.name.as_str(), "other", version.as_str()])
                .inc(),
        }
    }
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
    pub(super) fn new(all: &Families, name: &str) -> Self {
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

/// Counters of one listener.
pub struct ListenerMetrics {
    name: String,
    refusals: IntCounterVec,
    /// Connections open now.
    pub open: IntGauge,
    /// Connections accepted.
    pub accepted: IntCounter,
}

impl ListenerMetrics {
    pub(super) fn new(all: &Families, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            refusals: all.connections_refused.clone(),
            open: all.connections_open.with_label_values(&[name]),
            accepted: all.connections.with_label_values(&[name]),
        }
    }

    /// Counts a connection closed at once.
    pub fn refused(&self, reason: ConnectionRefusal) {
        self.refusals.with_label_values(&[self.name.as_str(), reason.as_str()]).inc();
    }
}

/// Drops every series of routes and upstreams that are gone.
pub(super) fn retain(
    all: &Families,
    route: impl Fn(&str) -> bool,
    upstream: impl Fn(&str) -> bool,
) {
    all.routes.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| route(name));
    all.upstreams.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| upstream(name));
    for family in
        [&all.requests, &all.request_bytes, &all.response_bytes, &all.rate_limited, &all.websockets]
    {
        drop_series(family, "route", &route);
    }
    for family in [&all.websocket_bytes, &all.event_stream_stalls] {
        drop_series(family, "route", &route);
    }
    // What is open outlives its route, and is counted until it ends; a later reload drops the
    // series.
    for family in [&all.requests_in_flight, &all.websockets_open, &all.event_streams_open] {
        drop_series(family, "route", &|name| {
            route(name) || family.with_label_values(&[name]).get() != 0
        });
    }
    for family in
        [&all.request_duration, &all.event_stream_first_event, &all.event_stream_longest_gap]
    {
        drop_series(family, "route", &route);
    }
    for family in [
        &all.upstream_failures,
        &all.upstream_retries,
        &all.upstream_ejections,
        &all.upstream_refused,
    ] {
        drop_series(family, "upstream", &upstream);
    }
    for family in [&all.upstream_healthy, &all.upstream_in_flight] {
        drop_series(family, "upstream", &upstream);
    }
}

pub(super) fn drop_series<T: MetricVecBuilder>(
    family: &MetricVec<T>,
    label: &str,
    keep: &impl Fn(&str) -> bool,
) where
    MetricVec<T>: Collector,
{
    for collected in family.collect() {
        for metric in collected.get_metric() {
            let labels = metric.get_label();
            if labels.iter().any(|pair| pair.name() == label && !keep(pair.value())) {
                let pairs: HashMap<&str, &str> =
                    labels.iter().map(|pair| (pair.name(), pair.value())).collect();
                forget(&family.remove(&pairs));
            }
        }
    }
}

/// Every value that a label has now.
pub(super) fn label_values(family: &impl Collector, label: &str) -> Vec<String> {
    let families = family.collect();
    let pairs = families
        .iter()
        .flat_map(|family| family.get_metric())
        .flat_map(|metric| metric.get_label());
    pairs.filter(|pair| pair.name() == label).map(|pair| pair.value().to_owned()).collect()
}

/// A series that is gone already needs no removal.
pub(super) fn forget(_: &prometheus::Result<()>) {}
