//! State shared by the maintenance of all certificates.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::authority::Connection;
use crate::certificate::Certificates;
use crate::clock::Clock;
use crate::records::Records;
use crate::settings::{Authority, Settings, SettingsError};
use crate::solvers::Challenges;
use crate::status::Board;
use crate::storage::Storage;

/// Orders at a time.
const MOST_ORDERS: usize = 4;

pub(super) struct Shared {
    pub(super) settings: Settings,
    /// One for each authority of the settings.
    connections: Vec<Connection>,
    pub(super) records: Records,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) challenges: Arc<Challenges>,
    pub(super) published: watch::Sender<Arc<Certificates>>,
    pub(super) board: Board,
    pub(super) prompt: Prompt,
    pub(super) orders: Semaphore,
}

/// Wakes a [`Maintainer`](crate::Maintainer), for example for a reload.
#[derive(Clone, Debug)]
pub struct Prompt(Arc<watch::Sender<()>>);

impl Prompt {
    /// Reads storage now instead of at the next poll. Backoff after failures still applies.
    pub fn check_now(&self) {
        self.0.send_replace(());
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let connections =
            settings.authorities.iter().map(Connection::new).collect::<Result<_, _>>()?;
        let records = Records::new(storage);
        Ok(Self {
            connections,
            challenges: Arc::new(Challenges::new(records.clone(), &settings.certificates)),
            board: Board::new(&settings.certificates),
            records,
            clock,
            published: watch::Sender::default(),
            prompt: Prompt(Arc::new(watch::Sender::new(()))),
            orders: Semaphore::new(MOST_ORDERS),
            settings,
        })
    }

    /// The authority at this index of the settings.
    pub(super) fn authority(&self, index: usize) -> (&Authority, &Connection) {
        let authority = self.settings.authorities.get(index);
        authority
            .zip(self.connections.get(index))
            .expect("indices come from the list of authorities, which is not empty")
    }

    /// The index of the authority with this directory URL.
    pub(super) fn position(&self, directory: &str) -> Option<usize> {
        self.settings.authorities.iter().position(|authority| authority.url == directory)
    }
}
