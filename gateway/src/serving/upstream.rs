//! An internal service: its targets, who of them gets a request, and what is learnt from the
//! outcome.

mod address;
mod balance;
mod budget;
mod call;
mod check;
mod connection;
mod health;
mod idle;
mod maintenance;
mod stream;
mod target;

pub(crate) use address::Address;
pub(crate) use balance::Key;
pub(crate) use call::{Call, Late, Patience};
pub(crate) use stream::UpstreamStream;
pub(crate) use target::Target;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use gateway_config::Balance;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::metrics::UpstreamMetrics;
use crate::serving::held::Holding;
use balance::Candidate;
use budget::RetryBudget;

/// An upstream in use. Kept over reloads that do not change it.
pub(crate) struct Upstream {
    config: gateway_config::Upstream,
    targets: ArcSwap<Vec<Arc<Target>>>,
    /// Turns true when names have been resolved once.
    resolved: watch::Sender<bool>,
    requests: AtomicU32,
    websockets: AtomicU32,
    budget: RetryBudget,
    metrics: Arc<UpstreamMetrics>,
    maintenance: OnceLock<AbortHandle>,
}

/// Why an upstream takes no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The circuit breaker's limit is reached.
    #[error("the upstream has as many requests as it may have")]
    Full,
    /// No name resolves, or all targets were tried.
    #[error("the upstream has no target that could be asked")]
    NoTarget,
}

/// How an attempt ended, as far as the target's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered.
    Answered,
    /// It did not, or said that it could not; the reason is a label.
    Failed(&'static str),
}

/// A place among the upstream's requests or WebSockets; dropping it makes room.
pub(crate) struct Admission {
    upstream: Arc<Upstream>,
    websocket: bool,
}

/// A request at a target; dropping it ends the count.
pub(crate) struct Attempt {
    upstream: Arc<Upstream>,
    target: Arc<Target>,
}

impl Upstream {
    /// An upstream whose names are being resolved and whose health is being checked from now on.
    pub(crate) fn start(
        config: &gateway_config::Upstream,
        metrics: Arc<UpstreamMetrics>,
    ) -> Arc<Self> {
        let upstream = Self::without_maintenance(config, metrics);
        let maintenance = tokio::spawn(maintenance::maintain(Arc::downgrade(&upstream)));
        upstream.maintenance.get_or_init(|| maintenance.abort_handle());
        upstream
    }

    /// Without the background task: no resolving, no health checks.
    pub(crate) fn without_maintenance(
        config: &gateway_config::Upstream,
        metrics: Arc<UpstreamMetrics>,
    ) -> Arc<Self> {
        let fixed: Vec<Arc<Target>> =
            config.targets.iter().filter_map(|target| Target::fixed(target, config)).collect();
        let resolved = fixed.len() == config.targets.len();
        for target in &fixed {
            metrics.target_healthy(&target.label, true);
        }
        Arc::new(Self {
            config: config.clone(),
            targets: ArcSwap::from_pointee(fixed),
            resolved: watch::Sender::new(resolved),
            requests: AtomicU32::new(0),
            websockets: AtomicU32::new(0),
            budget: RetryBudget::new(config.retries.budget_percent),
            metrics,
            maintenance: OnceLock::new(),
        })
    }

    /// As configured.
    pub(crate) fn config(&self) -> &gateway_config::Upstream {
        &self.config
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.config.name.as_str()
    }

    /// Takes a place, unless the circuit breaker is open.
    pub(crate) fn admit(self: &Arc<Self>, websocket: bool) -> Result<Admission, Unavailable> {
        let (count, most) = if websocket {
            (&self.websockets, self.config.circuit_breaker.max_websockets)
        } else {
            (&self.requests, self.config.circuit_breaker.max_requests)
        };
        if count.fetch_add(1, Ordering::AcqRel) >= most {
            count.fetch_sub(1, Ordering::AcqRel);
            self.metrics.refused.inc();
            return Err(Unavailable::Full);
        }
        if !websocket {
            self.metrics.in_flight.inc();
            self.budget.deposit();
        }
        Ok(Admission { upstream: Arc::clone(self), websocket })
    }

