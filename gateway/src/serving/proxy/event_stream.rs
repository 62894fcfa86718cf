//! Metrics of an event stream: time to its first event, longest gap, and whether it ended normally.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::RouteMetrics;

/// A response of type `text/event-stream`, counted as open until dropped.
pub(crate) struct EventStream {
    metrics: Arc<RouteMetrics>,
    started: Instant,
    last: Option<Instant>,
    longest_gap: Duration,
    ended: bool,
}

impl EventStream {
    pub(super) fn begin(metrics: Arc<RouteMetrics>, started: Instant) -> Self {
        metrics.event_streams_open.inc();
        Self { metrics, started, last: None, longest_gap: Duration::ZERO, ended: false }
    }

    /// Records a chunk of the stream, or its end.
    pub(super) fn saw(&mut self, bytes: usize, end: bool) {
        if bytes > 0 {
            let now = Instant::now();
            match self.last {
                Some(last) => {
                    self.longest_gap = self.longest_gap.max(now.saturating_duration_since(last))
                }
                None => {
                    let first = now.saturating_duration_since(self.started);
                    self.metrics.event_stream_first_event.observe(first.as_secs_f64());
                }
            }
            self.last = Some(now);
        }
        self.ended |= end;
    }

    /// Records that the upstream aborted the stream or exceeded its idle timeout.
    pub(super) fn broke_off(&mut self) {
        if !self.ended {
            self.ended = true;
            self.metrics.event_stream_stalls.inc();
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.metrics.event_streams_open.dec();
        if self.last.is_some() {
            self.metrics.event_stream_longest_gap.observe(self.longest_gap.as_secs_f64());
        }
    }
}
