//! Keeps every configured certificate valid: loads, renews, publishes, and survives every failure
//! on the way.

mod keeper;
mod turn;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::authority::Connection;
use crate::status::Board;
use crate::storage::Records;
use crate::{Certificates, Challenges, Clock, Failure, Settings, SettingsError, Status, Storage};
use keeper::Keeper;

/// The life of all ACME certificates of one process. Several processes with one storage share the
/// work: one of them orders, all of them answer challenges and serve.
pub struct Maintainer {
    shared: Arc<Shared>,
}

/// Wakes a [`Maintainer`], for example when an operator asked for a reload.
#[derive(Clone, Debug)]
pub struct Prompt(Arc<watch::Sender<()>>);

impl Prompt {
    /// Reads storage now, instead of at the next poll. Back-off after failures still holds.
    pub fn check_now(&self) {
        self.0.send_replace(());
    }
}

/// What the keepers of all certificates share.
struct Shared {
    settings: Settings,
    connections: Vec<Connection>,
    records: Records,
    clock: Arc<dyn Clock>,
    challenges: Arc<Challenges>,
    published: watch::Sender<Arc<Certificates>>,
    board: Board,
    prompt: Prompt,
    /// So many orders at a time.
    orders: Semaphore,
}

impl Maintainer {
    /// Checks the settings; nothing is read, asked or started before [`run`](Self::run).
    pub fn new(
        settings: Settings,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let connections =
            settings.authorities.iter().map(Connection::new).collect::<Result<_, _>>()?;
        let records = Records::new(storage);
        let shared = Shared {
            connections,
            challenges: Arc::new(Challenges::new(records.clone(), &settings.certificates)),
            board: Board::new(&settings.certificates),
            records,
            clock,
            published: watch::Sender::default(),
            prompt: Prompt(Arc::new(watch::Sender::new(()))),
            orders: Semaphore::new(MOST_ORDERS),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What to serve, now and after each change. Never goes back to nothing once there is
    /// something.
    pub fn certificates(&self) -> watch::Receiver<Arc<Certificates>> {
        self.shared.published.subscribe()
    }

    /// How each certificate is doing.
    pub fn statuses(&self) -> watch::Receiver<Arc<[Status]>> {
        self.shared.board.watch()
    }

    /// Who answers challenges.
    pub fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.shared.challenges)
    }

    /// A handle to wake it.
    pub fn prompt(&self) -> Prompt {
        self.shared.prompt.clone()
    }

    /// Reads storage once and publishes what is good there, so that it is served from the first
    /// connection on; the statuses tell what failed before. Writes nothing.
    pub async fn load(&self) -> Result<(), Failure> {
        for names in &self.shared.settings.certificates {
            let mut keeper =
                Keeper::new(Arc::clone(&self.shared), names.clone(), CancellationToken::new());
            keeper.load().await?;
            keeper.recall().await?;
        }
        Ok(())
    }

    /// Works until `shutdown`, then lets go of every lock it holds. Dropping the future stops it at
    /// once.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut keepers = JoinSet::new();
        for names in &self.shared.settings.certificates {
            let keeper = Keeper::new(Arc::clone(&self.shared), names.clone(), shutdown.clone());
            keepers.spawn(keeper.run());
        }
        while let Some(ended) = keepers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the keeper of a certificate ended: it is served but no longer renewed");
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

const MOST_ORDERS: usize = 4;
