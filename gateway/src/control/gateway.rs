//! A gateway from start to end: load → validate → build → bind everything → announce → serve →
//! drain.

pub(crate) mod apply;
mod listeners;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_config::{Config, Name};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::acme::Acme;
use crate::control::admin;
use crate::control::certificates::Purpose;
use crate::control::config_source::{ConfigError, ConfigSource};
use crate::control::readiness::Readiness;
use crate::control::reload::{self, ReloadReport};
use crate::control::telemetry::Telemetry;
use crate::control::upgrade::{Inherited, Predecessor, UpgradeError, Upgrades};
use crate::metrics::{Metrics, UpgradeResult};
use crate::serving::access_log::Pseudonyms;
use crate::serving::challenges::Http01;
use crate::serving::drain::Idle;
use crate::serving::plane::{Drained, Plane};
use crate::serving::snapshot::Snapshot;

/// What a program that runs a gateway may add to it.
#[derive(Default)]
pub struct Options {
    /// Registries whose metrics are served beside the gateway's own.
    pub registries: Vec<prometheus::Registry>,
    /// Conditions without which `/readyz` says no.
    pub ready_when: Vec<watch::Receiver<bool>>,
    /// The process's log, so that a reload can change its level and format.
    pub telemetry: Option<Telemetry>,
    /// Whether to leave changed files alone until a reload is asked for.
    pub ignore_files: bool,
    /// Answers ACME HTTP-01 challenges; without it there are none.
    pub http01: Option<Http01>,
    /// What to do with `[upgrade]`.
    pub upgrades: Upgrades,
}

/// A gateway that serves.
pub struct RunningGateway {
    handle: Handle,
}

/// A hand on a running gateway; cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<State>);

pub(crate) struct State {
    pub(crate) source: ConfigSource,
    pub(crate) options: Options,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) plane: Arc<Plane>,
    pub(crate) metrics: Metrics,
    pub(crate) pseudonyms: Pseudonyms,
    pub(crate) readiness: Readiness,
    /// Asks for a drain.
    pub(crate) shutdown: CancellationToken,
    /// Another process has taken over: it accepts on the same sockets, and renews.
    pub(crate) superseded: CancellationToken,
    /// One process at a time takes over.
    pub(crate) handing_over: Semaphore,
    /// Ends a drain before its deadline.
    pub(crate) cut: CancellationToken,
    /// Ends what runs beside requests: admin server, watch, renewal.
    pub(crate) end: CancellationToken,
    /// Ends, with `end` or before, what another process does once it has taken over: watch and
    /// renewal.
    pub(crate) upkeep: CancellationToken,
    /// What runs beside requests.
    pub(crate) tasks: TaskTracker,
    /// What is in effect; held while a reload runs, so that one runs at a time.
    pub(crate) effect: Mutex<apply::Effect>,
}

/// The gateway.
pub struct Gateway;

impl Gateway {
    /// Starts a gateway, or says why not, with nothing left behind. It serves when this returns; it
    /// drains when `shutdown` is cancelled.
    pub async fn start(
        source: ConfigSource,
        options: Options,
        shutdown: CancellationToken,
    ) -> Result<RunningGateway, ConfigError> {
        let (config, loaded, acme) = apply::load(&source, &Acme::default(), Purpose::Serve).await?;
        let (metrics, pseudonyms) = (Metrics::new(), Pseudonyms::new());
        let snapshot =
            Snapshot::build(Arc::new(config), &loaded.certificates, None, &metrics, &pseudonyms);
        let snapshot = Arc::new(snapshot.map_err(ConfigError::Unservable)?);
        let (predecessor, mut inherited) = match meet(&options, snapshot.config()).await? {
            Some((predecessor, inherited)) => (Some(predecessor), inherited),
            None => (None, Inherited::default()),
        };
        let nothing = apply::Effect::default();
        let ready = apply::Ready::new(
            Arc::clone(&snapshot),
            loaded,
            acme,
            &nothing,
            &mut inherited,
            options.upgrades,
        );
        let mut ready = match ready {
            Ok(ready) => ready,
            Err(error) => {
                if let Some(predecessor) = predecessor {
                    predecessor.give_up(&error.to_string()).await;
                }
                return Err(error);
            }
        };
        for (part, address) in inherited.left() {
            tracing::info!(%part, %address, "no longer listened on");
        }
        drop(inherited);

        let snapshot = Arc::new(ArcSwap::new(snapshot));
        let http01 = options.http01.clone().unwrap_or_else(|| Arc::new(|_| None));
        let end = CancellationToken::new();
        let handle = Handle(Arc::new(State {
            source,
            snapshot: Arc::clone(&snapshot),
            plane: Plane::new(snapshot, metrics.clone(), http01),
            readiness: Readiness::new(metrics.clone()),
            metrics,
            pseudonyms,
            shutdown,
            superseded: CancellationToken::new(),
            handing_over: Semaphore::new(1),
            cut: CancellationToken::new(),
            upkeep: end.child_token(),
            end,
            tasks: TaskTracker::new(),
            effect: Mutex::new(apply::Effect::default()),
            options,
        }));
        let mut upgrade = ready.hold_back_upgrade();
        let mut effect = handle.0.effect.lock().await;
        if predecessor.is_none() {
            effect.offer(upgrade.take(), &handle).await;
        }
        // Before anybody can ask: the admin address comes last, and in a take-over it is asked
        // already.
        handle.0.readiness.open();
        effect.take(ready, &handle).await;
        drop(effect);
        if let Some(predecessor) = predecessor {
            if let Err(error) = predecessor.announce().await {
                // The one before serves on, on the same sockets: only what was accepted meanwhile
                // is left to do.
                handle.supersede();
                RunningGateway { handle }.run().await;
                return Err(ConfigError::Upgrade(error));
            }
            handle.metrics().upgrade(UpgradeResult::TakenOver);
            handle.0.effect.lock().await.offer(upgrade, &handle).await;
        }
        handle.0.tasks.spawn(reload::maintain(handle.clone()));
        Ok(RunningGateway { handle })
    }
}

