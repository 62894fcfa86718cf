//! The hub: accepts connections, runs them, drains them.

use std::sync::Arc;
use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_store::Store;
use backend_store::accounts::CredentialHash;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::drain::Stage;
use crate::lobby::LobbyBoard;
use crate::metrics::HubMetrics;
use crate::presence::PresenceBoard;
use crate::roster::Roster;
use crate::session;
use crate::settings::HubSettings;
use crate::transport::Transport;

/// Time beyond the window for close handshakes and the store calls they need.
const GRACE: Duration = Duration::from_secs(5);

/// All live connections of one process. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

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
    pub(crate) keepers: TaskTracker,
    sessions: TaskTracker,
}

impl Hub {
    /// A hub without connections. Starts no task until the first one.
    pub fn new(store: Arc<dyn Store>, settings: HubSettings, metrics: HubMetrics) -> Self {
        let presence = PresenceBoard::new(Arc::clone(&store), settings.presence_look);
        let lobby = LobbyBoard::new(Arc::clone(&store), settings.presence_look);
        let shared = Shared {
            store,
            settings,
            metrics,
            roster: Roster::default(),
            presence,
            lobby,
            stage: watch::Sender::new(Stage::Serving),
            keepers: TaskTracker::new(),
            sessions: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Drives one connection of an authenticated account to its end, on the caller's task.
    ///
    /// The connection closes when `credential`, which opened the account, is revoked.
    pub async fn run<T: Transport>(
        &self,
        account: AccountId,
        credential: CredentialHash,
        transport: T,
    ) {
        let _running = self.shared.sessions.token();
        session::run(Arc::clone(&self.shared), account, credential, transport).await;
    }

    /// Open connections, including those that are leaving.
    pub fn connections(&self) -> usize {
        self.shared.sessions.len()
    }

    /// Refuses new connections and closes the existing ones, spread over `window`. Returns when all
    /// are closed, a few seconds after `window` at the latest.
    pub async fn drain(&self, window: Duration) {
        let Shared { stage, sessions, keepers, settings, .. } = &*self.shared;
        stage.send_replace(Stage::Draining(window));
        sessions.close();
        keepers.close();
        if timeout(window + settings.linger + GRACE, sessions.wait()).await.is_err() {
            tracing::warn!(left = sessions.len(), "drain deadline passed, dropping connections");
        }
        stage.send_replace(Stage::Aborting);
        let _ = timeout(GRACE, async { tokio::join!(sessions.wait(), keepers.wait()) }).await;
    }
}
