//! Puts a changed configuration into effect without touching what is open: all or nothing, with a
//! report.

mod changes;
mod watch;

pub(crate) use changes::ReloadReport;

use std::sync::Arc;
use std::time::Duration;

use crate::control::certificates::{self, Purpose};
use crate::control::config_source::ConfigError;
use crate::control::gateway::{Handle, apply};
use crate::control::upgrade::Inherited;
use crate::serving::snapshot::Snapshot;

/// How often self-signed certificates are looked at: often enough for a machine that slept.
const RENEWAL_CHECK: Duration = Duration::from_secs(3600);

/// Reloads; counts and logs how it went.
pub(crate) async fn reload(handle: Handle) -> Result<ReloadReport, ConfigError> {
    let done = attempt(&handle).await;
    if let Err(stopping @ ConfigError::Stopping) = &done {
        tracing::info!(reason = %stopping, "not reloaded");
        return done;
    }
    handle.metrics().reloaded(done.is_ok());
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

/// What a reload would do now, or why it would fail: everything but the last step.
pub(crate) async fn rehearse(handle: Handle) -> Result<ReloadReport, ConfigError> {
    let state = handle.state();
    let effect = state.effect.lock().await;
    if effect.is_over() {
        return Err(ConfigError::Stopping);
    }
    let upgrades = state.options.upgrades;
    let rehearsed =
        apply::rehearse(&state.source, effect.acme(), &state.pseudonyms, upgrades).await?;
    let apply::Rehearsed { snapshot, loaded, acme } = rehearsed;
    let config = Arc::clone(snapshot.config());
    let changes =
        changes::between(handle.config().as_ref(), &config, effect.certificates(), &loaded);
    let mut inherited = Inherited::default();
    let _bound_and_released =
        apply::Ready::new(snapshot, loaded, acme, &effect, &mut inherited, upgrades)?;
    Ok(ReloadReport::new(changes, config.hash.clone(), state, false))
}

async fn attempt(handle: &Handle) -> Result<ReloadReport, ConfigError> {
    let state = handle.state();
    // One at a time, and a drain waits for it.
    let mut effect = state.effect.lock().await;
    if effect.is_over() {
        return Err(ConfigError::Stopping);
    }
    let (config, loaded, acme) = apply::load(&state.source, effect.acme(), Purpose::Serve).await?;
    let before = state.snapshot.load_full();
    let snapshot = Snapshot::build(
        Arc::new(config),
        &loaded.certificates,
        Some(&before),
        &state.metrics,
        &state.pseudonyms,
    );
    let snapshot = Arc::new(snapshot.map_err(ConfigError::Unservable)?);
    let config = Arc::clone(snapshot.config());
    let changes = changes::between(before.config(), &config, effect.certificates(), &loaded);
    let ready = apply::Ready::new(
        snapshot,
        loaded,
        acme,
        &effect,
        &mut Inherited::default(),
        state.options.upgrades,
    )?;
    effect.take(ready, handle).await;
    Ok(ReloadReport::new(changes, config.hash.clone(), state, true))
}

/// Reloads when files change or a self-signed certificate is due, until the gateway ends.
pub(crate) async fn maintain(handle: Handle) {
    let end = handle.state().upkeep.clone();
    let work = async {
        if handle.state().options.ignore_files {
            return renew(handle.clone()).await;
        }
        tokio::join!(watch::follow_files(handle.clone()), renew(handle.clone()));
    };
    end.run_until_cancelled(work).await;
}

async fn renew(handle: Handle) {
    loop {
        tokio::time::sleep(RENEWAL_CHECK).await;
        let config = handle.config();
        let due = tokio::task::spawn_blocking(move || certificates::renewal_is_due(&config)).await;
        if due.unwrap_or(false) {
            handle.reload_and_log("a certificate is due for renewal").await;
        }
    }
}
