//! How the hub drains: each connection leaves at a random moment within a window.

use std::time::Duration;

use backend_protocol::live::close;
use tokio::sync::watch;

/// State of the hub; every connection watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Accepts connections.
    Serving,
    /// Refuses new connections; the existing ones leave, spread over this window.
    Draining(Duration),
    /// The drain deadline has passed: connections end at once.
    Aborting,
}

/// A random moment within `window`, when one connection leaves.
pub(crate) fn leave_delay(window: Duration) -> Duration {
    window.mul_f64(rand::random_range(0.0..=1.0))
}

/// Milliseconds a client should wait before it reconnects, with jitter.
pub(crate) fn retry_after(code: u16) -> u32 {
    // The response that replaces the cookie may still be in flight.
    let least = if code == close::COOKIE_REPLACED { 1_000 } else { 100 };
    rand::random_range(least..=2_000)
}

/// Waits until the drain deadline has passed or the hub is dropped.
pub(crate) async fn aborted(stage: &mut watch::Receiver<Stage>) {
    let _ = stage.wait_for(|stage| *stage == Stage::Aborting).await;
}
