//! The clock, injected so that tests can advance it by months.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> SystemTime;

    /// Returns once `now()` is at or past `at`.
    async fn sleep_until(&self, at: SystemTime);
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Sleeps are split into pieces of this length, to notice a changed clock or a suspended machine.
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

/// Seconds since 1970, the unit of records. A time before 1970 counts as 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The inverse of [`unix`]. A time out of the system's range becomes the far future.
pub(crate) fn from_unix(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH + FAR)
}

/// Like [`from_unix`], for signed seconds; a time before 1970 counts as 1970.
pub(crate) fn from_timestamp(seconds: i64) -> SystemTime {
    from_unix(u64::try_from(seconds).unwrap_or(0))
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn display(time: SystemTime) -> String {
    i64::try_from(unix(time))
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "an unknown time".to_owned(), |stamp| stamp.to_string())
}

/// The end of the year 9999.
const FAR: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_records_and_are_readable() {
        assert_eq!(unix(from_unix(1_700_000_000)), 1_700_000_000);
        assert_eq!(display(from_unix(1_700_000_000)), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn absurd_times_are_the_far_future_and_do_not_panic() {
        assert!(from_unix(u64::MAX) > SystemTime::now());
    }
}
