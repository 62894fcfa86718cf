//! Retry policy.

use std::time::Duration;

use super::failure::{Failure, FailureKind};
use crate::settings::ProviderSettings;

/// The pause before the next attempt; `None` when a retry makes no sense.
pub(super) fn pause(
    failure: &Failure,
    attempt: u32,
    settings: &ProviderSettings,
) -> Option<Duration> {
    let worth_it = matches!(failure.kind, FailureKind::RateLimited | FailureKind::Unavailable);
    if !worth_it || attempt >= settings.retries {
        return None;
    }
    match failure.retry_after {
        Some(after) => (after <= settings.longest_pause).then_some(after),
        None => {
            let longest =
                settings.backoff.saturating_mul(1 << attempt.min(8)).min(settings.longest_pause);
            Some(longest.mul_f64(rand::random_range(0.0..=1.0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind, retry_after: Option<Duration>) -> Failure {
        Failure { kind, reason: String::new(), retry_after }
    }

    #[test]
    fn retries_only_temporary_failures() {
        let settings = ProviderSettings::default();
        for kind in [FailureKind::RateLimited, FailureKind::Unavailable] {
            assert!(pause(&failure(kind, None), 0, &settings).is_some());
            assert!(pause(&failure(kind, None), settings.retries, &settings).is_none());
        }
        for kind in
            [FailureKind::QuotaExhausted, FailureKind::ContentFiltered, FailureKind::Misconfigured]
        {
            assert!(pause(&failure(kind, None), 0, &settings).is_none());
        }
    }

    #[test]
    fn obeys_retry_after_unless_it_is_too_long() {
        let settings = ProviderSettings::default();
        let after = |seconds| failure(FailureKind::RateLimited, Some(Duration::from_secs(seconds)));
        assert_eq!(pause(&after(2), 0, &settings), Some(Duration::from_secs(2)));
        assert_eq!(pause(&after(3600), 0, &settings), None);
    }

    #[test]
    fn the_pause_never_exceeds_the_doubled_backoff() {
        let settings = ProviderSettings::default();
        let longest = settings.backoff * 4;
        for _ in 0..100 {
            let pause = pause(&failure(FailureKind::Unavailable, None), 2, &settings).unwrap();
            assert!(pause <= longest, "{pause:?}");
        }
    }
}
