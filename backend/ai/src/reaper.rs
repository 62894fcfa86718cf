//! Closes runs of dead nodes: their lease has expired, and readers wait for a last event. Runs
//! whose owners only lost the store are left to them.

use backend_protocol::problem::{Problem, ProblemType};
use backend_protocol::run::RunEvent;
use backend_store::Store;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metrics::AssistantMetrics;
use crate::settings::AssistantSettings;

/// Reaps runs periodically until `shutdown`.
pub(crate) async fn reap(
    store: &dyn Store,
    settings: &AssistantSettings,
    metrics: &AssistantMetrics,
    shutdown: &CancellationToken,
) {
    let last = RunEvent::Failed(
        Problem::new(ProblemType::UpstreamUnavailable)
            .detail("The server that was writing this answer stopped. Send the message again.")
            .retry_after(1),
    );
    let mut ticks = interval(settings.reap_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Owners cannot renew their leases during an outage: after it, they get the time to.
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let begun = Instant::now();
        let available = store.probe().await;
        if available.is_err() || begun.elapsed() > settings.lease / 4 {
            not_before = Instant::now() + settings.lease;
        }
        if available.is_err() || Instant::now() < not_before {
            continue;
        }
        match store.reap_runs(&last).await {
            Ok(0) => {}
            Ok(reaped) => {
                tracing::warn!(reaped, "closed runs of dead nodes");
                metrics.reaped.inc_by(reaped as u64);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot reap runs of dead nodes");
                not_before = Instant::now() + settings.lease;
            }
        }
    }
}
