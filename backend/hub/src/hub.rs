//! The door: admits connections, runs their sessions, drains them.

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

/// Beyond the window, for goodbyes on their way and the store's part in them.
const GRACE: Duration = Duration::from_secs(5);

/// All live connections of one process. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

/// What every session reaches.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: HubSettings,
    pub(crate) metrics: HubMetrics,
    pub(crate) roster: Roster,
    pub(crate) presence: Arc<PresenceBoard>,
    pub(crate) lobby: Arc<LobbyBoard>,
    pub(crate) stage: watch::Sender<Stage>,
    /// The tasks behind the boards.
    pub(crate) keepers: TaskTracker,
    sessions: TaskTracker,
}

impl Hub {
    /// A hub without connections. Nothing runs until the first one.
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

    /// Drives one connection of an authenticated account to its end. The caller's task is the
    /// session's only task.
    ///
    /// `credential` is what opened the account: the session ends when that one is revoked.
    pub async fn run<T: Transport>(
        &self,
        account: AccountId,
        credential: CredentialHash,
        transport: T,
    ) {
        let _running = self.shared.sessions.token();
        session::run(Arc::clone(&self.shared), account, credential, transport).await;
    }

    /// Connections at present, those leaving included.
    pub fn connections(&self) -> usize {
        self.shared.sessions.len()
    }

    /// Refuses new connections, tells the present ones to reconnect elsewhere, spread over
    /// `window`, and waits until all are gone; at most a few seconds longer than `window`.
    pub async fn drain(&self, window: Duration) {
        let Shared { stage, sessions, keepers, settings, .. } = &*self.shared;
        stage.send_replace(Stage::Draining(window));
        sessions.close();
        keepers.close();
        if timeout(window + settings.linger + GRACE, sessions.wait()).await.is_err() {
            tracing::warn!(
                left = sessions.len(),
                "connections did not end in time and are dropped"
            );
        }
        stage.send_replace(Stage::Aborting);
        let _ = timeout(GRACE, async { tokio::join!(sessions.wait(), keepers.wait()) }).await;
    }
}
