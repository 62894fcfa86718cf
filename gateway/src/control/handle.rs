//! A cheap clone of the gateway's handle: reads what everyone may read, changes the phase, and
//! sends commands to the one task that owns what is in effect.

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

/// Commands that may wait.
const QUEUE: usize = 64;

/// A handle on a running gateway; cheap to clone.
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

/// What the control task does, one after another. A sender that goes away does not stop it.
pub(crate) enum Command {
    /// Apply the configuration as it is now.
    Reload(oneshot::Sender<Result<ReloadReport, ConfigError>>),
    /// What a reload would do now.
    DryRun(oneshot::Sender<Result<ReloadReport, ConfigError>>),
    Addresses(oneshot::Sender<Vec<(Name, SocketAddr)>>),
    AdminAddress(oneshot::Sender<Option<SocketAddr>>),
    /// The files that certificates were read from, and SHA-256 of each.
    CertificateFiles(oneshot::Sender<BTreeMap<PathBuf, String>>),
    /// The listening sockets, for a successor.
    HandOver(oneshot::Sender<Result<Handover, HandoverError>>),
    /// Publish the upgrade socket that was held back until this process serves alone.
    OfferUpgrade(oneshot::Sender<()>),
    /// Stop accepting; nothing is applied afterwards.
    StopAccepting(oneshot::Sender<()>),
    /// The same because another process accepts: the admin address and maintenance stop, too.
    StepBack(oneshot::Sender<()>),
    /// Stop the rest and the control task.
    End(oneshot::Sender<()>),
}

/// The listening sockets once more: what each is for, and its address as configured. One successor
/// at a time has them.
pub(crate) struct Handover {
    pub(crate) sockets: Vec<(Part, ListenAddress, TcpListener)>,
    pub(crate) _only: Arc<()>,
}

/// Why a successor does not get the sockets.
pub(crate) enum HandoverError {
    /// Another one has them.
    Busy,
    Sockets(io::Error),
}

/// What a handle is made of.
pub(crate) struct Parts {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) metrics: Metrics,
    pub(crate) registries: Vec<Registry>,
    pub(crate) ready_when: Vec<watch::Receiver<bool>>,
}

impl Handle {
    /// The handle of a gateway that starts, and the commands for its control task.
    pub(crate) fn new(parts: Parts) -> (Self, mpsc::Receiver<Command>) {
        let Parts { snapshot, metrics, registries, ready_when } = parts;
        let (commands, receiver) = mpsc::channel(QUEUE);
        let lifecycle = Lifecycle::new(metrics.clone());
        let inner = Inner { commands, lifecycle, snapshot, metrics, registries, ready_when };
        (Self(Arc::new(inner)), receiver)
    }

    /// The configuration in effect.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(self.0.snapshot.load().config())
    }

    /// The gateway's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Registries of the program, whose metrics are served beside the gateway's own.
    pub(crate) fn registries(&self) -> &[Registry] {
        &self.0.registries
    }

    /// The addresses bound, by listener: real ports where the configuration has 0.
    pub async fn addresses(&self) -> Vec<(Name, SocketAddr)> {
        self.command(Command::Addresses).await.unwrap_or_default()
    }

    /// The admin address bound.
    pub async fn admin_address(&self) -> Option<SocketAddr> {
        self.command(Command::AdminAddress).await.flatten()
    }

    /// Applies the configuration and its certificates as they are now, all or nothing.
    pub async fn reload(&self) -> Result<ReloadReport, ConfigError> {
        self.command(Command::Reload).await.unwrap_or(Err(ConfigError::Stopping))
    }

    /// What [`reload`](Self::reload) would do now, or why it would fail.
    pub async fn dry_run(&self) -> Result<ReloadReport, ConfigError> {
        self.command(Command::DryRun).await.unwrap_or(Err(ConfigError::Stopping))
    }

    /// Reloads and logs why.
    pub async fn reload_and_log(&self, cause: &str) {
        tracing::info!(cause, "reloading");
        // The reload logs its outcome.
        let _logged = self.reload().await;
    }

    /// Sends a command; `None` when the gateway has ended.
    pub(crate) async fn command<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.commands.send(command(reply)).await.ok()?;
        match answer.await {
            Ok(answer) => Some(answer),
            Err(_) if self.0.commands.is_closed() => None,
            Err(_) => panic!("the control task panicked at a command"),
        }
    }
}

/// The phase.
impl Handle {
    /// Where the gateway stands.
    pub fn phase(&self) -> Phase {
        self.0.lifecycle.phase()
    }

    /// Whether requests should be sent here: the phase, and every condition of the program.
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

    /// Requests a drain; the running gateway does it.
    pub fn request_drain(&self) {
        self.0.lifecycle.on(Event::DrainRequested);
    }

    /// Ends a drain at once.
    pub fn cut(&self) {
        self.0.lifecycle.on(Event::CutRequested);
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }
}
