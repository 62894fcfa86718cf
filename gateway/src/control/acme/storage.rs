//! The ACME storage, through which session ticket keys are shared too.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_acme::{
    DirectoryStorage, RedisAddress, RedisStorage, Storage, SystemClock, TicketKeeper,
    TicketSettings, Ticketer,
};
use gateway_config::CertificateStorage;
use rustls::server::ProducesTickets;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::certificates::Purpose;
use crate::{files, secret};

/// The configured storage, including the contents of the files and variables it names.
pub(super) struct Wanted {
    config: CertificateStorage,
    /// Digest of those contents, to detect changes on reload without keeping secrets.
    digest: [u8; 32],
    storage: Arc<dyn Storage>,
}

/// The storage, and the maintenance of its ticket keys.
pub(super) struct Opened {
    config: CertificateStorage,
    digest: [u8; 32],
    storage: Arc<dyn Storage>,
    ticketer: Arc<Ticketer>,
    /// `None` once started.
    keeper: tokio::sync::Mutex<Option<TicketKeeper>>,
    stop: Mutex<Option<CancellationToken>>,
}

impl Wanted {
    /// Reads the inputs and, except in a dry run, creates the directory; call it on a thread that
    /// may block.
    pub(super) fn read(config: &CertificateStorage, purpose: Purpose) -> Result<Self, String> {
        let mut digest = Sha256::new();
        let storage: Arc<dyn Storage> = match config {
            CertificateStorage::Directory(directory) => {
                let opened = match purpose {
                    Purpose::Serve => DirectoryStorage::open(directory),
                    Purpose::DryRun => {
                        let failed = |error| format!("{}: {error}", directory.display());
                        // One subdirectory stands for all; the directories above it need not be
                        // writable.
                        files::could_write_into(&directory.join("certificates")).map_err(failed)?;
                        DirectoryStorage::look(directory)
                    }
                };
                Arc::new(opened.map_err(|error| error.to_string())?)
            }
            CertificateStorage::Redis { url, password, ca_file, secret: seal, prefix } => {
                let password = password.as_ref().map(secret::read).transpose()?;
                let authorities = ca_file.as_deref().map(authorities).transpose()?;
                let (address, seal) = (
                    RedisAddress { url: secret::read(url)?, password, authorities },
                    secret::read(seal)?,
                );
                let fields = [
                    Some(address.url.as_bytes()),
                    address.password.as_deref().map(str::as_bytes),
                    address.authorities.as_deref(),
                    Some(seal.as_bytes()),
                ];
                for field in fields.map(Option::unwrap_or_default) {
                    digest.update(Sha256::digest(field));
                }
                let opened = RedisStorage::new(&address, prefix, seal.as_bytes());
                Arc::new(opened.map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { config: config.clone(), digest: digest.finalize().into(), storage })
    }
}

impl Opened {
    pub(super) fn new(wanted: Wanted) -> Result<Self, String> {
        let Wanted { config, digest, storage } = wanted;
        let keeper = TicketKeeper::new(
            TicketSettings::default(),
            Arc::clone(&storage),
            Arc::new(SystemClock),
        );
        let keeper = keeper.map_err(|error| error.to_string())?;
        Ok(Self {
            config,
            digest,
            storage,
            ticketer: keeper.ticketer(),
            keeper: tokio::sync::Mutex::new(Some(keeper)),
            stop: Mutex::default(),
        })
    }

    /// Whether this is the configured storage, including secrets.
    pub(super) fn is(&self, wanted: &Wanted) -> bool {
        self.config == wanted.config && self.digest == wanted.digest
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    pub(super) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        Arc::clone(&self.ticketer) as Arc<dyn ProducesTickets>
    }

    /// Loads the ticket keys once, so that they are shared from the first connection on.
    pub(super) async fn tend(&self) {
        if let Some(keeper) = self.keeper.lock().await.as_ref()
            && let Err(error) = keeper.tend().await
        {
            tracing::warn!(%error, "cannot read the session ticket keys yet");
        }
    }

    /// Starts the maintenance of ticket keys unless it is already running.
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

fn authorities(file: &Path) -> Result<Vec<u8>, String> {
    files::read(file, files::PEM_MOST)
        .map_err(|error| format!("redis_ca_file: {}: {error}", file.display()))
}