    /// Chooses a target that is not among those already tried. Waits for names to be resolved for
    /// the first time.
    pub(crate) async fn pick(
        self: &Arc<Self>,
        key: Key<'_>,
        tried: &[Arc<Target>],
    ) -> Result<Attempt, Unavailable> {
        let is_resolved = *self.resolved.borrow();
        if !is_resolved {
            let mut resolved = self.resolved.subscribe();
            // Ending late or not at all is the same here: the list is then empty.
            let _ =
                tokio::time::timeout(self.config.connect_timeout, resolved.wait_for(|done| *done))
                    .await;
        }
        let targets = self.targets.load();
        // Where there is no choice, there is nothing to weigh: the only one is asked, whatever is
        // known of it.
        if let ([only], []) = (targets.as_slice(), tried) {
            return Ok(Attempt::new(self, only));
        }
        let now = Instant::now();
        let candidates: Vec<Candidate<'_>> = targets
            .iter()
            .filter(|target| !tried.iter().any(|tried| Arc::ptr_eq(tried, target)))
            .map(|target| Candidate::of(target, now))
            .collect();
        let chosen = match &self.config.balance {
            Balance::LeastRequest => balance::least_request(&candidates, rand::random()),
            Balance::Rendezvous { .. } => balance::rendezvous(&candidates, key),
        };
        let Some(target) =
            chosen.and_then(|index| candidates.get(index)).map(|candidate| candidate.target)
        else {
            self.metrics.refused.inc();
            return Err(Unavailable::NoTarget);
        };
        Ok(Attempt::new(self, target))
    }

    /// Takes a retry for a request that was tried this many times, if it may have one.
    pub(crate) fn take_retry(&self, attempts: usize) -> bool {
        let another = u32::try_from(attempts)
            .is_ok_and(|attempts| attempts <= self.config.retries.per_request);
        let allowed = another && self.budget.withdraw();
        if allowed {
            self.metrics.retries.inc();
        }
        allowed
    }

    /// Targets that others may be preferred to, as one number in a hundred.
    fn is_ejection_allowed(&self) -> bool {
        let targets = self.targets.load();
        let out =
            targets.iter().filter(|target| target.health().is_ejected(Instant::now())).count();
        (out + 1) * 100 <= targets.len() * self.config.ejection.max_percent as usize
    }

    fn note(&self, target: &Target, outcome: Outcome) {
        let now = Instant::now();
        match outcome {
            Outcome::Answered => target.health().answered(),
            Outcome::Failed(reason) => {
                self.metrics.failure(reason);
                let ejection = &self.config.ejection;
                let due = target.health().failed(ejection.consecutive_failures);
                if due && self.is_ejection_allowed() {
                    target.health().eject(now, ejection.duration);
                    self.metrics.ejections.inc();
                    self.metrics.target_healthy(&target.label, false);
                    tracing::warn!(upstream = self.name(), target = %target.label, "target ejected after failures");
                }
            }
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(maintenance) = self.maintenance.get() {
            maintenance.abort();
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let count =
            if self.websocket { &self.upstream.websockets } else { &self.upstream.requests };
        count.fetch_sub(1, Ordering::AcqRel);
        if !self.websocket {
            self.upstream.metrics.in_flight.dec();
        }
    }
}

impl Attempt {
    fn new(upstream: &Arc<Upstream>, target: &Arc<Target>) -> Self {
        target.in_flight.fetch_add(1, Ordering::AcqRel);
        Self { upstream: Arc::clone(upstream), target: Arc::clone(target) }
    }

    /// The target.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// A call of the target, for one request.
    pub(crate) fn call(&self, patience: Patience, holding: Arc<Holding>) -> Arc<Call> {
        Call::new(&self.target, patience, holding)
    }

    /// Learns from how it ended.
    pub(crate) fn note(&self, outcome: Outcome) {
        self.upstream.note(&self.target, outcome);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Names are looked up again this often, so that a headless service's pods come and go.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
