//! State shared by the assistant and its runs.

use std::sync::Arc;

use backend_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::AssistantMetrics;
use crate::provider::Provider;
use crate::settings::AssistantSettings;
use crate::slots::Slots;

/// State shared by the assistant and its runs.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) provider: Provider,
    pub(crate) settings: AssistantSettings,
    pub(crate) metrics: AssistantMetrics,
    pub(crate) slots: Slots,
    pub(crate) tasks: TaskTracker,
    pub(crate) draining: CancellationToken,
    /// Ends the runs that are open after the drain deadline.
    pub(crate) abort: CancellationToken,
}
