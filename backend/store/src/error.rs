//! Errors of a store, by who can fix them.

use std::time::Duration;

/// The result of a store method.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why a store call failed. Domain outcomes (taken, not found …) are values, not errors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store is unavailable; the same call may succeed later.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// The driver's error; never a secret.
        reason: String,
        /// When a retry makes sense.
        retry_after: Duration,
    },
    /// A stored value cannot be parsed. An operator has to fix it.
    #[error("invalid value in the store at {place}: {reason}")]
    Corrupt {
        /// Table and column, or key.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The store cannot be opened with these settings.
    #[error("cannot open the store: {0}")]
    Setup(String),
}
