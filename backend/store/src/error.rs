//! What can go wrong with a store, by who can mend it.

use std::time::Duration;

/// The result of a store method.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A store could not do what was asked. Domain outcomes (taken, not found …) are values, not
/// errors.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer at present; the same call may succeed later.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What the driver said; never a secret.
        reason: String,
        /// When a retry makes sense.
        retry_after: Duration,
    },
    /// What is kept cannot be understood. An operator has to look.
    #[error("the store holds something unexpected at {place}: {reason}")]
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
