//! Several replicas with one Redis: one orders, all serve, and any may crash.

use std::sync::Arc;
use std::time::Duration;

use gateway_acme::{ChallengeKind, Maintainer, Settings, Source, SystemClock};

use crate::support::eventually;
use crate::support::front::Front;
use crate::support::pebble::Pebble;
use crate::support::redis::Redis;
use crate::support::replica::{Replica, settings};

#[tokio::test]
async fn of_three_replicas_exactly_one_orders_and_all_serve_the_same() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let redis = Redis::start().await;
    let start = || {
        let settings = settings(&["a.example", "b.example"], vec![pebble.authority()]);
        Replica::start(settings, Arc::new(redis.storage()), &front)
    };
    // The front uses them in rotation: most responses come from replicas that do not order.
    let mut replicas = [start(), start(), start()];
    let mut serials = Vec::new();
    let mut ordered = 0;
    for replica in &mut replicas {
        serials.push(replica.certificate(|_| true).await.serial.clone());
        let status = replica.status(|status| status.source != Source::Missing).await;
        ordered += usize::from(status.source == Source::Ordered);
    }
    assert!(serials.iter().all(|serial| *serial == serials[0]), "{serials:?}");
    assert_eq!(ordered, 1);
    for replica in replicas {
        replica.stop().await;
    }
    assert_eq!((pebble.issued(), pebble.logged("accounts in memory")), (1, 1));
}

#[tokio::test]
async fn a_replica_that_does_not_order_responds_to_both_kinds_of_challenge() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let redis = Redis::start().await;
    for (name, kind) in
        [("a.example", ChallengeKind::Http01), ("b.example", ChallengeKind::TlsAlpn01)]
    {
        let settings =
            Settings { challenges: vec![kind], ..settings(&[name], vec![pebble.authority()]) };
        // Pebble connects to the front of a replica that never runs. The front of the replica that
        // orders is closed.
        let idle =
            Maintainer::new(settings.clone(), Arc::new(redis.storage()), Arc::new(SystemClock))
                .unwrap();
        front.answer_only_with(idle.challenges());
        let mut ordering = Replica::start(settings, Arc::new(redis.storage()), &Front::closed());
        assert_eq!(ordering.certificate(|_| true).await.names, [name]);
        ordering.stop().await;
        assert_eq!(idle.challenges().http01("../not-a-token").await, None);
        assert!(idle.challenges().tls_alpn01("elsewhere.example").await.is_none());
    }
}

#[tokio::test]
async fn when_the_ordering_replica_crashes_another_orders() {
    let mut front = Front::closed();
    let pebble = Pebble::start(&front).await;
    let redis = Redis::start().await;
    let start = |front: &Front| {
        let slow = Settings {
            lock_ttl: Duration::from_millis(1500),
            ..settings(&["a.example"], vec![pebble.authority()])
        };
        Replica::start(slow, Arc::new(redis.storage()), front)
    };
    let first = start(&front);
    // During the order: the challenge is published and the lock is held.
    let published = || {
        let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*challenges*").query(&mut raw).unwrap();
        async move { !keys.is_empty() }
    };
    eventually(published).await;
    first.crash().await;

    let mut second = start(&front);
    front.open_http().await;
    second.certificate(|_| true).await;
    assert_eq!(
        second.status(|status| status.source != Source::Missing).await.source,
        Source::Ordered
    );
    second.stop().await;
    assert_eq!(pebble.issued(), 1);
}

#[tokio::test]
async fn a_shutdown_during_an_order_releases_the_lock_at_once() {
    let mut front = Front::closed();
    let pebble = Pebble::start(&front).await;
    let redis = Redis::start().await;
    let start = |front: &Front| {
        let long = Settings {
            lock_ttl: Duration::from_secs(600),
            ..settings(&["a.example"], vec![pebble.authority()])
        };
        Replica::start(long, Arc::new(redis.storage()), front)
    };
    let first = start(&front);
    let locked = || {
        let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*locks/order*").query(&mut raw).unwrap();
        async move { keys.iter().any(|key| !key.ends_with(".token")) }
    };
    eventually(locked).await;
    first.stop().await;

    // Long before the ten minutes of the lock.
    front.open_http().await;
    let mut second = start(&front);
    second.certificate(|_| true).await;
    second.stop().await;
}

#[tokio::test]
async fn a_certificate_that_redis_lost_is_restored_and_not_ordered_again() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let redis = Redis::start().await;
    let settings = settings(&["a.example"], vec![pebble.authority()]);
    let mut replica = Replica::start(settings.clone(), Arc::new(redis.storage()), &front);
    let serial = replica.certificate(|_| true).await.serial.clone();
    let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut raw).unwrap();
    eventually(|| {
        let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*certificates/*").query(&mut raw).unwrap();
        async move { keys.len() == 1 }
    })
    .await;
    let mut other = Replica::start(settings, Arc::new(redis.storage()), &front);
    assert_eq!(other.certificate(|_| true).await.serial, serial);
    other.stop().await;
    replica.stop().await;
    assert_eq!(pebble.issued(), 1);
}

#[tokio::test]
async fn while_redis_is_down_the_certificate_is_served_and_the_status_shows_the_failure() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let mut redis = Redis::start().await;
    let mut replica = Replica::start(
        settings(&["a.example"], vec![pebble.authority()]),
        Arc::new(redis.storage()),
        &front,
    );
    let serial = replica.certificate(|_| true).await.serial.clone();
    redis.down();
    let status = replica.status(|status| status.last_error.is_some()).await;
    let failure = status.last_error.unwrap();
    assert_eq!(failure.kind, gateway_acme::FailureKind::Storage, "{failure}");
    assert_eq!(replica.certificates.borrow().resolve("a.example").unwrap().serial, serial);

    redis.up().await;
    replica.status(|status| status.last_error.is_none() && status.next_attempt.is_none()).await;
    replica.stop().await;
    assert_eq!(pebble.issued(), 1);
}
