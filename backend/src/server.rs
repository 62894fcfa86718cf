//! The services: start, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use backend_ai::assistant::Assistant;
use backend_ai::metrics::AssistantMetrics;
use backend_ai::provider::Provider;
use backend_hub::{Hub, HubMetrics, HubSettings};
use backend_store::Store;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Readiness};
use crate::app::App;
use crate::listener::Listener;
use crate::live::{self, LiveState};
use crate::metrics::HttpMetrics;
use crate::settings::{Role, Settings};
use crate::start_error::StartError;
use crate::{middleware, model, router, store};

/// Interval between sweeps of the store.
const SWEEP_EVERY: Duration = Duration::from_secs(5 * 60);
/// Time for the last steps of a drain: closing sockets, ending tasks.
const CLOSING: Duration = Duration::from_secs(3);

/// Running services. Call [`drain`](Self::drain): dropping leaves the tasks to the runtime.
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    readiness: Readiness,
    assistant: Option<Assistant>,
    hub: Option<Hub>,
    /// Ends streams; clients resume on another node.
    closing: CancellationToken,
    /// Closes listeners and ends background tasks.
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// Opens the resources of the role and serves it on the listeners. Registers metrics with
/// `registry`.
///
/// The process must have installed a rustls `CryptoProvider`. An admin address is bound only when
/// the settings have one.
pub async fn start(
    settings: Settings,
    role: Role,
    listeners: Vec<Listener>,
    registry: Registry,
) -> Result<Running, StartError> {
    let tasks = TaskTracker::new();
    let shutdown = CancellationToken::new();
    let closing = CancellationToken::new();
    let store = store::open(&settings).await?;
    tracing::info!(kind = store.kind(), ?role, "store opened");

    let mut routes = Router::new();
    let mut assistant = None;
    if role.serves_api() {
        let started = start_assistant(&settings, &store, &registry, &tasks, &shutdown).await?;
        let app = App {
            store: Arc::clone(&store),
            assistant: started.clone(),
            accounts: settings.accounts,
            budgets: settings.budgets,
            link_ttl: settings.retention.link_ttl,
            closing: closing.clone(),
        };
        routes = routes.merge(router::api(app));
        assistant = Some(started);
    }
    let mut hub = None;
    if role.serves_live() {
        let metrics = HubMetrics::register(&registry)?;
        let started = Hub::new(Arc::clone(&store), hub_settings(&settings), metrics);
        let allowed_origins = Arc::from([]);
        routes = routes.merge(live::router(LiveState {
            hub: started.clone(),
            store: Arc::clone(&store),
            allowed_origins,
        }));
        hub = Some(started);
    }
    let routes = middleware::apply(router::with_fallbacks(routes), HttpMetrics::new(&registry)?);

    let readiness = Readiness { store: Arc::clone(&store), draining: CancellationToken::new() };
    let mut admin = None;
    if let Some(address) = settings.admin {
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.map_err(|error| StartError::Listen { address: address.to_string(), error })?;
        admin = listener.local_addr().ok();
        serve(
            &tasks,
            &shutdown,
            Listener::Tcp(listener),
            admin::router(readiness.clone(), registry),
        );
    }
    let addresses = listeners.iter().filter_map(Listener::address).collect();
    for listener in listeners {
        serve(&tasks, &shutdown, listener, routes.clone());
    }
    tasks.spawn(sweep(store, shutdown.clone()));
    Ok(Running { addresses, admin, readiness, assistant, hub, closing, shutdown, tasks })
}

fn hub_settings(settings: &Settings) -> HubSettings {
    HubSettings {
        key_rotation: settings.key_rotation,
        credential: settings.credential_check,
        retention: settings.retention.mailbox_ttl,
        ..HubSettings::default()
    }
}

async fn start_assistant(
    settings: &Settings,
    store: &Arc<dyn Store>,
    registry: &Registry,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Assistant, StartError> {
    let metrics = AssistantMetrics::new(registry)?;
    let endpoint = model::endpoint(settings, tasks, shutdown).await?;
    let provider = Provider::new(&endpoint, settings.provider.clone(), metrics.clone())?;
    Ok(Assistant::new(Arc::clone(store), provider, settings.assistant.clone(), metrics))
}

fn serve(tasks: &TaskTracker, shutdown: &CancellationToken, listener: Listener, router: Router) {
    let stop = shutdown.clone().cancelled_owned();
    tasks.spawn(async move {
        let served = match listener {
            Listener::Tcp(listener) => {
                // Tokens are small and must not be delayed by Nagle's algorithm.
                let listener = listener.tap_io(|stream| {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "cannot set TCP_NODELAY");
                    }
                });
                // Without a gateway the peer's address identifies the client.
                let service = router.into_make_service_with_connect_info::<SocketAddr>();
                axum::serve(listener, service).with_graceful_shutdown(stop).await
            }
            Listener::Unix(listener) => {
                axum::serve(listener, router).with_graceful_shutdown(stop).await
            }
        };
        if let Err(error) = served {
            tracing::error!(%error, "listener failed");
        }
    });
}

async fn sweep(store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match store.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "swept expired data"),
            Err(error) => tracing::warn!(%error, "cannot sweep the store"),
        }
    }
}

impl Running {
    /// The TCP addresses of the listeners, in order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The admin address, when there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Readiness; `Err` holds the reason.
    pub async fn ready(&self) -> Result<(), String> {
        self.readiness.check().await
    }

    /// Turns readiness off, serves until answers and connections have ended, then closes. Takes the
    /// deadline and at most a few seconds more.
    pub async fn drain(self, deadline: Duration) {
        let end = Instant::now() + deadline;
        self.readiness.draining.cancel();
        let window = deadline.saturating_sub(CLOSING * 2);
        let assistant = async {
            if let Some(assistant) = &self.assistant {
                assistant.drain(window).await;
            }
        };
        let hub = async {
            if let Some(hub) = &self.hub {
                hub.drain(window.min(Duration::from_secs(10))).await;
            }
        };
        tokio::join!(assistant, hub);
        self.closing.cancel();
        self.shutdown.cancel();
        self.tasks.close();
        let left = end.saturating_duration_since(Instant::now()).max(CLOSING);
        if timeout(left, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "drain deadline passed, dropping connections");
        }
    }
}
