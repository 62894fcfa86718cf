//! Metrics of the assistant. Model labels are limited to the configured models.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The assistant's metrics.
#[derive(Debug, Clone)]
pub struct AssistantMetrics {
    pub(crate) runs: IntCounterVec,
    pub(crate) active: IntGauge,
    pub(crate) first_token: Histogram,
    pub(crate) tokens: IntCounterVec,
    pub(crate) retries: IntCounterVec,
    pub(crate) reaped: IntCounter,
}

impl AssistantMetrics {
    /// Creates and registers the metrics; fails when the registry already has metrics of these
    /// names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            runs: IntCounterVec::new(
                Opts::new("gatehouse_ai_runs_total", "Runs that ended, by model and result."),
                &["model", "result"],
            )?,
            active: IntGauge::new("gatehouse_ai_runs_active", "Runs in progress in this process.")?,
            first_token: Histogram::with_opts(
                HistogramOpts::new(
                    "gatehouse_ai_first_token_seconds",
                    "From the start of a run to the model's first token, retries included.",
                )
                .buckets(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
            )?,
            tokens: IntCounterVec::new(
                Opts::new(
                    "gatehouse_ai_tokens_total",
                    "Tokens as the provider counts them, by model and kind.",
                ),
                &["model", "kind"],
            )?,
            retries: IntCounterVec::new(
                Opts::new(
                    "gatehouse_ai_retries_total",
                    "Requests to the provider that were retried, by reason.",
                ),
                &["reason"],
            )?,
            reaped: IntCounter::new(
                "gatehouse_ai_runs_reaped_total",
                "Runs of dead nodes that this process closed.",
            )?,
        };
        registry.register(Box::new(metrics.runs.clone()))?;
        registry.register(Box::new(metrics.active.clone()))?;
        registry.register(Box::new(metrics.first_token.clone()))?;
        registry.register(Box::new(metrics.tokens.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.reaped.clone()))?;
        Ok(metrics)
    }
}
