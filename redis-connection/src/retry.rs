//! Backoff between attempts, and one failed connect attempt shared by all that waited for it.

use std::time::{Duration, Instant};

use crate::error::Error;

/// Pauses that double up to a limit, with jitter: each is between half of its length and all of it.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Begins with `first`; never longer than `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first.min(longest), longest }
    }

    /// The length of the next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next.mul_f32(0.5 + fastrand::f32() / 2.0);
        self.next = self.next.saturating_mul(2).min(self.longest);
        pause
    }
}

/// The last failed attempt to connect. Callers that waited while it was made fail with it instead
/// of making an attempt each.
#[derive(Debug, Default)]
pub struct LastFailure(Option<(Instant, Error)>);

impl LastFailure {
    /// The failure, when it happened at or after `began`.
    pub fn since(&self, began: Instant) -> Option<Error> {
        self.0.as_ref().filter(|(when, _)| *when >= began).map(|(_, error)| error.clone())
    }

    /// Records a failure of this moment.
    pub fn record(&mut self, error: Error) {
        self.0 = Some((Instant::now(), error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_with_jitter() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for full in [100, 200, 350, 350] {
            let pause = backoff.next_pause().as_millis();
            assert!((full / 2..=full).contains(&pause), "{pause} ms of {full} ms");
        }
    }

    #[test]
    fn a_failure_is_shared_only_with_callers_that_waited_for_it() {
        let mut last = LastFailure::default();
        let before = Instant::now();
        assert_eq!(last.since(before), None);
        let error = Error::Unavailable("connection refused".into());
        last.record(error.clone());
        assert_eq!(last.since(before), Some(error));
        let after = Instant::now() + Duration::from_millis(1);
        assert_eq!(last.since(after), None);
    }
}
