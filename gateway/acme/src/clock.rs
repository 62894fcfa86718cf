//! The clock, injected so that a test can let three months pass.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;

    /// Returns once `now()` is at or past `at`.
    async fn sleep_until(&self, at: SystemTime);
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A sleep is cut into pieces, so that a clock set by hand or a suspended machine is noticed.
const LONGEST_NAP: Duration = Duration::from_secs(60);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn sleep_until(&self, at: SystemTime) {
        while let Ok(left) = at.duration_since(self.now()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_NAP)).await;
        }
    }
}

/// Seconds since 1970, as records keep time; a time before 1970 is taken as 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The inverse of [`unix`]; beyond what the machine can tell, the far future.
pub(crate) fn from_unix(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH + FAR)
}

/// A time for people: RFC 3339 in UTC, to the second.
pub(crate) fn display(time: SystemTime) -> String {
    i64::try_from(unix(time))
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "an unknown time".to_owned(), |stamp| stamp.to_string())
}

/// Some 8,000 years: the end of what four-digit years can say.
const FAR: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_records_and_read_well() {
        assert_eq!(unix(from_unix(1_700_000_000)), 1_700_000_000);
        assert_eq!(display(from_unix(1_700_000_000)), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn absurd_times_are_the_far_future_and_do_not_panic() {
        assert!(from_unix(u64::MAX) > SystemTime::now());
    }
}
