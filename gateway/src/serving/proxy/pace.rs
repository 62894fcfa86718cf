//! Detects a request body that stalls after its response has ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The progress of an h2 request body. Before the end of the response, the upstream connection's
/// deadline applies; after it, the proxy no longer reads from that connection.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(super) method: Method,
    last: Mutex<Instant>,
    answered: Notify,
}

impl Pace {
    /// Creates it for a request with a body.
    pub(crate) fn new(method: Method) -> Arc<Self> {
        Arc::new(Self { method, last: Mutex::new(Instant::now()), answered: Notify::new() })
    }

    /// Records that a chunk of the body arrived.
    pub(super) fn saw(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Records that the response has ended.
    pub(super) fn answered(&self) {
        self.answered.notify_one();
    }

    /// Returns when the response has ended and no chunk has arrived for this long.
    pub(crate) async fn stalls(&self, patience: Duration) {
        self.answered.notified().await;
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let silence = last.elapsed();
            if silence >= patience {
                return;
            }
            tokio::time::sleep(patience - silence).await;
        }
    }
}
