//! Appends to runs with an unknown outcome: a job may outlive its caller's deadline, and the caller
//! retries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use backend_protocol::id::RunId;

/// The position of the first event of an append, once a job has chosen it.
pub(super) type First = Arc<OnceLock<u64>>;

/// For each run, the last append that its caller has no result of. A run has one owner, so it has
/// at most one. The store belongs to one process, so they need not be in the file.
#[derive(Default)]
pub(super) struct RunAppends {
    open: Mutex<HashMap<RunId, (Vec<String>, First)>>,
}

/// More than a node runs at a time. Above it, all entries are dropped, with those of abandoned
/// runs.
const MOST: usize = 100_000;

impl RunAppends {
    /// The position of an append: a new one, unless the previous append has no result and had the
    /// same events.
    pub(super) fn begin(&self, run: &RunId, bodies: &[String]) -> First {
        let mut open = self.lock();
        if let Some((earlier, first)) = open.get(run)
            && earlier == bodies
        {
            return Arc::clone(first);
        }
        if open.len() >= MOST {
            open.clear();
        }
        let first = First::default();
        open.insert(run.clone(), (bodies.to_vec(), Arc::clone(&first)));
        first
    }

    /// The append has a result.
    pub(super) fn settle(&self, run: &RunId) {
        self.lock().remove(run);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, (Vec<String>, First)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
