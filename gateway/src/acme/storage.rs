//! The storage of ACME, opened; session tickets are shared through it.

use crate::secret;
use gateway_acme::{DirectoryStorage, RedisStorage, Storage, SystemClock, TicketKeeper, TicketSettings, Ticketer};
use gateway_config::CertificateStorage;
use rustls::server::ProducesTickets;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Storage, and the keeper of its ticket keys.
pub(super) struct Opened {
    pub(super) config: CertificateStorage,
    storage: Arc<dyn Storage>,
    ticketer: Arc<Ticketer>,
    /// There until it is started.
    keeper: tokio::sync::Mutex<Option<TicketKeeper>>,
    stop: Mutex<Option<CancellationToken>>,
}

impl Opened {
    pub(super) fn open(config: &CertificateStorage) -> Result<Self, String> {
        let storage: Arc<dyn Storage> = match config {
            CertificateStorage::Directory(directory) => {
                Arc::new(DirectoryStorage::open(directory).map_err(|error| error.to_string())?)
            }
            CertificateStorage::Redis { url, secret: seal, prefix } => {
                let (url, seal) = (secret::read(url)?, secret::read(seal)?);
                let opened = RedisStorage::connect(&url, prefix, seal.as_bytes());
                Arc::new(opened.map_err(|error| error.to_string())?)
            }
        };
        let keeper = TicketKeeper::new(TicketSettings::default(), Arc::clone(&storage), Arc::new(SystemClock));
        let keeper = keeper.map_err(|error| error.to_string())?;
        Ok(Self {
            config: config.clone(),
            storage,
            ticketer: keeper.ticketer(),
            keeper: tokio::sync::Mutex::new(Some(keeper)),
            stop: Mutex::default(),
        })
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    pub(super) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        Arc::clone(&self.ticketer) as Arc<dyn ProducesTickets>
    }

    /// Reads the ticket keys once, so that they are shared from the first connection on.
    pub(super) async fn tend(&self) {
        if let Some(keeper) = self.keeper.lock().await.as_ref()
            && let Err(error) = keeper.tend().await
        {
            tracing::warn!(%error, "cannot read the session ticket keys yet");
        }
    }

    /// Keeps the keys fresh from now on, if that is not done already.
    pub(super) fn start(&self, tasks: &TaskTracker, end: &CancellationToken) {
        if let Some(keeper) = self.keeper.try_lock().ok().and_then(|mut keeper| keeper.take()) {
            let stop = end.child_token();
            tasks.spawn(keeper.run(stop.clone()));
            *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
        }
    }

    pub(super) fn stop(&self) {
        if let Some(stop) = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take() {
            stop.cancel();
        }
    }
}
