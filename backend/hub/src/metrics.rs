//! Metrics of live connections.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The hub's metrics, registered once.
#[derive(Debug, Clone)]
pub struct HubMetrics {
    connections: IntGauge,
    pub(crate) frames_in: IntCounterVec,
    pub(crate) frames_out: IntCounterVec,
    pub(crate) events: IntCounter,
    pub(crate) closes: IntCounterVec,
    pub(crate) hellos: IntCounterVec,
    pub(crate) refusals: IntCounterVec,
    pub(crate) notices_dropped: IntCounter,
    pub(crate) send_seconds: Histogram,
}

impl HubMetrics {
    /// Registers all metrics with `registry`; an error when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            connections: IntGauge::new(
                "gatehouse_live_connections",
                "WebSocket connections open in this process.",
            )?,
            frames_in: counters(
                "gatehouse_live_frames_received_total",
                "Frames from clients, by type.",
                "type",
            )?,
            frames_out: counters(
                "gatehouse_live_frames_sent_total",
                "Frames queued for clients, by type.",
                "type",
            )?,
            events: IntCounter::new(
                "gatehouse_live_events_total",
                "Durable inbox events queued for clients.",
            )?,
            closes: counters(
                "gatehouse_live_closes_total",
                "Connections ended, by close code; `peer`: the client closed, `lost`: no close frame came, `aborted`: \
                 the process stopped waiting.",
                "code",
            )?,
            hellos: counters(
                "gatehouse_live_hellos_total",
                "Connections welcomed: `fresh` without a position, `recovered` by replay, `lost` to be synced by pages.",
                "result",
            )?,
            refusals: counters(
                "gatehouse_live_refusals_total",
                "Requests refused, by error code.",
                "code",
            )?,
            notices_dropped: IntCounter::new(
                "gatehouse_live_notices_dropped_total",
                "Ephemeral notices not sent because the client reads slowly.",
            )?,
            send_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "gatehouse_live_send_seconds",
                    "From a message's arrival until the store has written it.",
                )
                .buckets(vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0]),
            )?,
        };
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.frames_in.clone()))?;
        registry.register(Box::new(metrics.frames_out.clone()))?;
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.closes.clone()))?;
        registry.register(Box::new(metrics.hellos.clone()))?;
        registry.register(Box::new(metrics.refusals.clone()))?;
        registry.register(Box::new(metrics.notices_dropped.clone()))?;
        registry.register(Box::new(metrics.send_seconds.clone()))?;
        Ok(metrics)
    }

    /// Counts a connection until the guard is dropped.
    pub(crate) fn connection(&self) -> Counted {
        self.connections.inc();
        Counted(self.connections.clone())
    }
}

/// One connection in the gauge, until dropped.
pub(crate) struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn counters(name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), &[label])
}
