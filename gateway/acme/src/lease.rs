//! Leases: work under a lock that is extended while the work runs, and that ends with the lock.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, FailureKind};
use crate::records::Records;
use crate::storage::{Fence, StorageError};

/// Runs `work` and extends the lock every third of its time to live. Ends the work when the lock is
/// lost or `deadline` passes. The lock is still held afterwards: the caller releases it.
pub(crate) async fn hold<T>(
    records: &Records,
    fence: &Fence,
    ttl: Duration,
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = timeout(deadline, work) => done.unwrap_or_else(|_| Err(late(deadline))),
        failure = extend(records, fence, ttl) => Err(failure),
    }
}

/// The outcome of `held`, or `None` when `stop` comes first.
pub(crate) async fn hold_until<T>(
    stop: &CancellationToken,
    held: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        done = held => done.map(Some),
    }
}

fn late(deadline: Duration) -> Failure {
    let seconds = deadline.as_secs();
    let text = format!("not done after {seconds} s: the authority is slow, or slow to reach us");
    Failure::new(FailureKind::Timeout, text)
}

/// Returns only when the lock is lost.
async fn extend(records: &Records, fence: &Fence, ttl: Duration) -> Failure {
    let third = ttl / 3;
    let mut ticks = interval_at(Instant::now() + third, third);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = Instant::now();
    loop {
        ticks.tick().await;
        let began = Instant::now();
        match records.extend(fence, ttl).await {
            Ok(()) => held = began,
            Err(error @ StorageError::Fenced { .. }) => return error.into(),
            // Storage may be unavailable for a moment. Once the lock has expired, another replica
            // may be ordering.
            Err(error) if held.elapsed() >= ttl => return error.into(),
            Err(error) => tracing::debug!(%error, "cannot extend the ordering lock yet"),
        }
    }
}
