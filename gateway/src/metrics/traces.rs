//! Spans on their way to the collector.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec};

use super::Metrics;
use super::declare::Declare;

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
    fn new(spans: &IntCounterVec) -> Self {
        let [exported, dropped, failed] =
            ["exported", "dropped", "failed"].map(|result| spans.with_label_values(&[result]));
        Self { exported, dropped, failed }
    }

    pub(super) fn declare(declare: &Declare<'_>) -> Self {
        Self::new(&declare.counter(
            "trace_spans_total",
            "Spans that the collector took, that found the queue full, or that could not be sent, by result.",
            &["result"],
        ))
    }
}

impl Metrics {
    /// The counters of spans; keep the result.
    pub fn traces(&self) -> Arc<TraceMetrics> {
        Arc::clone(&self.0.traces)
    }
}
