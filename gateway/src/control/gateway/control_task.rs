//! The task that owns what is in effect. It carries out one command after another, so that one
//! reload runs at a time and a drain waits for it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::applied::Applied;
use crate::control::admin;
use crate::control::background::Background;
use crate::control::bind::Inherited;
use crate::control::candidate::Builder;
use crate::control::certificates::Loaded;
use crate::control::config_source::ConfigError;
use crate::control::handle::{Command, Handle};
use crate::control::phase::Event;
use crate::control::report::{self, Differences, ReloadReport};
use crate::serving::plane::Plane;
use crate::serving::snapshot::Snapshot;

/// What the control task works with.
pub(super) struct ControlTask {
    pub(super) builder: Builder,
    pub(super) applied: Applied,
    pub(super) plane: Arc<Plane>,
    pub(super) handle: Handle,
    pub(super) background: Background,
}

/// Whether the control task applies configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applies {
    Yes,
    /// It has stopped accepting for good.
    NoMore,
}

impl ControlTask {
    /// Until the command to end.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut applies = Applies::Yes;
        while let Some(command) = commands.recv().await {
            match command {
                Command::Reload(reply) if applies == Applies::Yes => {
                    survive(reply, self.reload_and_report()).await;
                }
                Command::DryRun(reply) if applies == Applies::Yes => {
                    survive(reply, self.dry_run()).await;
                }
                Command::Reload(reply) => {
                    tracing::info!(reason = %ConfigError::Stopping, "not reloaded");
                    answer(reply, Err(ConfigError::Stopping));
                }
                Command::DryRun(reply) => answer(reply, Err(ConfigError::Stopping)),
                Command::Addresses(reply) => answer(reply, self.applied.addresses()),
                Command::AdminAddress(reply) => answer(reply, self.applied.admin_address()),
                Command::CertificateFiles(reply) => {
                    answer(reply, self.applied.certificates().files.clone());
                }
                Command::HandOver(reply) => answer(reply, self.applied.hand_over()),
                Command::OfferUpgrade(reply) => {
                    self.applied.offer_upgrade().await;
                    answer(reply, ());
                }
                Command::StopAccepting(reply) => {
                    applies = Applies::NoMore;
                    self.applied.stop_accepting().await;
                    answer(reply, ());
                }
                Command::StepBack(reply) => {
                    applies = Applies::NoMore;
                    self.step_back().await;
                    answer(reply, ());
                }
                Command::End(reply) => {
                    self.applied.stop_admin(Duration::ZERO).await;
                    self.applied.withdraw_offer().await;
                    return answer(reply, ());
                }
            }
        }
    }

    /// Reloads; counts and logs the outcome.
    async fn reload_and_report(&mut self) -> Result<ReloadReport, ConfigError> {
        let done = self.reload().await;
        self.handle.metrics().reloaded(done.is_ok());
        match &done {
            Ok(report) => tracing::info!(%report, "configuration reloaded"),
            Err(error) => {
                for fault in error.faults() {
                    tracing::error!(
                        file = fault.file.as_deref().unwrap_or_default(),
                        line = fault.line.unwrap_or_default(),
                        reason = fault.reason,
                        "the reload failed; the configuration before it stays in effect"
                    );
                }
            }
        }
        done
    }

    /// All or nothing: whatever fails, fails before anything is applied.
    async fn reload(&mut self) -> Result<ReloadReport, ConfigError> {
        let before = self.plane.snapshot();
        let candidate = self.builder.build(self.applied.acme(), Some(&before)).await?;
        let changes = self.changes(&before, &candidate.snapshot, &candidate.loaded);
        let hash = candidate.snapshot.config().hash.clone();
        let mut inherited = Inherited::default();
        let ready = self.applied.bind(candidate, &mut inherited, self.builder.upgrades)?;
        self.applied.apply(ready).await;
        Ok(self.report(changes, hash, true))
    }

    /// What a reload would do now, or why it would fail: everything but the last step.
    async fn dry_run(&mut self) -> Result<ReloadReport, ConfigError> {
        let before = self.plane.snapshot();
        let candidate = self.builder.dry_run(self.applied.acme()).await?;
        let changes = self.changes(&before, &candidate.snapshot, &candidate.loaded);
        let hash = candidate.snapshot.config().hash.clone();
        let mut inherited = Inherited::default();
        let _bound_and_released =
            self.applied.bind(candidate, &mut inherited, self.builder.upgrades)?;
        Ok(self.report(changes, hash, false))
    }

    fn changes(&self, before: &Snapshot, after: &Snapshot, loaded: &Loaded) -> Differences {
        report::between(before.config(), after.config(), self.applied.certificates(), loaded)
    }

    fn report(&self, changes: Differences, hash: String, applied: bool) -> ReloadReport {
        let (_, websockets) = self.handle.metrics().open();
        let websockets = usize::try_from(websockets).unwrap_or(0);
        ReloadReport::new(changes, hash, applied, self.plane.connections(), websockets)
    }

    /// Leaves to the process that has taken over what it does now: new connections, the admin
    /// address, maintenance.
    async fn step_back(&mut self) {
        self.background.maintenance.cancel();
        self.applied.stop_accepting().await;
        self.applied.stop_admin(admin::ARRIVE).await;
        // Not before: a client of the admin address that reads readiness means the address, not
        // this process.
        self.handle.lifecycle().on(Event::AdminClosed);
    }
}

/// Answers with what this returns; a panic is logged, ends the command and not the task.
async fn survive<T>(reply: oneshot::Sender<T>, work: impl Future<Output = T>) {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => answer(reply, done),
        Err(panic) => tracing::error!(reason = text_of(&*panic), "a reload panicked"),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// The sender of a command may be gone; the command was carried out.
fn answer<T>(reply: oneshot::Sender<T>, with: T) {
    let _gone = reply.send(with);
}
