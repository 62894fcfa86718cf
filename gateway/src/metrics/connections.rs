//! Client connections and TLS handshakes.

use std::sync::Arc;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Metrics;
use super::declare::{ByName, Declare};

/// The families of every listener.
pub(super) struct Connections {
    connections_open: IntGaugeVec,
    connections: IntCounterVec,
    connections_refused: IntCounterVec,
    handshakes: IntCounterVec,
    handshake_duration: HistogramVec,
    by_name: ByName<ListenerMetrics>,
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
    fn new(all: &Connections, name: &str) -> Self {
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

impl Connections {
    pub(super) fn declare(declare: &Declare<'_>) -> Self {
        Self {
            connections_open: declare.gauge(
                "connections_open",
                "Client connections open now.",
                &["listener"],
            ),
            connections: declare.counter(
                "connections_total",
                "Client connections accepted.",
                &["listener"],
            ),
            connections_refused: declare.counter(
                "connections_refused_total",
                "Client connections closed at once, by reason.",
                &["listener", "reason"],
            ),
            handshakes: declare.counter(
                "tls_handshakes_total",
                "TLS handshakes by version, result and whether a session was resumed.",
                &["version", "result", "resumed"],
            ),
            handshake_duration: declare.histogram(
                "tls_handshake_duration_seconds",
                "Time of a TLS handshake.",
                &[],
            ),
            by_name: ByName::default(),
        }
    }

    /// The connections that are open now.
    pub(super) fn open(&self) -> &IntGaugeVec {
        &self.connections_open
    }
}

impl Metrics {
    /// The counters of a listener, made on first use; keep the result.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        let connections = &self.0.connections;
        connections.by_name.get_or_make(name, |name| ListenerMetrics::new(connections, name))
    }

    /// Counts a finished TLS handshake. `version` is `1.2`, `1.3` or, when it did not get that far,
    /// `none`.
    pub fn handshake(
        &self,
        version: &'static str,
        result: HandshakeResult,
        resumed: bool,
        seconds: f64,
    ) {
        let resumed = if resumed { "yes" } else { "no" };
        self.0.connections.handshakes.with_label_values(&[version, result.as_str(), resumed]).inc();
        self.0.connections.handshake_duration.with_label_values::<&str>(&[]).observe(seconds);
    }
}
