//! Schedule of renewals and retries, and the choice of authority. Pure functions of the time.

use std::time::{Duration, SystemTime};

use instant_acme::RenewalInfo;

use crate::certificate::Certificate;
use crate::clock::{from_unix, unix};
use crate::failure::FailureKind;
use crate::records::{Renewal, Stored};

/// How long to wait after failures in a row: doubled each time up to a limit, with jitter, so that
/// servers that failed together do not retry together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    /// Let's Encrypt allows five failed validations of a name per hour.
    fn default() -> Self {
        Self { first: Duration::from_secs(120), most: Duration::from_secs(6 * 3600) }
    }
}

impl Backoff {
    /// The wait after `failures` in a row. `luck` from 0 to 1 spreads it from 75% to 125%. An
    /// unreachable or failing authority does not count attempts against its limits, so the wait is
    /// a twelfth: the network may only just be coming up.
    pub(crate) fn delay(&self, failures: u32, kind: FailureKind, luck: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(30));
        let first = if kind.is_passing() { self.first / PASSING } else { self.first };
        first.saturating_mul(doubled).min(self.most).mul_f64(0.75 + luck.clamp(0.0, 1.0) / 2.0)
    }
}

/// The index of the authority to use after `failures` in a row: each gets `after` of them before
/// the next one is used.
pub(crate) fn authority(failures: u32, after: u32, authorities: usize) -> usize {
    let changes = failures.checked_div(after).unwrap_or(0);
    usize::try_from(changes).unwrap_or(0).checked_rem(authorities).unwrap_or(0)
}

/// The count after one more failure. `move_on` (rate limit): rounded up so that the next authority
/// is used.
pub(crate) fn failures_after(failures: u32, after: u32, move_on: bool) -> u32 {
    match move_on {
        true => (failures / after.max(1)).saturating_add(1).saturating_mul(after.max(1)),
        false => failures.saturating_add(1),
    }
}

/// When to renew: at the moment drawn from the authority's window, else with a third of the
/// lifetime left. Never right after issuing, so that a wrong window or clock cannot cause a loop of
/// orders.
pub(crate) fn renew_at(certificate: &Certificate, stored: &Stored) -> SystemTime {
    let lifetime = certificate.not_after.duration_since(certificate.not_before).unwrap_or_default();
    let third = before(certificate.not_after, lifetime / 3);
    let latest = before(certificate.not_after, lifetime / 10);
    let suggested = stored.renewal.as_ref().and_then(|renewal| renewal.at).map(from_unix);
    let at = suggested.map_or(third, |suggested| suggested.min(latest));
    let soonest = from_unix(stored.issued).checked_add(SETTLE.min(lifetime / 3)).unwrap_or(at);
    at.max(soonest)
}

/// Draws a moment from the window (RFC 9773 section 4.2). Keeps the previous one while the window
/// is the same.
pub(crate) fn plan(
    info: &RenewalInfo,
    retry_after: Duration,
    before: Option<&Renewal>,
    now: SystemTime,
    luck: f64,
) -> Renewal {
    let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
    let start = seconds(info.suggested_window.start.unix_timestamp());
    let end = seconds(info.suggested_window.end.unix_timestamp());
    let kept = before
        .filter(|before| before.start == start && before.end == end)
        .and_then(|before| before.at);
    // Section 4.2: a window that ends before it starts counts as none.
    let drawn = (end > start)
        .then(|| from_unix(start) + Duration::from_secs(end - start).mul_f64(luck.clamp(0.0, 1.0)));
    let query = now + retry_after.clamp(QUERY_SOONEST, QUERY_LATEST);
    Renewal { start, end, at: kept.or(drawn.map(unix)), query: unix(query) }
}

/// The record when the query failed, or the authority has no renewal information.
pub(crate) fn unplanned(previous: Option<&Renewal>, supported: bool, now: SystemTime) -> Renewal {
    let wait = if supported { QUERY_AFTER_ERROR } else { QUERY_LATEST };
    let query = unix(now + wait);
    match previous {
        Some(previous) if supported => Renewal { query, ..previous.clone() },
        _ => Renewal { start: 0, end: 0, at: None, query },
    }
}

fn before(end: SystemTime, span: Duration) -> SystemTime {
    end.checked_sub(span).unwrap_or(end)
}

/// The divisor of the wait after a failure that does not count against a limit.
const PASSING: u32 = 12;
/// The shortest time between issuing and renewal.
const SETTLE: Duration = Duration::from_secs(3600);
/// RFC 9773 section 4.3.2: bounds for the server's `Retry-After`.
const QUERY_SOONEST: Duration = Duration::from_secs(60);
const QUERY_LATEST: Duration = Duration::from_secs(24 * 3600);
const QUERY_AFTER_ERROR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
