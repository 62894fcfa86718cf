//! The life of a gateway: load → validate → build → bind everything → announce → serve → drain.

mod applied;
mod control_task;
mod listeners;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_config::Config;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control::acme::Acme;
use crate::control::background::Background;
use crate::control::bind::Inherited;
use crate::control::candidate::Builder;
use crate::control::config_source::{ConfigError, ConfigSource};
use crate::control::handle::{Command, Handle, Parts};
use crate::control::maintenance;
use crate::control::phase::{Event, Phase};
use crate::control::telemetry::Telemetry;
use crate::control::upgrade::{Predecessor, UpgradeError, Upgrades};
use crate::metrics::UpgradeResult;
use crate::serving::challenges::Http01;
use crate::serving::drain::Idle;
use crate::serving::plane::{Drained, Plane};
use applied::{Applied, Ready};
use control_task::ControlTask;

/// Options of the program that runs the gateway.
#[derive(Default)]
pub struct Options {
    /// Registries whose metrics are served in addition to the gateway's own.
    pub registries: Vec<prometheus::Registry>,
    /// Conditions that must all hold for `/readyz` to report ready.
    pub ready_when: Vec<watch::Receiver<bool>>,
    /// The process's log, so that a reload can change its level and format.
    pub telemetry: Option<Telemetry>,
    /// Whether changed files are ignored until a reload is requested.
    pub ignore_files: bool,
    /// Returns responses to ACME HTTP-01 challenges; without it there are none.
    pub http01: Option<Http01>,
    /// How to use `[upgrade]`.
    pub upgrades: Upgrades,
}

/// A running gateway.
pub struct RunningGateway {
    handle: Handle,
    plane: Arc<Plane>,
    background: Background,
    control: JoinHandle<()>,
}

/// The gateway.
pub struct Gateway;

impl Gateway {
    /// Starts a gateway; on an error, nothing of it is left. It serves when this returns, and
    /// drains when its handle requests it.
    pub async fn start(
        source: ConfigSource,
        options: Options,
    ) -> Result<RunningGateway, ConfigError> {
        let builder = Builder::new(source.clone(), options.upgrades);
        let candidate = builder.build(&Acme::default(), None).await?;
        let (predecessor, mut inherited) =
            connect(options.upgrades, candidate.snapshot.config()).await?;
        let snapshot = Arc::new(ArcSwap::new(Arc::clone(&candidate.snapshot)));
        let http01 = options.http01.unwrap_or_else(|| Arc::new(|_| None));
        let plane = Plane::new(Arc::clone(&snapshot), builder.metrics.clone(), http01);
        let background = Background::new();
        let (handle, commands) = Handle::new(Parts {
            snapshot,
            metrics: builder.metrics.clone(),
            registries: options.registries,
            ready_when: options.ready_when,
        });
        let mut applied =
            Applied::new(Arc::clone(&plane), handle.clone(), background.clone(), options.telemetry);
        let ready = match applied.bind(candidate, &mut inherited, options.upgrades) {
            Ok(ready) => ready,
            Err(error) => {
                if let Some(predecessor) = predecessor {
                    predecessor.abort(&error.to_string()).await;
                }
                return Err(error);
            }
        };
        for (part, address) in inherited.left() {
            tracing::info!(%part, %address, "inherited address is no longer used");
        }
        drop(inherited);

        open(&mut applied, ready, &handle, predecessor.is_some()).await;
        let task = ControlTask {
            builder,
            applied,
            plane: Arc::clone(&plane),
            handle: handle.clone(),
            background: background.clone(),
        };
        let control = tokio::spawn(task.run(commands));
        let running = RunningGateway { handle, plane, background, control };
        let running = match predecessor {
            Some(predecessor) => running.take_over(predecessor).await?,
            None => running,
        };
        running.background.tasks.spawn(maintenance::maintain(
            running.handle(),
            source,
            options.ignore_files,
            running.background.maintenance.clone(),
        ));
        Ok(running)
    }
}

/// Requests the sockets of the running gateway, if there is one and this process is to replace it.
async fn connect(
    upgrades: Upgrades,
    config: &Config,
) -> Result<(Option<Predecessor>, Inherited), ConfigError> {
    if upgrades != Upgrades::TakeOver {
        return Ok((None, Inherited::default()));
    }
    let upgrade =
        config.upgrade.as_ref().ok_or(ConfigError::Upgrade(UpgradeError::NotConfigured))?;
    match Predecessor::connect(&upgrade.socket).await.map_err(ConfigError::Upgrade)? {
        Some((predecessor, inherited)) => Ok((Some(predecessor), inherited)),
        None => Ok((None, Inherited::default())),
    }
}

/// Starts to serve. The upgrade socket is published later if there is a predecessor to replace.
async fn open(applied: &mut Applied, mut ready: Ready, handle: &Handle, takes_over: bool) {
    applied.hold_back(ready.hold_back_upgrade());
    if !takes_over {
        applied.offer_upgrade().await;
    }
    // Before the first readiness check: the admin address is opened last, and in an upgrade it is
    // already open.
    handle.lifecycle().on(Event::Opened);
    applied.apply(ready).await;
}

impl RunningGateway {
    /// The handle of this gateway.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Makes the predecessor stop accepting.
    async fn take_over(self, predecessor: Predecessor) -> Result<Self, ConfigError> {
        if let Err(error) = predecessor.announce().await {
            // The predecessor keeps serving on the same sockets: finish what was accepted here
            // since.
            self.handle.lifecycle().on(Event::Superseded);
            self.run().await;
            return Err(ConfigError::Upgrade(error));
        }
        self.handle.metrics().upgrade(UpgradeResult::TakenOver);
        self.handle.command(Command::OfferUpgrade).await;
        Ok(self)
    }

    /// Serves until a drain is requested and complete: not ready → accept for `drain.delay` → stop
    /// accepting → finish open requests and connections within `drain.deadline`. After an upgrade,
    /// accepting stops immediately.
    pub async fn run(self) -> Drained {
        let Self { handle, plane, background, control } = self;
        let lifecycle = handle.lifecycle();
        handle.ending().await;
        let drain = handle.config().drain.clone();
        tracing::info!(delay = ?drain.delay, deadline = ?drain.deadline, "draining");
        // A successor can still take over during the delay.
        let delay_ends = |phase: &Phase| phase.is_superseded() || phase.is_cut();
        lifecycle.run_until(delay_ends, tokio::time::sleep(drain.delay)).await;
        let idle = if handle.is_superseded() {
            handle.command(Command::StepBack).await;
            Idle::MayAsk
        } else {
            handle.command(Command::StopAccepting).await;
            Idle::Ends
        };
        let draining = plane.drain(drain.deadline, idle);
        let drained = match lifecycle.run_until(|phase| phase.is_cut(), draining).await {
            Some(drained) => drained,
            None => plane.drain(Duration::ZERO, idle).await,
        };

        background.end.cancel();
        handle.command(Command::End).await;
        if let Err(error) = control.await {
            std::panic::resume_unwind(error.into_panic());
        }
        background.stop().await;
        lifecycle.on(Event::Stopped);
        tracing::info!(cut = drained.cut, "stopped");
        drained
    }
}
