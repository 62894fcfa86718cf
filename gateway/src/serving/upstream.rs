//! An internal service: its targets, load balancing, retries and passive health checks.

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
mod target_connection;

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

/// An upstream in use. Reloads that do not change its configuration keep it.
pub(crate) struct Upstream {
    config: gateway_config::Upstream,
    targets: ArcSwap<Vec<Arc<Target>>>,
    /// True once all names have been looked up for the first time.
    resolved: watch::Sender<bool>,
    requests: AtomicU32,
    websockets: AtomicU32,
    budget: RetryBudget,
    metrics: Arc<UpstreamMetrics>,
    maintenance: OnceLock<AbortHandle>,
}

/// Why an upstream rejects a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The circuit breaker's limit is reached.
    #[error("the upstream is at its circuit breaker limit")]
    Full,
    /// No name resolves, or all targets were tried.
    #[error("the upstream has no target left to try")]
    NoTarget,
}

/// How an attempt ended, for the target's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The target sent a response.
    Answered,
    /// No response, or a gateway error (502 to 504) from the target; the reason is a metric label.
    Failed(&'static str),
}

/// A permit of the circuit breaker for one request or WebSocket; dropping it releases the permit.
pub(crate) struct Admission {
    upstream: Arc<Upstream>,
    websocket: bool,
}

/// One request sent to one target; dropping it decrements the target's in-flight count.
pub(crate) struct Attempt {
    upstream: Arc<Upstream>,
    target: Arc<Target>,
}

impl Upstream {
    /// Creates an upstream and starts its maintenance task (DNS, health checks).
    pub(crate) fn start(
        config: &gateway_config::Upstream,
        metrics: Arc<UpstreamMetrics>,
    ) -> Arc<Self> {
        let upstream = Self::without_maintenance(config, metrics);
        let maintenance = tokio::spawn(maintenance::maintain(Arc::downgrade(&upstream)));
        upstream.maintenance.get_or_init(|| maintenance.abort_handle());
        upstream
    }

    /// Without the maintenance task: no DNS, no health checks.
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

    /// The configuration.
    pub(crate) fn config(&self) -> &gateway_config::Upstream {
        &self.config
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.config.name.as_str()
    }

    /// Takes a permit of the circuit breaker.
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

    /// Chooses a target that is not in `tried`. Waits up to `connect_timeout` for the first DNS
    /// lookup.
    pub(crate) async fn pick(
        self: &Arc<Self>,
        key: Key<'_>,
        tried: &[Arc<Target>],
    ) -> Result<Attempt, Unavailable> {
        let is_resolved = *self.resolved.borrow();
        if !is_resolved {
            let mut resolved = self.resolved.subscribe();
            // After a timeout the list of targets is empty, which is handled below.
            let _ =
                tokio::time::timeout(self.config.connect_timeout, resolved.wait_for(|done| *done))
                    .await;
        }
        let targets = self.targets.load();
        // A single target gets every request, even while unhealthy.
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

    /// Takes a retry from the budget for a request that was tried `attempts` times; false when the
    /// request or the budget has none left.
    pub(crate) fn take_retry(&self, attempts: usize) -> bool {
        let another = u32::try_from(attempts)
            .is_ok_and(|attempts| attempts <= self.config.retries.per_request);
        let allowed = another && self.budget.withdraw();
        if allowed {
            self.metrics.retries.inc();
        }
        allowed
    }

    /// Whether one more ejection stays within `ejection.max_percent` of the targets.
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

    /// The call that tracks one request to the target.
    pub(crate) fn call(&self, patience: Patience, holding: Arc<Holding>) -> Arc<Call> {
        Call::new(&self.target, patience, holding)
    }

    /// Records the outcome in the target's health.
    pub(crate) fn note(&self, outcome: Outcome) {
        self.upstream.note(&self.target, outcome);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Interval of DNS lookups: follows the pods of a headless service.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
