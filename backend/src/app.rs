//! State shared by all handlers.

use std::sync::Arc;
use std::time::Duration;

use backend_ai::assistant::Assistant;
use backend_store::Store;
use tokio_util::sync::CancellationToken;

use crate::settings::{AccountSettings, BudgetSettings};

/// The state of the api role. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) assistant: Assistant,
    /// Allowance of new accounts per client address.
    pub(crate) accounts: AccountSettings,
    /// Allowances of requests that need no account.
    pub(crate) budgets: BudgetSettings,
    /// How long a link exists.
    pub(crate) link_ttl: Duration,
    /// Cancelled when streams have to end; clients resume on another node.
    pub(crate) closing: CancellationToken,
}
