//! Allowances per client network, for new accounts, links and guesses: a token bucket stored as one
//! number, the time until which it is spent (the generic cell rate algorithm, ITU-T I.371 annex A).

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::error::Result as StoreResult;

/// Milliseconds in an hour.
const HOUR: i64 = 60 * 60 * 1000;

/// Time until the next request is allowed.
pub type Wait = Duration;

/// A bucket's key and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// What is counted, and the client network: an address or an IPv6 /64. Stored only as a
    /// pseudonym.
    pub place: String,
    /// Burst; 0 counts as 1.
    pub burst: u32,
    /// Requests per hour in the long run; 0 counts as 1.
    pub per_hour: u32,
}

/// Allowances that are not part of another step.
#[async_trait]
pub trait Allowances: Send + Sync {
    /// Counts one request. Returns the time to wait when the allowance is used up.
    async fn spend(&self, allowance: &Allowance) -> StoreResult<Option<Wait>>;
}

impl Allowance {
    /// Milliseconds that one request spends.
    pub(crate) fn cost(&self) -> i64 {
        (HOUR / i64::from(self.per_hour.max(1))).max(1)
    }

    /// Milliseconds that may be spent ahead.
    pub(crate) fn capacity(&self) -> i64 {
        self.cost().saturating_mul(i64::from(self.burst.max(1)))
    }

    /// Until when the bucket is spent after one more request, or the time to wait for it.
    pub(crate) fn spend(&self, spent_until: i64, now: i64) -> Result<i64, Wait> {
        let next = spent_until.max(now).saturating_add(self.cost());
        let excess = next.saturating_sub(now).saturating_sub(self.capacity());
        if excess <= 0 { Ok(next) } else { Err(wait(excess)) }
    }
}

/// A wait in milliseconds.
pub(crate) fn wait(millis: i64) -> Wait {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A new secret for pseudonyms, in hexadecimal digits.
pub(crate) fn secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// A pseudonym for a network, meaningless without the secret.
pub(crate) fn pseudonym(secret: &str, place: &str) -> String {
    // The secret has a fixed length and the digest stays in the store, so a prefix is as good as an
    // HMAC.
    let digest = Sha256::new().chain_update(secret).chain_update(place).finalize();
    hex::encode(digest.get(..16).expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_in_each_interval() {
        let allowance = Allowance { place: "here".into(), burst: 3, per_hour: 60 };
        let mut spent = 0;
        for _ in 0..3 {
            spent = allowance.spend(spent, 1_000_000).unwrap();
        }
        assert_eq!(allowance.spend(spent, 1_000_000), Err(Duration::from_secs(60)));
        assert_eq!(allowance.spend(spent, 1_059_999), Err(Duration::from_millis(1)));
        spent = allowance.spend(spent, 1_060_000).unwrap();
        assert_eq!(allowance.spend(spent, 1_060_000), Err(Duration::from_secs(60)));
        assert!(allowance.spend(spent, i64::MAX / 2).is_ok(), "idle time refills it");
    }

    #[test]
    fn no_number_overflows() {
        for (burst, per_hour) in [(0, 0), (u32::MAX, 1), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            let allowance = Allowance { place: String::new(), burst, per_hour };
            let _ = allowance.spend(i64::MAX, i64::MAX);
            let _ = allowance.spend(i64::MIN, i64::MAX);
            assert!(allowance.spend(0, 0).is_ok());
        }
    }

    #[test]
    fn a_pseudonym_is_stable_and_does_not_show_the_network() {
        let (one, other) = (secret(), secret());
        assert_eq!(pseudonym(&one, "192.0.2.1"), pseudonym(&one, "192.0.2.1"));
        assert_ne!(pseudonym(&one, "192.0.2.1"), pseudonym(&one, "192.0.2.2"));
        assert_ne!(pseudonym(&one, "192.0.2.1"), pseudonym(&other, "192.0.2.1"));
        assert_eq!(pseudonym(&one, "192.0.2.1").len(), 32);
    }
}
