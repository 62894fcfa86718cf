//! When: to renew, to try again, and with whom. Pure functions of the time.

use std::time::{Duration, SystemTime};

use instant_acme::RenewalInfo;

use crate::clock::{from_unix, unix};
use crate::storage::{Renewal, Stored};
use crate::{Certificate, FailureKind};

/// How long to wait after failures in a row: doubled each time, up to a limit, and spread so that
/// many servers that fail together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer.
    pub most: Duration,
}

impl Default for Backoff {
    /// Five failed proofs of a name in an hour is what Let's Encrypt puts up with.
    fn default() -> Self {
        Self { first: Duration::from_secs(120), most: Duration::from_secs(6 * 3600) }
    }
}

impl Backoff {
    /// The wait after that many failures; `luck` from 0 to 1 spreads it from three quarters to five
    /// quarters. An authority that could not be reached, or had trouble of its own, counted nothing
    /// against us: sooner again there, as after a start before the network.
    pub(crate) fn delay(&self, failures: u32, kind: FailureKind, luck: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(30));
        let first = if kind.is_passing() { self.first / PASSING } else { self.first };
        first.saturating_mul(doubled).min(self.most).mul_f64(0.75 + luck.clamp(0.0, 1.0) / 2.0)
    }
}

/// The authority to ask after that many failures in a row: each gets `after` of them before the
/// next has its turn.
pub(crate) fn authority(failures: u32, after: u32, authorities: usize) -> usize {
    let turns = failures.checked_div(after).unwrap_or(0);
    usize::try_from(turns).unwrap_or(0).checked_rem(authorities).unwrap_or(0)
}

/// Failures to count after a failure. A rate limit is not worth more attempts there: the next
/// authority's turn comes.
pub(crate) fn failures_after(failures: u32, after: u32, move_on: bool) -> u32 {
    match move_on {
        true => (failures / after.max(1)).saturating_add(1).saturating_mul(after.max(1)),
        false => failures.saturating_add(1),
    }
}

/// When to renew: at the moment drawn from the authority's window, else with a third of the
/// lifetime left; but not right after issuing, whatever anybody suggests, so that a confused
/// authority or clock cannot make us order in a circle.
pub(crate) fn renew_at(certificate: &Certificate, stored: &Stored) -> SystemTime {
    let lifetime = certificate.not_after.duration_since(certificate.not_before).unwrap_or_default();
    let third = before(certificate.not_after, lifetime / 3);
    let latest = before(certificate.not_after, lifetime / 10);
    let suggested = stored.renewal.as_ref().and_then(|renewal| renewal.at).map(from_unix);
    let at = suggested.map_or(third, |suggested| suggested.min(latest));
    let soonest = from_unix(stored.issued).checked_add(SETTLE.min(lifetime / 3)).unwrap_or(at);
    at.max(soonest)
}

/// The moment a window is left to (RFC 9773 section 4.2): kept while the window stays, drawn anew
/// when it moves.
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
    // A window that ends before it starts says nothing (section 4.2: treat it as if there was
    // none).
    let drawn = (end > start)
        .then(|| from_unix(start) + Duration::from_secs(end - start).mul_f64(luck.clamp(0.0, 1.0)));
    let ask = now + retry_after.clamp(ASK_SOONEST, ASK_LATEST);
    Renewal { start, end, at: kept.or(drawn.map(unix)), ask: unix(ask) }
}

/// What to note when the authority could not be asked, or has nothing to say.
pub(crate) fn unplanned(previous: Option<&Renewal>, supported: bool, now: SystemTime) -> Renewal {
    let wait = if supported { ASK_AFTER_ERROR } else { ASK_LATEST };
    let ask = unix(now + wait);
    match previous {
        Some(previous) if supported => Renewal { ask, ..previous.clone() },
        _ => Renewal { start: 0, end: 0, at: None, ask },
    }
}

fn before(end: SystemTime, span: Duration) -> SystemTime {
    end.checked_sub(span).unwrap_or(end)
}

/// So much sooner than after a refusal.
const PASSING: u32 = 12;
/// A certificate rests this long before anything renews it.
const SETTLE: Duration = Duration::from_secs(3600);
/// RFC 9773 section 4.3.2: limits on both sides of what a server says.
const ASK_SOONEST: Duration = Duration::from_secs(60);
const ASK_LATEST: Duration = Duration::from_secs(24 * 3600);
const ASK_AFTER_ERROR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
