//! Names of append calls, so that a repeated call is recognised after its reply was lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use backend_protocol::id::RunId;
use backend_protocol::run::RunEvent;

use crate::codec::encode;
use crate::error::Result;

/// For each run, the last call with an unknown outcome. A run has one owner, so it has at most one.
#[derive(Default)]
pub(super) struct Calls {
    open: Mutex<HashMap<RunId, Call>>,
}

struct Call {
    name: String,
    events: String,
    failed: bool,
}

/// More than a node runs at a time. Above it, all entries are dropped, with those of abandoned
/// runs.
const MOST: usize = 100_000;

impl Calls {
    /// The name of a call: a new one, unless the previous call failed and had the same events.
    pub(super) fn name(&self, run: &RunId, events: &[RunEvent]) -> Result<String> {
        let events = encode("run log", &events)?;
        let mut open = self.lock();
        if let Some(call) = open.get(run).filter(|call| call.failed && call.events == events) {
            return Ok(call.name.clone());
        }
        if open.len() >= MOST {
            open.clear();
        }
        let name = format!("{:016x}", rand::random::<u64>());
        open.insert(run.clone(), Call { name: name.clone(), events, failed: false });
        Ok(name)
    }

    /// The call failed. Redis may have run it or not.
    pub(super) fn unsettled(&self, run: &RunId) {
        if let Some(call) = self.lock().get_mut(run) {
            call.failed = true;
        }
    }

    /// The call has a reply.
    pub(super) fn settled(&self, run: &RunId) {
        self.lock().remove(run);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Call>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
