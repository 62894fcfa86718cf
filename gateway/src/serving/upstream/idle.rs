//! Connections to a target that wait for their next request: at most so many, for so long, the last
//! used first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::TargetConnection;

/// The idle connections of one target.
pub(super) struct Idle {
    most: usize,
    timeout: Duration,
    /// In the order in which they were last used.
    kept: Mutex<Vec<(TargetConnection, Instant)>>,
}

impl Idle {
    pub(super) fn new(upstream: &gateway_config::Upstream) -> Self {
        let most = usize::try_from(upstream.keepalive_connections).unwrap_or(usize::MAX);
        Self { most, timeout: upstream.keepalive_timeout, kept: Mutex::default() }
    }

    /// One that can be used, if there is any.
    pub(super) fn take(&self) -> Option<TargetConnection> {
        loop {
            // Closing happens outside the lock.
            let (connection, since) = self.kept().pop()?;
            if since.elapsed() < self.timeout && connection.probe_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, or closes it when there are enough.
    pub(super) fn keep(&self, connection: TargetConnection) {
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.push((connection, Instant::now()));
        }
    }

    /// Closes what was idle for too long, or was closed at the other end.
    pub(super) fn sweep(&self) {
        self.kept().retain(|(connection, since)| {
            since.elapsed() < self.timeout && connection.probe_quiet()
        });
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(TargetConnection, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
