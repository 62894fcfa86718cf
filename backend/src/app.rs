//! What every handler can reach.

use std::sync::Arc;

use backend_ai::assistant::Assistant;
use backend_store::Store;
use tokio_util::sync::CancellationToken;

/// The state of the api role. Clones are the same one.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) assistant: Assistant,
    /// Set when streams have to end, so that their readers go on elsewhere.
    pub(crate) closing: CancellationToken,
}
