//! Token buckets by client address: a general one, and one per route that wants it. The table is
//! bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gateway_config::{Limits, RateLimit};

use crate::serving::answer::Answer;
use crate::serving::network::client_network;

/// Shards, so that cores seldom wait for each other.
const SHARDS: usize = 16;

/// What clients have left. Outlives reloads.
pub(crate) struct RateLimits {
    hasher: RandomState,
    shards: [Mutex<HashMap<Key, Bucket>>; SHARDS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: IpAddr,
    /// `None`: the general limit.
    route: Option<Arc<str>>,
}

impl Key {
    fn general(client: IpAddr) -> Self {
        Self { client: client_network(client), route: None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What a request costs, in tokens.
const REQUEST: f64 = 1.0;
/// What a file costs: it comes from memory, and a page is made of many.
const FILE: f64 = 0.1;
/// Sums of tenths are not exact.
const ROUNDING: f64 = 1e-6;

/// A client has no tokens left; more in this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(Duration);

/// The detail of an answer with 429.
pub(crate) const TOO_MANY: &str = "Too many requests from this address.";

impl TooMany {
    /// The value of `Retry-After`, in seconds.
    pub(crate) fn retry_after(self) -> String {
        format!("{:.0}", self.0.as_secs_f64().ceil().max(1.0))
    }

    /// The answer to a request that goes no further.
    pub(crate) fn answer(self) -> Answer {
        Answer::plain(429, TOO_MANY).with("retry-after", &self.retry_after())
    }
}

fn most(limits: &Limits) -> usize {
    usize::try_from(limits.rate_limit_addresses).unwrap_or(usize::MAX)
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl RateLimits {
    /// Counts a request for the general limit.
    pub(crate) fn count(
        &self,
        client: IpAddr,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), TooMany> {
        self.take(Key::general(client), &limits.rate_limit, REQUEST, most(limits), now)
    }

    /// Counts a file of a site for the general limit.
    pub(crate) fn count_file(
        &self,
        client: IpAddr,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), TooMany> {
        self.take(Key::general(client), &limits.rate_limit, FILE, most(limits), now)
    }

    /// Counts a request for the limit of its route.
    pub(crate) fn count_route(
        &self,
        client: IpAddr,
        route: &str,
        limit: &RateLimit,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), TooMany> {
        let key = Key { route: Some(route.into()), ..Key::general(client) };
        self.take(key, limit, REQUEST, most(limits), now)
    }

    /// Takes tokens, or returns how long until there are enough.
    fn take(
        &self,
        key: Key,
        limit: &RateLimit,
        cost: f64,
        most: usize,
        now: Instant,
    ) -> Result<(), TooMany> {
        let index = (self.hasher.hash_one(&key) as usize) % SHARDS;
        let shard = self.shards.get(index).expect("the index is below the number of shards");
        let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = match buckets.get_mut(&key) {
            Some(bucket) => bucket,
            None => {
                make_room(&mut buckets, (most / SHARDS).max(1), limit, now);
                buckets.entry(key).or_insert(Bucket { tokens: f64::from(limit.burst), at: now })
            }
        };
        bucket.tokens = bucket.refilled(limit, now);
        bucket.at = now;
        if bucket.tokens + ROUNDING >= cost {
            bucket.tokens -= cost;
            return Ok(());
        }
        let seconds = (cost - bucket.tokens) / limit.per_second;
        Err(TooMany(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60))))
    }
}

impl Bucket {
    fn refilled(&self, limit: &RateLimit, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + passed * limit.per_second).min(f64::from(limit.burst))
    }
}

/// Forgets clients whose bucket is full again, which changes nothing for them; if none is, the one
/// quiet for longest.
fn make_room(buckets: &mut HashMap<Key, Bucket>, most: usize, limit: &RateLimit, now: Instant) {
    if buckets.len() < most {
        return;
    }
    buckets.retain(|_, bucket| bucket.refilled(limit, now) < f64::from(limit.burst));
    while buckets.len() >= most {
        // Checking a few is enough: an attacker with many addresses must not make each request
        // walk the table.
        let oldest =
            buckets.iter().take(8).min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| key.clone());
        match oldest {
            Some(key) => buckets.remove(&key),
            None => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { per_second: 2.0, burst: 3 };

    fn key(text: &str) -> Key {
        Key { client: text.parse().expect("an address"), route: None }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (table, start) = (RateLimits::default(), Instant::now());
        let take = |millis| {
            table
                .take(key("192.0.2.1"), &LIMIT, REQUEST, 100, start + Duration::from_millis(millis))
                .is_ok()
        };
        assert_eq!([take(0), take(0), take(0), take(0)], [true, true, true, false]);
        assert_eq!([take(499), take(501), take(502)], [false, true, false]);
        assert_eq!(
            [take(10_000), take(10_000), take(10_000), take(10_000)],
            [true, true, true, false]
        );
        assert!(
            table.take(key("192.0.2.2"), &LIMIT, REQUEST, 100, start).is_ok(),
            "another client has its own"
        );
    }

    #[test]
    fn ten_files_cost_as_much_as_one_request() {
        let (table, start) = (RateLimits::default(), Instant::now());
        let take = |cost| table.take(key("192.0.2.1"), &LIMIT, cost, 100, start).is_ok();
        assert!((0..29).all(|_| take(FILE)), "2.9 of 3");
        assert_eq!([take(REQUEST), take(FILE), take(FILE)], [false, true, false]);
    }

    #[test]
    fn it_says_how_long_to_wait() {
        let (table, start) = (RateLimits::default(), Instant::now());
        for _ in 0..3 {
            table.take(key("192.0.2.1"), &LIMIT, REQUEST, 100, start).expect("a token");
        }
        assert_eq!(
            table.take(key("192.0.2.1"), &LIMIT, REQUEST, 100, start),
            Err(TooMany(Duration::from_millis(500)))
        );
    }

    #[test]
    fn the_table_stays_bounded_under_many_addresses() {
        let (table, start) = (RateLimits::default(), Instant::now());
        for number in 0..10_000_u32 {
            let client = IpAddr::V4(number.into());
            table.take(Key { client, route: None }, &LIMIT, REQUEST, 160, start).expect("a token");
        }
        let kept: usize =
            table.shards.iter().map(|shard| shard.lock().expect("not poisoned").len()).sum();
        assert!(kept <= 160, "{kept}");
    }
}
