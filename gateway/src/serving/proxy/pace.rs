//! Whether the body of a request still comes when its answer has ended already.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The body of an h2 request. Before the answer's end the connection to the target keeps its
/// deadline; after it nothing is read from there any more.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(super) method: Method,
    last: Mutex<Instant>,
    answered: Notify,
}

impl Pace {
    /// Of a request with a body.
    pub(crate) fn new(method: Method) -> Arc<Self> {
        Arc::new(Self { method, last: Mutex::new(Instant::now()), answered: Notify::new() })
    }

    /// A piece came.
    pub(super) fn saw(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The answer has ended.
    pub(super) fn answered(&self) {
        self.answered.notify_one();
    }

    /// Returns when the body has been silent for this long after the end of the answer.
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
