//! Errors of starting the services.

use std::io;

use backend_ai::provider::SetupError;
use backend_store::StoreError;

/// Why the services cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model provider's settings are unusable.
    #[error("cannot use the model provider: {0}")]
    Provider(#[from] SetupError),
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// As configured.
        address: String,
        /// The system's error.
        error: io::Error,
    },
    /// The registry already has metrics of these names: a process may start the services only once.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}
