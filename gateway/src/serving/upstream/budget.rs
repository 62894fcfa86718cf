//! The retry budget: retries as a share of requests. Enough for a lost connection, too few to
//! double the load of a failing service.

use std::sync::atomic::{AtomicI64, Ordering};

/// One retry, in hundredths.
const RETRY: i64 = 100;
/// Initial and largest balance: retries that are available with little traffic.
const RESERVE: i64 = 10 * RETRY;

/// Requests deposit, retries withdraw.
#[derive(Debug)]
pub(super) struct RetryBudget {
    percent: i64,
    hundredths: AtomicI64,
}

impl RetryBudget {
    pub(super) fn new(percent: u32) -> Self {
        let reserve = if percent == 0 { 0 } else { RESERVE };
        Self { percent: percent.into(), hundredths: AtomicI64::new(reserve) }
    }

    /// Adds the share of one request.
    pub(super) fn deposit(&self) {
        if self.hundredths.load(Ordering::Relaxed) < RESERVE {
            self.hundredths.fetch_add(self.percent, Ordering::Relaxed);
        }
    }

    /// Takes one retry; false when the budget has none left.
    pub(super) fn withdraw(&self) -> bool {
        let taken = self.hundredths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left >= RETRY).then(|| left - RETRY)
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_stay_a_share_of_requests() {
        let budget = RetryBudget::new(20);
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            retries += u32::from(budget.withdraw());
        }
        assert!((200..=210).contains(&retries), "{retries}");
        assert!(!RetryBudget::new(0).withdraw());
    }
}