/// Asks the running gateway, if there is one and this one is to take over.
async fn meet(
    options: &Options,
    config: &Config,
) -> Result<Option<(Predecessor, Inherited)>, ConfigError> {
    if options.upgrades != Upgrades::TakeOver {
        return Ok(None);
    }
    let upgrade =
        config.upgrade.as_ref().ok_or(ConfigError::Upgrade(UpgradeError::NotConfigured))?;
    Predecessor::meet(&upgrade.socket).await.map_err(ConfigError::Upgrade)
}

impl RunningGateway {
    /// A hand on this gateway.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until a drain is asked for and done: not ready → accept for `drain.delay` → stop
    /// accepting → finish what is open within `drain.deadline`. When another process has taken
    /// over, it stops accepting at once.
    pub async fn run(self) -> Drained {
        let state = &self.handle.0;
        state.shutdown.cancelled().await;
        let drain = self.handle.config().drain.clone();
        tracing::info!(delay = ?drain.delay, deadline = ?drain.deadline, "draining");
        if !self.handle.is_superseded() {
            state.readiness.drain();
            // A process that was about to take over may do so even now.
            let delay = state.superseded.run_until_cancelled(tokio::time::sleep(drain.delay));
            state.cut.run_until_cancelled(delay).await;
        }
        let idle = if self.handle.is_superseded() {
            self.step_back().await;
            Idle::MayAsk
        } else {
            state.effect.lock().await.stop_accepting().await;
            Idle::Ends
        };
        let cut_after = |deadline: Duration| state.plane.drain(deadline, idle);
        let drained = match state.cut.run_until_cancelled(cut_after(drain.deadline)).await {
            Some(drained) => drained,
            None => cut_after(Duration::ZERO).await,
        };

        state.end.cancel();
        let mut effect = state.effect.lock().await;
        effect.stop_admin(Duration::ZERO).await;
        effect.offer(None, &self.handle).await;
        drop(effect);
        state.tasks.close();
        state.tasks.wait().await;
        tracing::info!(cut = drained.cut, "stopped");
        drained
    }

    /// Leaves to the process that has taken over what is its business now: new connections, the
    /// admin address, renewal.
    async fn step_back(&self) {
        let state = &self.handle.0;
        state.upkeep.cancel();
        let mut effect = state.effect.lock().await;
        effect.stop_accepting().await;
        effect.stop_admin(admin::ARRIVE).await;
        // Not before: whoever asks the admin address for readiness means the address, not this
        // process.
        state.readiness.drain();
    }
}

impl Handle {
    /// The configuration in effect.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(self.0.snapshot.load().config())
    }

    /// The gateway's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The readiness latch.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Whether requests should be sent here: the latch, and all that [`Options::ready_when`] waits
    /// for.
    pub fn is_ready(&self) -> bool {
        self.0.readiness.is_ready()
            && self.0.options.ready_when.iter().all(|condition| *condition.borrow())
    }

    /// The addresses bound, by listener: real ports where the configuration says 0.
    pub async fn addresses(&self) -> Vec<(Name, SocketAddr)> {
        self.0.effect.lock().await.addresses()
    }

    /// The admin address bound.
    pub async fn admin_address(&self) -> Option<SocketAddr> {
        self.0.effect.lock().await.admin_address()
    }

    /// Reads the configuration and its certificates again and puts them into effect, all or
    /// nothing.
    pub async fn reload(&self) -> Result<ReloadReport, ConfigError> {
        // A task of its own: a caller that goes away must not stop a reload half way.
        let reloading = tokio::spawn(reload::reload(self.clone()));
        reloading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// What [`reload`](Self::reload) would do now, or why it would fail.
    pub async fn rehearse_reload(&self) -> Result<ReloadReport, ConfigError> {
        reload::rehearse(self.clone()).await
    }

    /// Reloads and says how it went in the log.
    pub async fn reload_and_log(&self, cause: &str) {
        // The reload itself logs its outcome; here only why it happened.
        tracing::info!(cause, "reloading");
        let _logged = self.reload().await;
    }

    /// Asks for a drain; [`RunningGateway::run`] does it.
    pub fn request_drain(&self) {
        self.0.shutdown.cancel();
    }

    /// Whether another process has taken over from this one.
    pub fn is_superseded(&self) -> bool {
        self.0.superseded.is_cancelled()
    }

    /// Stops accepting at once and drains: another process accepts on the same sockets.
    pub(crate) fn supersede(&self) {
        self.0.superseded.cancel();
        self.0.shutdown.cancel();
    }

    /// Whether a drain was asked for.
    pub fn drain_requested(&self) -> bool {
        self.0.shutdown.is_cancelled()
    }

    /// Ends a drain at once.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.0
    }
}
