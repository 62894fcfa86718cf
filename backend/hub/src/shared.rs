//! State shared by all connections of a hub.

use std::sync::Arc;

use backend_store::Store;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::drain::Stage;
use crate::lobby::LobbyBoard;
use crate::metrics::HubMetrics;
use crate::presence::PresenceBoard;
use crate::roster::Roster;
use crate::settings::HubSettings;

/// State shared by all connections.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: HubSettings,
    pub(crate) metrics: HubMetrics,
    pub(crate) roster: Roster,
    pub(crate) presence: Arc<PresenceBoard>,
    pub(crate) lobby: Arc<LobbyBoard>,
    pub(crate) stage: watch::Sender<Stage>,
    /// Maintenance tasks of the boards.
    pub(crate) maintenance: TaskTracker,
    /// The tasks that run the connections.
    pub(crate) connections: TaskTracker,
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn Store>, settings: HubSettings, metrics: HubMetrics) -> Self {
        let presence = PresenceBoard::new(Arc::clone(&store), settings.presence_poll);
        let lobby = LobbyBoard::new(Arc::clone(&store), settings.presence_poll);
        Self {
            store,
            settings,
            metrics,
            roster: Roster::default(),
            presence,
            lobby,
            stage: watch::Sender::new(Stage::Serving),
            maintenance: TaskTracker::new(),
            connections: TaskTracker::new(),
        }
    }
}
