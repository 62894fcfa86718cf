//! Background work: DNS, health checks, ejection.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{RESOLVE_EVERY, Target, Upstream, check};

/// How often the maintenance looks whether something is due.
const TICK: Duration = Duration::from_millis(250);
/// Longest time for resolving one name.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(4);

/// Works until the upstream is dropped.
pub(super) async fn maintain(upstream: Weak<Upstream>) {
    let mut resolve_at = Instant::now();
    let mut check_at = Instant::now();
    let mut meanings = Meanings::new();
    loop {
        {
            let Some(upstream) = upstream.upgrade() else { return };
            let now = Instant::now();
            if now >= resolve_at {
                resolve(&upstream, &mut meanings, system_lookup).await;
                resolve_at = Instant::now() + RESOLVE_EVERY;
            }
            if let Some(settings) = &upstream.config.health_check
                && now >= check_at
            {
                check_all(&upstream, settings).await;
                check_at = now + settings.interval;
            }
            for target in upstream.targets.load().iter() {
                target.idle.sweep();
                let back = target.health().take_return(Instant::now());
                if back {
                    upstream.metrics.target_healthy(&target.label, true);
                    tracing::info!(upstream = upstream.name(), target = %target.label, "ejected target gets requests again");
                }
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn system_lookup(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// What each name meant when it was last resolved.
pub(super) type Meanings = HashMap<(String, u16), Vec<SocketAddr>>;

/// Replaces the targets that are names by what the names mean now. A name that cannot be resolved
/// keeps its last meaning, and holds no other name up.
pub(super) async fn resolve<L>(
    upstream: &Arc<Upstream>,
    meanings: &mut Meanings,
    lookup: impl Fn(String, u16) -> L,
) where
    L: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let names = upstream.config.targets.iter().filter_map(|target| match target {
        gateway_config::Target::Host { host, port } => Some((host, *port, false)),
        gateway_config::Target::Dns { host, port } => Some((host, *port, true)),
        gateway_config::Target::Socket(_) | gateway_config::Target::Unix(_) => None,
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return;
    }
    let found = look_up(&names, lookup).await;
    let before = upstream.targets.load_full();
    let kept = |label: &str| before.iter().find(|target| target.label == label).map(Arc::clone);
    let fixed = upstream.config.targets.iter().filter_map(|target| match target {
        gateway_config::Target::Socket(_) | gateway_config::Target::Unix(_) => {
            kept(&target.to_string())
        }
        gateway_config::Target::Host { .. } | gateway_config::Target::Dns { .. } => None,
    });
    let mut after: Vec<Arc<Target>> = fixed.collect();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for ((host, port, all), found) in names.into_iter().zip(found) {
        let name = (host.to_string(), port);
        match found {
            Ok(found) => drop(meanings.insert(name.clone(), found)),
            Err(error) => {
                tracing::warn!(upstream = upstream.name(), host, %error, "name cannot be resolved; keeping what is known");
            }
        }
        let Some(means) = meanings.get(&name).filter(|means| !means.is_empty()) else { continue };
        if all {
            addresses.extend(means);
            continue;
        }
        let label = format!("{host}:{port}");
        let target =
            kept(&label).unwrap_or_else(|| Target::named(label, means.clone(), &upstream.config));
        target.address.means(means);
        after.push(target);
    }
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        let label = address.to_string();
        if !after.iter().any(|target| target.label == label) {
            after.push(kept(&label).unwrap_or_else(|| Target::tcp(address, &upstream.config)));
        }
    }
    replace(upstream, &before, after);
    upstream.resolved.send_replace(true);
}

/// Each name at once, within the deadline.
async fn look_up<L>(
    names: &[(&impl ToString, u16, bool)],
    lookup: impl Fn(String, u16) -> L,
) -> Vec<io::Result<Vec<SocketAddr>>>
where
    L: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let lookup = &lookup;
    let lookups = names.iter().map(|(host, port, _)| async move {
        let found = tokio::time::timeout(RESOLVE_DEADLINE, lookup(host.to_string(), *port)).await;
        found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    });
    join_all(lookups).await
}

/// Sends requests to these targets from now on, if they are others than before.
fn replace(upstream: &Upstream, before: &[Arc<Target>], after: Vec<Arc<Target>>) {
    let labels =
        |list: &[Arc<Target>]| list.iter().map(|target| target.label.clone()).collect::<Vec<_>>();
    let (old, new) = (labels(before), labels(&after));
    if old != new {
        tracing::info!(upstream = upstream.name(), targets = ?new, "targets changed");
        for gone in old.iter().filter(|label| !new.contains(label)) {
            upstream.metrics.target_gone(gone);
        }
        for added in new.iter().filter(|label| !old.contains(label)) {
            upstream.metrics.target_healthy(added, true);
        }
        upstream.targets.store(Arc::new(after));
    }
}

async fn check_all(upstream: &Arc<Upstream>, settings: &gateway_config::HealthCheck) {
    let targets = upstream.targets.load_full();
    let checks = targets.iter().map(|target| async move {
        let good =
            check::is_well(&target.address, settings.path.as_deref(), settings.timeout).await;
        let now = Instant::now();
        let mut health = target.health();
        let changed = health.checked(good, settings.healthy_after, settings.unhealthy_after, now);
        let available = health.is_available(now);
        drop(health);
        if changed {
            upstream.metrics.target_healthy(&target.label, available);
            let (upstream, target) = (upstream.name(), &target.label);
            if good {
                tracing::info!(upstream, %target, "target is healthy again");
            } else {
                tracing::warn!(upstream, %target, "target is unhealthy");
            }
        }
    });
    join_all(checks).await;
}

#[cfg(test)]
mod tests;
