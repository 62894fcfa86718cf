//! Certificate maintenance: loads, renews and publishes every configured certificate, and retries
//! after every failure.

mod certificate;
mod shared;

mod ordering;
mod renewal_info;

mod task;

pub use shared::Prompt;

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::certificate::Certificates;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::settings::{Settings, SettingsError};
use crate::solvers::Challenges;
use crate::status::Status;
use crate::storage::Storage;
use certificate::Maintained;
use shared::Shared;

/// Maintains all ACME certificates of one process. Several processes with one storage share the
/// work: one of them orders, all of them answer challenges and serve.
pub struct Maintainer {
    shared: Arc<Shared>,
}

impl Maintainer {
    /// Validates the settings. Nothing is read, requested or started before [`run`](Self::run).
    pub fn new(
        settings: Settings,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        Ok(Self { shared: Arc::new(Shared::new(settings, storage, clock)?) })
    }

    /// The certificates to serve, now and after each change. Never empty again once it was not.
    pub fn certificates(&self) -> watch::Receiver<Arc<Certificates>> {
        self.shared.published.subscribe()
    }

    /// The status of each certificate.
    pub fn statuses(&self) -> watch::Receiver<Arc<[Status]>> {
        self.shared.board.watch()
    }

    /// Answers to challenges.
    pub fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.shared.challenges)
    }

    /// A handle that wakes it.
    pub fn prompt(&self) -> Prompt {
        self.shared.prompt.clone()
    }

    /// Reads storage once and publishes the valid certificates found there, so that they are served
    /// from the first connection on. The statuses show earlier failures. Writes nothing.
    pub async fn load(&self) -> Result<(), Failure> {
        for names in &self.shared.settings.certificates {
            let (shared, names) = (Arc::clone(&self.shared), names.clone());
            let mut certificate = Maintained::new(shared, names, CancellationToken::new());
            certificate.load().await?;
            certificate.recall().await?;
        }
        Ok(())
    }

    /// Works until `shutdown`, then releases every lock it holds. Dropping the future stops it
    /// immediately.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        for names in &self.shared.settings.certificates {
            let (shared, names) = (Arc::clone(&self.shared), names.clone());
            tasks.spawn(task::run(Maintained::new(shared, names, shutdown.clone())));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(
                    %error,
                    "maintenance of a certificate ended: it is served but no longer renewed"
                );
            }
        }
    }
}

impl fmt::Debug for Maintainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maintainer")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
