//! Presence of one process, in memory: it ends with the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};

use crate::presence::Transition;

/// Connections online and in the lobby.
#[derive(Debug, Default)]
pub(super) struct PresenceTable {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) online: HashMap<AccountId, Connections>,
    pub(super) lobby: HashMap<AccountId, (User, Connections)>,
}

/// The connections of one account, each with its expiry.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<ConnectionId, Instant>);

impl Connections {
    pub(super) fn alive(&self, now: Instant) -> bool {
        self.0.values().any(|expiry| *expiry > now)
    }

    pub(super) fn renew(
        &mut self,
        connection: &ConnectionId,
        now: Instant,
        ttl: Duration,
    ) -> Transition {
        let before = self.alive(now);
        self.0.retain(|_, expiry| *expiry > now);
        self.0.insert(connection.clone(), now + ttl);
        if before { Transition::Same } else { Transition::Came }
    }

    pub(super) fn end(&mut self, connection: &ConnectionId, now: Instant) -> Transition {
        let before = self.alive(now);
        self.0.remove(connection);
        if before && !self.alive(now) { Transition::Left } else { Transition::Same }
    }
}

impl PresenceTable {
    /// Removes expired connections.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut tables = self.lock();
        tables.online.retain(|_, connections| connections.alive(now));
        tables.lobby.retain(|_, (_, connections)| connections.alive(now));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
