//! The ACME storage, through which session ticket keys are shared too.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_acme::{
    DirectoryStorage, RedisAddress, RedisStorage, Storage, SystemClock, TicketMaintainer,
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
pub(super) struct StorageInputs {
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
    tickets: tokio::sync::Mutex<Option<TicketMaintainer>>,
    stop: Mutex<Option<CancellationToken>>,
}

impl StorageInputs {
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
                        DirectoryStorage::read_only(directory)
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
    pub(super) fn new(wanted: StorageInputs) -> Result<Self, String> {
        let StorageInputs { config, digest, storage } = wanted;
        let maintainer = TicketMaintainer::new(
            TicketSettings::default(),
            Arc::clone(&storage),
            Arc::new(SystemClock),
        );
        let maintainer = maintainer.map_err(|error| error.to_string())?;
        Ok(Self {
            config,
            digest,
            storage,
            ticketer: maintainer.ticketer(),
            tickets: tokio::sync::Mutex::new(Some(maintainer)),
            stop: Mutex::default(),
        })
    }

    /// Whether this is the configured storage, including secrets.
    pub(super) fn is(&self, wanted: &StorageInputs) -> bool {
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
        if let Some(maintainer) = self.tickets.lock().await.as_ref()
            && let Err(error) = maintainer.refresh().await
        {
            tracing::warn!(%error, "cannot read the session ticket keys yet");
        }
    }

    /// Starts the maintenance of ticket keys unless it is already running.
    pub(super) fn start(&self, tasks: &TaskTracker, end: &CancellationToken) {
        if let Some(maintainer) =
            self.tickets.try_lock().ok().and_then(|mut maintainer| maintainer.take())
        {
            let stop = end.child_token();
            tasks.spawn(maintainer.run(stop.clone()));
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
