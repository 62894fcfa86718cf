//! Forwards what a maintainer publishes: certificates to TLS, their status to metrics and log.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use gateway_acme::{Source, Status};
use tokio_util::sync::CancellationToken;

use super::group::Group;
use crate::metrics::Metrics;

/// Runs until `stop`.
pub(super) async fn follow(group: Arc<Group>, metrics: Metrics, stop: CancellationToken) {
    let (mut certificates, mut statuses) = (group.certificates.clone(), group.statuses.clone());
    let mut before: Vec<Status> = Vec::new();
    loop {
        certificates.mark_unchanged();
        group.publish();
        let now = statuses.borrow_and_update().to_vec();
        for status in &now {
            let old = before.iter().find(|old| old.names == status.names);
            if old != Some(status) {
                note(&group, status, old, &metrics);
            }
        }
        before = now;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = certificates.changed() => if changed.is_err() { return },
            changed = statuses.changed() => if changed.is_err() { return },
        }
    }
}

fn note(group: &Group, status: &Status, old: Option<&Status>, metrics: &Metrics) {
    let Some(entry) = group.entries.iter().find(|entry| entry.names == status.names) else {
        return;
    };
    let name = entry.name.as_str();
    let source = match status.source {
        // Kept from before a reload; the current storage does not contain it.
        Source::Missing if entry.taken_over => "kept",
        Source::Missing => "stand_in",
        Source::Stored => "stored",
        Source::Ordered => "ordered",
    };
    metrics.certificate_source(name, source);
    if let Some(until) = status.not_after {
        let seconds = until.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        metrics.certificate_expiry(name, i64::try_from(seconds).unwrap_or(i64::MAX));
        if old.is_none_or(|old| old.not_after != status.not_after) {
            tracing::info!(certificate = name, source, names = %status.names, "certificate in use");
            metrics.certificate_renewed(name, true);
        }
    }
    if let Some(failure) = &status.last_error
        && old.is_none_or(|old| old.last_error.is_none() || old.failures != status.failures)
    {
        tracing::warn!(certificate = name, reason = failure.kind.as_str(), %failure, "certificate not renewed");
        metrics.certificate_renewed(name, false);
        metrics.certificate_failed(name, failure.kind.as_str());
    }
}
