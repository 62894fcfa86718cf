//! Load balancing, retries, ejection and the circuit breaker.

use std::collections::HashMap;
use std::net::IpAddr;

use gateway_config::{CircuitBreaker, Ejection, Retries};

use super::*;
use crate::metrics::Metrics;

pub(super) fn config(targets: usize, balance: Balance) -> gateway_config::Upstream {
    let target =
        |number: usize| format!("127.0.0.1:{}", 10_000 + number).parse().expect("a target");
    gateway_config::Upstream {
        name: "test".parse().expect("a name"),
        targets: (0..targets).map(target).collect(),
        balance,
        connect_timeout: Duration::from_secs(1),
        keepalive_connections: 1,
        keepalive_timeout: Duration::from_secs(1),
        health_check: None,
        retries: Retries { per_request: 1, budget_percent: 20 },
        ejection: Ejection {
            consecutive_failures: 2,
            duration: Duration::from_secs(60),
            max_percent: 50,
        },
        circuit_breaker: CircuitBreaker { max_requests: 2, max_websockets: 1 },
        slow_start: Duration::ZERO,
    }
}

fn start(targets: usize, balance: Balance) -> Arc<Upstream> {
    Upstream::start(&config(targets, balance), Metrics::new().upstream("test"))
}

const CLIENT: Key<'_> = Key::Client(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

async fn label(upstream: &Arc<Upstream>, key: Key<'_>) -> String {
    upstream.pick(key, &[]).await.expect("a target").target().label.clone()
}

#[tokio::test]
async fn the_less_loaded_target_is_preferred() {
    let upstream = start(2, Balance::LeastRequest);
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(upstream.pick(CLIENT, &[]).await.expect("a target"));
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for attempt in &open {
        *counts.entry(&attempt.target().label).or_default() += 1;
    }
    assert_eq!(
        counts.into_values().collect::<Vec<_>>(),
        [10, 10],
        "with two targets, both are compared each time"
    );
}

#[tokio::test]
async fn removing_a_target_moves_only_its_own_keys() {
    let balance = Balance::Rendezvous { cookie: "c".into() };
    let (three, two) = (start(3, balance.clone()), start(2, balance));
    let (mut moved, mut spread) = (0, HashMap::<String, usize>::new());
    for number in 0..300 {
        let value = number.to_string();
        let key = Key::Cookie(value.as_bytes());
        let (before, after) = (label(&three, key).await, label(&two, key).await);
        assert_eq!(before, label(&three, key).await);
        if before != after {
            assert_eq!(before, "127.0.0.1:10002", "only keys of the removed target may move");
            moved += 1;
        }
        *spread.entry(before).or_default() += 1;
    }
    assert!((70..130).contains(&moved), "{moved}");
    assert!(spread.values().all(|count| (70..130).contains(count)), "{spread:?}");
}

#[tokio::test]
async fn at_most_the_configured_share_is_ejected() {
    let upstream = start(2, Balance::LeastRequest);
    let targets = upstream.targets.load_full();
    for target in targets.iter() {
        for _ in 0..5 {
            upstream.note(target, Outcome::Failed("connect"));
        }
    }
    let out = targets.iter().filter(|target| target.health().is_ejected(Instant::now())).count();
    assert_eq!(out, 1);
}

#[tokio::test]
async fn when_no_target_is_healthy_all_are_tried() {
    let upstream = start(1, Balance::LeastRequest);
    upstream
        .targets
        .load()
        .iter()
        .for_each(|target| target.health().eject(Instant::now(), Duration::from_secs(60)));
    let first = upstream.pick(CLIENT, &[]).await.expect("a target");
    let tried = [Arc::clone(first.target())];
    assert_eq!(upstream.pick(CLIENT, &tried).await.err(), Some(Unavailable::NoTarget));
}

#[tokio::test]
async fn the_circuit_breaker_counts_requests_and_websockets_separately() {
    let upstream = start(1, Balance::LeastRequest);
    let open = [upstream.admit(false).ok(), upstream.admit(false).ok(), upstream.admit(true).ok()];
    assert!(open.iter().all(Option::is_some));
    assert_eq!(upstream.admit(false).err(), Some(Unavailable::Full));
    assert_eq!(upstream.admit(true).err(), Some(Unavailable::Full));
    drop(open);
    assert!(upstream.admit(false).is_ok() && upstream.admit(true).is_ok());
}

#[tokio::test]
async fn retries_end_with_the_request_limit() {
    let upstream = start(2, Balance::LeastRequest);
    assert!(upstream.take_retry(1) && !upstream.take_retry(2));
}
