//! The task that maintains one certificate.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::certificate::Maintained;

/// When to check again while another replica orders.
const SOON: Duration = Duration::from_secs(2);

/// Runs until the certificate's `stop`.
pub(super) async fn run(mut certificate: Maintained) {
    let mut prompted = certificate.shared.prompt.subscribe();
    let clock = Arc::clone(&certificate.shared.clock);
    let stop = certificate.stop.clone();
    while !stop.is_cancelled() {
        // A step is never cancelled, because it may hold a lock: its long operations watch `stop`.
        let wake = step(&mut certificate).await;
        tokio::select! {
            () = stop.cancelled() => break,
            () = clock.sleep_until(wake) => {}
            _ = prompted.changed() => {}
        }
    }
}

/// Reads storage and does what is due. Returns when to do so again.
async fn step(certificate: &mut Maintained) -> SystemTime {
    let now = certificate.now();
    let interval = certificate.shared.settings.poll;
    let poll = now + interval;
    match certificate.load().await {
        Ok(()) => certificate.note_storage_is_back(),
        Err(failure) => {
            certificate.note_failure(&failure, poll);
            return poll;
        }
    }
    let soon = now + interval.min(SOON);
    let (due, query_at) = (certificate.due(), certificate.query_at());
    let next = if due <= now {
        certificate.order(now, soon).await
    } else if query_at.is_some_and(|at| at <= now) {
        certificate.query_renewal(soon).await
    } else {
        query_at.map_or(due, |at| at.min(due))
    };
    next.min(poll)
}
