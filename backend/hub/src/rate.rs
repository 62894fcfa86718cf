//! Rate limit per account: a token bucket shared by all its connections in this hub.

use std::time::Duration;

use tokio::time::Instant;

/// Decision about one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Handle it.
    Pass,
    /// Reject it; a retry makes sense after this time.
    Refuse(Duration),
    /// Close the connection.
    Abuse,
}

/// Tokens flow in at a steady rate up to a burst. A rejected frame costs a token too, so a client
/// that does not slow down goes into debt.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
    burst: f64,
    per_second: f64,
    abuse: f64,
}

impl Bucket {
    pub(crate) fn new(burst: u32, per_second: u32, abuse: u32, now: Instant) -> Self {
        let (burst, per_second, abuse) =
            (f64::from(burst), f64::from(per_second.max(1)), f64::from(abuse));
        Self { tokens: burst, at: now, burst, per_second, abuse }
    }

    /// Takes one token.
    pub(crate) fn take(&mut self, now: Instant) -> Verdict {
        self.tokens = self.level(now) - 1.0;
        self.at = now;
        if self.tokens >= 0.0 {
            Verdict::Pass
        } else if self.tokens <= -self.abuse {
            self.tokens = -self.abuse;
            Verdict::Abuse
        } else {
            Verdict::Refuse(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
        }
    }

    /// True when the bucket is in the state of a new one.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.level(now) >= self.burst
    }

    /// The tokens at `now`.
    fn level(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + passed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_steady_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 2, 10, start);
        assert_eq!([0; 3].map(|_| bucket.take(start)), [Verdict::Pass; 3]);
        assert_eq!(bucket.take(start), Verdict::Refuse(Duration::from_secs(1)));
        assert_eq!(bucket.take(start + Duration::from_secs(1)), Verdict::Pass);
        assert!(!bucket.is_full(start + Duration::from_secs(2)));
        assert!(bucket.is_full(start + Duration::from_secs(3)));
    }

    #[test]
    fn a_client_that_does_not_slow_down_is_abusive_and_recovers_with_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, 1, 5, start);
        assert_eq!(bucket.take(start), Verdict::Pass);
        for _ in 0..4 {
            assert!(matches!(bucket.take(start), Verdict::Refuse(_)));
        }
        assert_eq!([0; 3].map(|_| bucket.take(start)), [Verdict::Abuse; 3]);
        assert_eq!(bucket.take(start + Duration::from_secs(6)), Verdict::Pass);
    }
}
