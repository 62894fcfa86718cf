//! A clock that runs with the system clock and can jump ahead.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gateway_acme::Clock;
use tokio::sync::watch;

pub(crate) struct JumpingClock(watch::Sender<Duration>);

impl Default for JumpingClock {
    fn default() -> Self {
        Self(watch::Sender::new(Duration::ZERO))
    }
}

impl JumpingClock {
    /// Advances the clock.
    pub(crate) fn jump_to(&self, at: SystemTime) {
        let ahead = at.duration_since(self.now()).expect("the clock only moves forward");
        self.0.send_modify(|offset| *offset += ahead);
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> SystemTime {
        SystemTime::now() + *self.0.borrow()
    }

    async fn sleep_until(&self, at: SystemTime) {
        let mut jumps = self.0.subscribe();
        while let Ok(left) = at.duration_since(self.now())
            && !left.is_zero()
        {
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = jumps.changed() => {}
            }
        }
    }
}
