//! The outlet of an h2 connection: keeps counting bytes that the client's socket does not accept
//! after their requests are over.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Holding;

/// The write side of one connection.
#[derive(Default)]
pub(crate) struct Outlet(Mutex<State>);

#[derive(Default)]
struct State {
    blocked: bool,
    waiting: Vec<Arc<Holding>>,
}

impl Outlet {
    /// Records that the client's socket accepts no bytes.
    pub(crate) fn blocked(&self) {
        self.lock().blocked = true;
    }

    /// Records that the client's socket accepted all bytes, and releases them from the accounts.
    pub(crate) fn emptied(&self) {
        let mut state = self.lock();
        state.blocked = false;
        state.waiting = Vec::new();
    }

    /// Ends a request; the bytes it holds stay counted until the socket has accepted all.
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
