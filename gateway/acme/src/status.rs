//! What an operator can see of each certificate.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::{Failure, NameSet};

/// The state of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which certificate.
    pub names: NameSet,
    /// Where the one that is served came from.
    pub source: Source,
    /// The directory host it was issued by.
    pub authority: Option<String>,
    /// Until when the one that is served is valid.
    pub not_after: Option<SystemTime>,
    /// When it will be renewed, if nothing fails.
    pub renew_at: Option<SystemTime>,
    /// Why the last attempt failed, here or on another replica; gone after a success.
    pub last_error: Option<Failure>,
    /// Failures in a row.
    pub failures: u32,
    /// When the next attempt is due, after a failure.
    pub next_attempt: Option<SystemTime>,
}

/// Where the certificate that is served came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// There is none yet.
    Missing,
    /// Read from storage: from an earlier run or another replica.
    Stored,
    /// Ordered by this process.
    Ordered,
}

impl Status {
    pub(crate) fn new(names: NameSet) -> Self {
        Self {
            names,
            source: Source::Missing,
            authority: None,
            not_after: None,
            renew_at: None,
            last_error: None,
            failures: 0,
            next_attempt: None,
        }
    }
}

/// Publishes the status of all certificates.
#[derive(Clone, Debug)]
pub(crate) struct Board(watch::Sender<Arc<[Status]>>);

impl Board {
    pub(crate) fn new(certificates: &[NameSet]) -> Self {
        Self(watch::Sender::new(certificates.iter().cloned().map(Status::new).collect()))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<[Status]>> {
        self.0.subscribe()
    }

    /// Changes one status; watchers wake only when something did change.
    pub(crate) fn update(&self, names: &NameSet, change: impl FnOnce(&mut Status)) {
        self.0.send_if_modified(|all| {
            let mut new: Vec<Status> = all.to_vec();
            let Some(status) = new.iter_mut().find(|status| status.names == *names) else {
                return false;
            };
            change(status);
            let changed = all[..] != new[..];
            if changed {
                *all = new.into();
            }
            changed
        });
    }
}
