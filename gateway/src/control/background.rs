//! Scopes of background tasks, all awaited when the gateway ends.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks that run beside requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct Background {
    pub(crate) tasks: TaskTracker,
    /// Ends with the gateway.
    pub(crate) end: CancellationToken,
    /// Ends with the gateway, or earlier when a successor does the same work: renewal and watching
    /// files.
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
