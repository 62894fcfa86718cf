//! The handle of a gateway, cheap to clone: reads shared state, changes the phase, and sends
//! commands to the control task.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gateway_config::{Config, ListenAddress, Name};
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot, watch};

use crate::control::bind::Part;
use crate::control::config_source::ConfigError;
use crate::control::phase::{Event, Lifecycle, Phase};
use crate::control::report::ReloadReport;
use crate::metrics::Metrics;
use crate::serving::snapshot::Snapshot;

/// Maximum number of queued commands.
const QUEUE: usize = 64;

/// The handle of a running gateway; cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    commands: mpsc::Sender<Command>,
    lifecycle: Lifecycle,
    snapshot: Arc<ArcSwap<Snapshot>>,
    metrics: Metrics,
    registries: Vec<Registry>,
    ready_when: Vec<watch::Receiver<bool>>,
}

/// Commands to the control task, executed one after another. Dropping the reply's receiver does not
/// cancel a command.
pub(crate) enum Command {
    /// Load and apply the current configuration.
    Reload(oneshot::Sender<Result<ReloadReport, ConfigError>>),
    /// Report what a reload would change.
    DryRun(oneshot::Sender<Result<ReloadReport, ConfigError>>),
    Addresses(oneshot::Sender<Vec<(Name, SocketAddr)>>),
    AdminAddress(oneshot::Sender<Option<SocketAddr>>),
    /// The certificate files that were read, with the SHA-256 of each.
    CertificateFiles(oneshot::Sender<BTreeMap<PathBuf, String>>),
    /// The listening sockets, for a successor.
    HandOver(oneshot::Sender<Result<Handover, HandoverError>>),
    /// Publish the upgrade socket that was held back for the predecessor.
    OfferUpgrade(oneshot::Sender<()>),
    /// Stop accepting; nothing is applied afterwards.
    StopAccepting(oneshot::Sender<()>),
    /// Stop accepting because a successor does; the admin address and maintenance stop too.
    StepBack(oneshot::Sender<()>),
    /// Stop everything else and end the control task.
    End(oneshot::Sender<()>),
}

/// Duplicates of the listening sockets with their parts and configured addresses. Only one
/// successor at a time holds them.
pub(crate) struct Handover {
    pub(crate) sockets: Vec<(Part, ListenAddress, TcpListener)>,
    pub(crate) _only: Arc<()>,
}

/// Why a successor cannot get the sockets.
pub(crate) enum HandoverError {
    /// Another successor holds them.
    Busy,
    Sockets(io::Error),
}

/// The parts of a handle.
pub(crate) struct Parts {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) metrics: Metrics,
    pub(crate) registries: Vec<Registry>,
    pub(crate) ready_when: Vec<watch::Receiver<bool>>,
}

impl Handle {
    /// Creates the handle of a starting gateway, and the command queue for its control task.
    pub(crate) fn new(parts: Parts) -> (Self, mpsc::Receiver<Command>) {
        let Parts { snapshot, metrics, registries, ready_when } = parts;
        let (commands, receiver) = mpsc::channel(QUEUE);
        let lifecycle = Lifecycle::new(metrics.clone());
        let inner = Inner { commands, lifecycle, snapshot, metrics, registries, ready_when };
        (Self(Arc::new(inner)), receiver)
    }

    /// The active configuration.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(self.0.snapshot.load().config())
    }

    /// The gateway's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Registries of the program, whose metrics are served in addition to the gateway's own.
    pub(crate) fn registries(&self) -> &[Registry] {
        &self.0.registries
    }

    /// The bound addresses by listener, with actual ports where the configuration has port 0.
    pub async fn addresses(&self) -> Vec<(Name, SocketAddr)> {
        self.command(Command::Addresses).await.unwrap_or_default()
    }

    /// The bound admin address.
    pub async fn admin_address(&self) -> Option<SocketAddr> {
        self.command(Command::AdminAddress).await.flatten()
    }

    /// Loads and applies the current configuration and certificates, all or nothing.
    pub async fn reload(&self) -> Result<ReloadReport, ConfigError> {
        self.command(Command::Reload).await.unwrap_or(Err(ConfigError::Stopping))
    }

    /// Returns what [`reload`](Self::reload) would change, or why it would fail.
    pub async fn dry_run(&self) -> Result<ReloadReport, ConfigError> {
        self.command(Command::DryRun).await.unwrap_or(Err(ConfigError::Stopping))
    }

    /// Logs the cause and reloads.
    pub async fn reload_and_log(&self, cause: &str) {
        tracing::info!(cause, "reloading");
        // The reload logs its outcome.
        let _logged = self.reload().await;
    }

    /// Sends a command; `None` if the gateway has ended.
    pub(crate) async fn command<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.commands.send(command(reply)).await.ok()?;
        match answer.await {
            Ok(answer) => Some(answer),
            Err(_) if self.0.commands.is_closed() => None,
            Err(_) => panic!("the control task panicked while executing a command"),
        }
    }
}

/// Phase and readiness.
impl Handle {
    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.0.lifecycle.phase()
    }

    /// Whether the gateway is ready: the phase, and every condition of the program.
    pub fn is_ready(&self) -> bool {
        self.phase().is_ready() && self.0.ready_when.iter().all(|condition| *condition.borrow())
    }

    /// Whether another process has taken over from this one.
    pub fn is_superseded(&self) -> bool {
        self.phase().is_superseded()
    }

    /// Whether a drain was requested or another process has taken over.
    pub fn is_ending(&self) -> bool {
        self.phase().is_ending()
    }

    /// Returns when a drain is requested or another process has taken over.
    pub async fn ending(&self) {
        self.0.lifecycle.reached(|phase| phase.is_ending()).await;
    }

    /// Requests a drain; `RunningGateway::run` performs it.
    pub fn request_drain(&self) {
        self.0.lifecycle.on(Event::DrainRequested);
    }

    /// Ends a drain immediately by closing all connections.
    pub fn cut(&self) {
        self.0.lifecycle.on(Event::CutRequested);
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }
}
