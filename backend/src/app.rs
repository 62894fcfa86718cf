//! What every handler can reach.

use std::sync::Arc;

use backend_ai::assistant::Assistant;
use backend_store::Store;
use tokio_util::sync::CancellationToken;

use crate::settings::AccountSettings;

/// The state of the api role. Clones are the same one.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) assistant: Assistant,
    /// How many accounts one client address may make.
    pub(crate) accounts: AccountSettings,
    /// Set when streams have to end, so that their readers go on elsewhere.
    pub(crate) closing: CancellationToken,
}
