//! All timers of a connection, behind one sleep.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The deadlines of one connection; the earliest wakes it.
pub(crate) struct Timers {
    /// Deadline for `hello`.
    pub(crate) hello: Option<Instant>,
    /// The next ping is due.
    pub(crate) ping: Instant,
    /// Deadline for the pong.
    pub(crate) pong: Option<Instant>,
    /// Poll the inbox.
    pub(crate) poll: Option<Instant>,
    /// Renew presence.
    pub(crate) refresh: Option<Instant>,
    /// Check the credential.
    pub(crate) credential: Option<Instant>,
    /// Leave, because the hub drains.
    pub(crate) leave: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Timers {
    /// The timers of a new connection, which has to send hello.
    pub(crate) fn new(hello: Duration, ping: Duration) -> Self {
        let now = Instant::now();
        let (hello, ping) = (now + hello, now + ping);
        Self {
            hello: Some(hello),
            ping,
            pong: None,
            poll: None,
            refresh: None,
            credential: None,
            leave: None,
            sleep: Box::pin(sleep_until(hello)),
        }
    }

    /// Extends the deadlines of the peer.
    pub(crate) fn extend(&mut self, by: Duration) {
        for deadline in [&mut self.hello, &mut self.pong].into_iter().flatten() {
            *deadline += by;
        }
    }

    /// Waits for the earliest of these and `others`.
    pub(crate) async fn wait(&mut self, others: [Option<Instant>; 2]) {
        let mine = [self.hello, self.pong, self.poll, self.refresh, self.credential, self.leave];
        let earliest = mine
            .into_iter()
            .chain(others)
            .flatten()
            .min()
            .map_or(self.ping, |at| at.min(self.ping));
        if self.sleep.deadline() != earliest || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(earliest);
        }
        self.sleep.as_mut().await;
    }
}

/// True when `deadline` is set and has passed.
pub(crate) fn due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|at| at <= now)
}

/// A random duration between two thirds of `interval` and all of it, so that connections opened
/// together do not act together.
pub(crate) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.667..=1.0))
}
