//! How the hub empties: everyone is told at a moment of their own within a window, then waited for.

use std::time::Duration;

use backend_protocol::live::close;
use tokio::sync::watch;

/// What the hub is doing; every session watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Open for connections.
    Serving,
    /// No new connections; the present ones leave, spread over this window.
    Draining(Duration),
    /// Nobody is waited for any more.
    Aborting,
}

/// The moment within `window` at which one session leaves.
pub(crate) fn moment(window: Duration) -> Duration {
    window.mul_f64(rand::random_range(0.0..=1.0))
}

/// Milliseconds a client should wait before it connects again, so that not all come at once.
pub(crate) fn retry_after(code: u16) -> u32 {
    // The new cookie is still on its way, with the answer to the request that replaced it.
    let least = if code == close::COOKIE_REPLACED { 1_000 } else { 100 };
    rand::random_range(least..=2_000)
}

/// Waits until nobody is waited for any more, or the hub is gone.
pub(crate) async fn over(stage: &mut watch::Receiver<Stage>) {
    let _ = stage.wait_for(|stage| *stage == Stage::Aborting).await;
}
