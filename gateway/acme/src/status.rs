//! Status of each certificate, for the operator.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::failure::Failure;
use crate::names::NameSet;

/// The state of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which certificate.
    pub names: NameSet,
    /// The source of the served certificate.
    pub source: Source,
    /// The host of the directory that issued it.
    pub authority: Option<String>,
    /// The end of the served certificate's validity.
    pub not_after: Option<SystemTime>,
    /// When it will be renewed, if nothing fails.
    pub renew_at: Option<SystemTime>,
    /// Why the last attempt failed, here or on another replica. Cleared by a success.
    pub last_error: Option<Failure>,
    /// Failures in a row.
    pub failures: u32,
    /// After a failure: when the next attempt is due.
    pub next_attempt: Option<SystemTime>,
}

/// The source of the served certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// No certificate is served.
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

    /// Changes one status. Wakes watchers only when it differs.
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
