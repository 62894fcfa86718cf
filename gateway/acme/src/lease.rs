//! Work under a lock that is held on to while the work lasts, and not a moment longer than it is
//! ours.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::storage::{Fence, Records};
use crate::{Failure, FailureKind, StorageError};

/// Runs `work`, extending the lock at a third of its time to live; ends it when the lock is lost or
/// `deadline` passes. The lock is still held afterwards: the caller lets go.
pub(crate) async fn hold<T>(
    records: &Records,
    fence: &Fence,
    ttl: Duration,
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = timeout(deadline, work) => done.unwrap_or_else(|_| {
            let text = format!("not done after {} s: the authority or its view of us is slow", deadline.as_secs());
            Err(Failure::new(FailureKind::Timeout, text))
        }),
        failure = keep(records, fence, ttl) => Err(failure),
    }
}

/// What is held, or `None` as soon as `stop` is asked for.
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

/// Returns only when the lock is lost.
async fn keep(records: &Records, fence: &Fence, ttl: Duration) -> Failure {
    let third = ttl / 3;
    let mut ticks = interval_at(Instant::now() + third, third);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = Instant::now();
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        match records.extend(fence, ttl).await {
            Ok(()) => held = asked,
            Err(error @ StorageError::Fenced { .. }) => return error.into(),
            // Storage may be away for a moment; once the lock has run out, somebody else may be
            // ordering.
            Err(error) if held.elapsed() >= ttl => return error.into(),
            Err(error) => tracing::debug!(%error, "cannot extend the ordering lock yet"),
        }
    }
}
