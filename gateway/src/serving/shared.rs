//! State that outlives snapshots and that every connection and request uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use arc_swap::ArcSwap;

use crate::metrics::Metrics;
use crate::serving::challenges::{ChallengeAnswers, Http01};
use crate::serving::drain::DrainSignal;
use crate::serving::held::Holdings;
use crate::serving::rate_limits::RateLimits;
use crate::serving::snapshot::Snapshot;

/// Made once for a data plane.
pub(crate) struct Shared {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) metrics: Metrics,
    pub(crate) rate_limits: RateLimits,
    pub(crate) holdings: Arc<Holdings>,
    pub(crate) challenges: ChallengeAnswers,
    pub(crate) drain: DrainSignal,
    https_port: AtomicU16,
}

impl Shared {
    pub(crate) fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        metrics: Metrics,
        http01: Http01,
    ) -> Arc<Self> {
        let holdings = Holdings::new(metrics.held_bytes());
        Arc::new(Self {
            snapshot,
            metrics,
            rate_limits: RateLimits::default(),
            holdings,
            challenges: ChallengeAnswers::new(http01),
            drain: DrainSignal::new(),
            https_port: AtomicU16::new(443),
        })
    }

    pub(crate) fn set_https_port(&self, port: u16) {
        self.https_port.store(port, Ordering::Relaxed);
    }

    /// The port that plain HTTP redirects to when its listener names none.
    pub(crate) fn https_port(&self) -> u16 {
        self.https_port.load(Ordering::Relaxed)
    }
}
