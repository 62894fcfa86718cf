//! Scopes of background tasks: each is awaited at the end of the gateway.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What runs beside requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct Background {
    pub(crate) tasks: TaskTracker,
    /// Ends with the gateway.
    pub(crate) end: CancellationToken,
    /// Ends with the gateway, or before when another process has taken over and does the same:
    /// renewal and the watch of files.
    pub(crate) maintenance: CancellationToken,
}

impl Background {
    pub(crate) fn new() -> Self {
        let end = CancellationToken::new();
        let maintenance = end.child_token();
        Self { tasks: TaskTracker::new(), end, maintenance }
    }

    /// Ends every task.
    pub(crate) async fn stop(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
