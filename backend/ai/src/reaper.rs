//! Closes the runs of nodes that died: their lease has ended, and somebody waits for a last event.

use backend_protocol::problem::{Problem, ProblemType};
use backend_protocol::run::RunEvent;
use backend_store::Store;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metrics::AssistantMetrics;
use crate::settings::AssistantSettings;

/// Looks for dead runs until `shutdown`.
pub(crate) async fn reap(
    store: &dyn Store,
    settings: &AssistantSettings,
    metrics: &AssistantMetrics,
    shutdown: &CancellationToken,
) {
    let last = RunEvent::Failed(
        Problem::new(ProblemType::UpstreamUnavailable)
            .detail("The server that was writing this answer went away. Ask again.")
            .retry_after(1),
    );
    let mut ticks = interval(settings.reap_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match store.reap_runs(&last).await {
            Ok(0) => {}
            Ok(reaped) => {
                tracing::warn!(reaped, "closed runs whose node died");
                metrics.reaped.inc_by(reaped as u64);
            }
            Err(error) => tracing::warn!(%error, "cannot look for dead runs"),
        }
    }
}
