//! Token buckets by client address: a general one, and one per route that wants it. The table is bounded.

use super::{Exchange, Refusal, nothing_here};
use crate::listener::network;
use gateway_config::RateLimit;
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

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

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

pub(super) fn check(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let Some(route) = &exchange.about.route else { return Err(nothing_here()) };
    let (limits, now) = (&exchange.snapshot.config().limits, exchange.started);
    let client = network(exchange.about.client);
    let table = &exchange.shared.rate_limits;
    let most = limits.rate_limit_addresses as usize;
    let general = table.take(Key { client, route: None }, &limits.rate_limit, most, now);
    let taken = general.and_then(|()| match &route.config.rate_limit {
        Some(limit) => table.take(Key { client, route: Some(route.config.name.as_str().into()) }, limit, most, now),
        None => Ok(()),
    });
    taken.map_err(|wait| {
        route.metrics.rate_limited.inc();
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        Refusal::new(429, "Too many requests from this address.").with("retry-after", format!("{seconds:.0}"))
    })
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl RateLimits {
    /// Takes a token, or says how long until there is one.
    fn take(&self, key: Key, limit: &RateLimit, most: usize, now: Instant) -> Result<(), Duration> {
        let shard = (self.hasher.hash_one(&key) as usize) % SHARDS;
        let Some(shard) = self.shards.get(shard) else { return Ok(()) };
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
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let seconds = (1.0 - bucket.tokens) / limit.per_second;
        Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60)))
    }
}

impl Bucket {
    fn refilled(&self, limit: &RateLimit, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + passed * limit.per_second).min(f64::from(limit.burst))
    }
}

/// Forgets clients whose bucket is full again, which changes nothing for them; if none is, the one quiet for longest.
fn make_room(buckets: &mut HashMap<Key, Bucket>, most: usize, limit: &RateLimit, now: Instant) {
    if buckets.len() < most {
        return;
    }
    buckets.retain(|_, bucket| bucket.refilled(limit, now) < f64::from(limit.burst));
    while buckets.len() >= most {
        // A look at a few is enough: an attacker with many addresses must not make each request walk the table.
        let oldest = buckets.iter().take(8).min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| key.clone());
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
        let take = |millis| table.take(key("192.0.2.1"), &LIMIT, 100, start + Duration::from_millis(millis)).is_ok();
        assert_eq!([take(0), take(0), take(0), take(0)], [true, true, true, false]);
        assert_eq!([take(499), take(501), take(502)], [false, true, false]);
        assert_eq!([take(10_000), take(10_000), take(10_000), take(10_000)], [true, true, true, false]);
        assert!(table.take(key("192.0.2.2"), &LIMIT, 100, start).is_ok(), "another client has its own");
    }

    #[test]
    fn it_says_how_long_to_wait() {
        let (table, start) = (RateLimits::default(), Instant::now());
        for _ in 0..3 {
            table.take(key("192.0.2.1"), &LIMIT, 100, start).expect("a token");
        }
        assert_eq!(table.take(key("192.0.2.1"), &LIMIT, 100, start), Err(Duration::from_millis(500)));
    }

    #[test]
    fn the_table_stays_bounded_under_many_addresses() {
        let (table, start) = (RateLimits::default(), Instant::now());
        for number in 0..10_000_u32 {
            let client = IpAddr::V4(number.into());
            table.take(Key { client, route: None }, &LIMIT, 160, start).expect("a token");
        }
        let kept: usize = table.shards.iter().map(|shard| shard.lock().expect("not poisoned").len()).sum();
        assert!(kept <= 160, "{kept}");
    }
}
