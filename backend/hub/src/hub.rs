//! The hub: accepts connections, runs them, drains them.

use std::sync::Arc;
use std::time::Duration;

use backend_protocol::id::AccountId;
use backend_store::Store;
use backend_store::accounts::CredentialHash;
use tokio::time::timeout;

use crate::connection;
use crate::drain::Stage;
use crate::metrics::HubMetrics;
use crate::settings::HubSettings;
use crate::shared::Shared;
use crate::transport::Transport;

/// Time beyond the window for close handshakes and the store calls they need.
const GRACE: Duration = Duration::from_secs(5);

/// All live connections of one process. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

impl Hub {
    /// A hub without connections. Starts no task until the first one.
    pub fn new(store: Arc<dyn Store>, settings: HubSettings, metrics: HubMetrics) -> Self {
        Self { shared: Arc::new(Shared::new(store, settings, metrics)) }
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
        let _running = self.shared.connections.token();
        connection::run(Arc::clone(&self.shared), account, credential, transport).await;
    }

    /// Open connections, including those that are leaving.
    pub fn connections(&self) -> usize {
        self.shared.connections.len()
    }

    /// Refuses new connections and closes the existing ones, spread over `window`. Returns when all
    /// are closed, a few seconds after `window` at the latest.
    pub async fn drain(&self, window: Duration) {
        let Shared { stage, connections, maintenance, settings, .. } = &*self.shared;
        stage.send_replace(Stage::Draining(window));
        connections.close();
        maintenance.close();
        if timeout(window + settings.linger + GRACE, connections.wait()).await.is_err() {
            tracing::warn!(left = connections.len(), "drain deadline passed, dropping connections");
        }
        stage.send_replace(Stage::Aborting);
        let _ =
            timeout(GRACE, async { tokio::join!(connections.wait(), maintenance.wait()) }).await;
    }
}
