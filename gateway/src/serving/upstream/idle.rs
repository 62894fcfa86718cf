//! Connections to a target that wait for their next request: at most so many, for so long, the last
//! used first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Link;

/// The idle connections of one target.
pub(super) struct Idle {
    most: usize,
    timeout: Duration,
    /// In the order in which they were last used.
    kept: Mutex<Vec<(Link, Instant)>>,
}

impl Idle {
    pub(super) fn new(upstream: &gateway_config::Upstream) -> Self {
        let most = usize::try_from(upstream.keepalive_connections).unwrap_or(usize::MAX);
        Self { most, timeout: upstream.keepalive_timeout, kept: Mutex::default() }
    }

    /// One that can be used, if there is any.
    pub(super) fn take(&self) -> Option<Link> {
        loop {
            // Closing happens outside the lock.
            let (link, since) = self.kept().pop()?;
            if since.elapsed() < self.timeout && link.is_quiet() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection, or closes it when there are enough.
    pub(super) fn keep(&self, link: Link) {
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.push((link, Instant::now()));
        }
    }

    /// Closes what was idle for too long, or was closed at the other end.
    pub(super) fn sweep(&self) {
        self.kept().retain(|(link, since)| since.elapsed() < self.timeout && link.is_quiet());
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Link, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
