//! Where the answers of an h2 connection leave it: what its client does not take waits there, after
//! the requests are over.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Holding;

/// The way out of one connection.
#[derive(Default)]
pub(crate) struct Outlet(Mutex<State>);

#[derive(Default)]
struct State {
    blocked: bool,
    waiting: Vec<Arc<Holding>>,
}

impl Outlet {
    /// The client's socket takes no more for now.
    pub(crate) fn blocked(&self) {
        self.lock().blocked = true;
    }

    /// Everything was taken.
    pub(crate) fn emptied(&self) {
        let mut state = self.lock();
        state.blocked = false;
        state.waiting = Vec::new();
    }

    /// A request is over; what it holds stays counted until everything was taken.
    pub(crate) fn leave(&self, holding: Arc<Holding>) {
        holding.over();
        let mut state = self.lock();
        if state.blocked && holding.holds() {
            state.waiting.push(holding);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}
