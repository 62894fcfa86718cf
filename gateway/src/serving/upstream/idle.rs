//! Idle connections to a target, limited in number and age. The most recently used is reused
//! first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::target_connection::TargetConnection;

/// The idle connections of one target.
pub(super) struct Idle {
    most: usize,
    timeout: Duration,
    /// The most recently used last.
    kept: Mutex<Vec<(TargetConnection, Instant)>>,
}

impl Idle {
    pub(super) fn new(upstream: &gateway_config::Upstream) -> Self {
        let most = usize::try_from(upstream.keepalive_connections).unwrap_or(usize::MAX);
        Self { most, timeout: upstream.keepalive_timeout, kept: Mutex::default() }
    }

    /// Takes a connection that is still open.
    pub(super) fn take(&self) -> Option<TargetConnection> {
        loop {
            // The lock is released before a connection is closed.
            let (connection, since) = self.kept().pop()?;
            if since.elapsed() < self.timeout && connection.probe_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, or closes it at the limit.
    pub(super) fn keep(&self, connection: TargetConnection) {
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.push((connection, Instant::now()));
        }
    }

    /// Closes connections that are expired or closed by the target.
    pub(super) fn sweep(&self) {
        self.kept().retain(|(connection, since)| {
            since.elapsed() < self.timeout && connection.probe_quiet()
        });
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(TargetConnection, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
