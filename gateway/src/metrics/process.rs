//! The process: its configuration, its readiness, upgrades.

use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec};

use super::declare::Declare;
use super::{Metrics, result};

/// The families of the process.
pub(super) struct Process {
    reloads: IntCounterVec,
    last_reload_successful: IntGauge,
    last_reload_success: Gauge,
    config_info: IntGaugeVec,
    upgrades: IntCounterVec,
    ready: IntGauge,
    draining: IntGauge,
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

impl Process {
    pub(super) fn declare(declare: &Declare<'_>) -> Self {
        let process = Self {
            reloads: declare.counter("config_reloads_total", "Reloads of the configuration, by result.", &["result"]),
            last_reload_successful: declare.single_gauge(
                "config_last_reload_successful",
                "1: the last reload took effect; 0: it failed and the configuration before it is in use.",
            ),
            last_reload_success: declare.seconds(
                "config_last_reload_success_timestamp_seconds",
                "When a configuration last took effect, in Unix time.",
            ),
            config_info: declare.gauge(
                "config_info",
                "1 for the configuration in use, by SHA-256 of its text.",
                &["hash"],
            ),
            upgrades: declare.counter(
                "upgrades_total",
                "Processes that took over: taken_over by this one, handed_over from this one; or that began to and failed, or were refused.",
                &["result"],
            ),
            ready: declare.single_gauge("ready", "1: /readyz says ready."),
            draining: declare.single_gauge("draining", "1: the gateway is stopping."),
        };
        for result in ["success", "failure"] {
            process.reloads.with_label_values(&[result]);
        }
        for result in UpgradeResult::ALL {
            process.upgrades.with_label_values(&[result.as_str()]);
        }
        process
    }
}

impl Metrics {
    /// Notes that a configuration took effect: at start (not counted as a reload) or by a reload.
    pub fn config_in_use(&self, hash: &str, unix_seconds: f64) {
        self.0.process.config_info.reset();
        self.0.process.config_info.with_label_values(&[hash]).set(1);
        self.0.process.last_reload_successful.set(1);
        self.0.process.last_reload_success.set(unix_seconds);
    }

    /// Counts a reload.
    pub fn reloaded(&self, success: bool) {
        self.0.process.reloads.with_label_values(&[result(success)]).inc();
        self.0.process.last_reload_successful.set(i64::from(success));
    }

    /// Counts a process that took over or tried to.
    pub fn upgrade(&self, result: UpgradeResult) {
        self.0.process.upgrades.with_label_values(&[result.as_str()]).inc();
    }

    /// Notes what `/readyz` reports.
    pub fn ready(&self, ready: bool) {
        self.0.process.ready.set(i64::from(ready));
    }

    /// Notes that the gateway is stopping.
    pub fn draining(&self) {
        self.0.process.draining.set(1);
    }
}
