//! Readiness latch: not ready → ready → draining, never back.

use tokio::sync::watch;

use crate::metrics::Metrics;

/// Says whether requests should be sent here: closed at first, opened once, closed for good by a
/// drain.
#[derive(Clone)]
pub struct Readiness {
    phase: watch::Sender<Phase>,
    metrics: Metrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Draining,
}

impl Readiness {
    /// A closed latch.
    pub fn new(metrics: Metrics) -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), metrics }
    }

    /// Opens the latch, unless a drain was faster.
    pub fn open(&self) {
        self.phase.send_if_modified(|phase| {
            let opens = *phase == Phase::Starting;
            if opens {
                *phase = Phase::Ready;
                self.metrics.ready(true);
            }
            opens
        });
    }

    /// Closes the latch for good.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
        self.metrics.ready(false);
        self.metrics.draining();
    }

    /// Whether the latch is open.
    pub fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Ready
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() == Phase::Draining
    }
}
