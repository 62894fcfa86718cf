//! The health of a target: active checks, failed requests, ejection and slow start. Pure: the
//! caller passes the time.

use std::time::{Duration, Instant};

/// The health of one target.
#[derive(Debug)]
pub(super) struct Health {
    /// The result of active checks; initially true.
    healthy: bool,
    /// Consecutive checks that contradict `healthy`.
    disagreeing: u32,
    /// Consecutive failed requests.
    failures: u32,
    ejected_until: Option<Instant>,
    ejections: u32,
    back_since: Option<Instant>,
    slow_start: Duration,
}

/// Largest multiple of the configured duration for an ejection.
const LONGEST_EJECTION: u32 = 10;
/// Share of requests at the beginning of a slow start.
const FIRST_SHARE: f64 = 0.1;

impl Health {
    pub(super) fn new(slow_start: Duration) -> Self {
        Self {
            healthy: true,
            disagreeing: 0,
            failures: 0,
            ejected_until: None,
            ejections: 0,
            back_since: None,
            slow_start,
        }
    }

    /// Whether the target is healthy and not ejected.
    pub(super) fn is_available(&self, now: Instant) -> bool {
        self.healthy && !self.is_ejected(now)
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }

    /// Its share of requests: during a slow start it grows from [`FIRST_SHARE`] to 1.
    pub(super) fn share(&self, now: Instant) -> f64 {
        let since = self.ejected_until.into_iter().chain(self.back_since).max();
        match since {
            Some(since) if !self.slow_start.is_zero() => {
                let passed = now.saturating_duration_since(since).as_secs_f64()
                    / self.slow_start.as_secs_f64();
                passed.clamp(FIRST_SHARE, 1.0)
            }
            _ => 1.0,
        }
    }

    /// Records an active check; true when the target became healthy or unhealthy.
    pub(super) fn checked(
        &mut self,
        good: bool,
        healthy_after: u32,
        unhealthy_after: u32,
        now: Instant,
    ) -> bool {
        if good == self.healthy {
            self.disagreeing = 0;
            return false;
        }
        self.disagreeing += 1;
        if self.disagreeing < if good { healthy_after } else { unhealthy_after } {
            return false;
        }
        self.disagreeing = 0;
        self.healthy = good;
        if good {
            self.back_since = Some(now);
            self.failures = 0;
        }
        true
    }

    /// Records a successful request.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
        if self.ejected_until.is_none() {
            self.ejections = 0;
        }
    }

    /// Records a failed request; true after `enough` consecutive failures. 0 disables ejection.
    pub(super) fn failed(&mut self, enough: u32) -> bool {
        self.failures = self.failures.saturating_add(1);
        enough > 0 && self.failures >= enough
    }

    /// Ejects the target. Each consecutive ejection doubles the duration, up to
    /// [`LONGEST_EJECTION`].
    pub(super) fn eject(&mut self, now: Instant, duration: Duration) {
        if self.is_ejected(now) {
            return;
        }
        self.ejections = (self.ejections + 1).min(32);
        let times = 2_u32.saturating_pow(self.ejections - 1).min(LONGEST_EJECTION);
        self.failures = 0;
        self.ejected_until = Some(now + duration.saturating_mul(times));
    }

    /// Ends an ejection that has expired; true once per ejection.
    pub(super) fn take_return(&mut self, now: Instant) -> bool {
        if self.ejected_until.is_some_and(|until| until <= now) {
            self.back_since = self.ejected_until.take();
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_consecutive_checks_change_the_health() {
        let (mut health, now) = (Health::new(Duration::ZERO), Instant::now());
        assert!(!health.checked(false, 2, 3, now));
        assert!(!health.checked(false, 2, 3, now));
        assert!(!health.checked(true, 2, 3, now), "a passed check resets the count");
        assert!(!health.checked(false, 2, 3, now));
        assert!(!health.checked(false, 2, 3, now));
        assert!(health.is_available(now));
        assert!(health.checked(false, 2, 3, now));
        assert!(!health.is_available(now));
        assert!(!health.checked(true, 2, 3, now));
        assert!(health.checked(true, 2, 3, now));
        assert!(health.is_available(now));
    }

    #[test]
    fn consecutive_ejections_double_in_duration() {
        let (mut health, start) = (Health::new(Duration::ZERO), Instant::now());
        assert!(!health.failed(2));
        health.answered();
        assert!(!health.failed(2));
        assert!(health.failed(2));
        health.eject(start, SECOND);
        assert!(!health.is_available(start) && health.is_available(start + SECOND));
        assert!(health.take_return(start + SECOND) && !health.take_return(start + SECOND));
        health.eject(start, SECOND);
        assert!(health.is_ejected(start + SECOND) && !health.is_ejected(start + 2 * SECOND));
        for _ in 0..10 {
            let later = start + 100 * SECOND;
            health.take_return(later);
            health.eject(later, SECOND);
            assert!(!health.is_ejected(later + 10 * SECOND));
        }
        assert!(!Health::new(SECOND).failed(0), "zero means never");
    }

    #[test]
    fn a_target_that_becomes_healthy_starts_slowly() {
        let (mut health, now) = (Health::new(10 * SECOND), Instant::now());
        assert!((health.share(now) - 1.0).abs() < f64::EPSILON);
        health.checked(false, 1, 1, now);
        health.checked(true, 1, 1, now);
        assert!((health.share(now) - 0.1).abs() < 1e-9);
        assert!((health.share(now + 5 * SECOND) - 0.5).abs() < 1e-9);
        assert!((health.share(now + 20 * SECOND) - 1.0).abs() < 1e-9);
    }
}
