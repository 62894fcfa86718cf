//! Renewal information from the authority (RFC 9773).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gateway_acme::{Clock, DirectoryStorage};

use crate::support::eventually;
use crate::support::front::Front;
use crate::support::pebble::Pebble;
use crate::support::proxy::Proxy;
use crate::support::replica::{Replica, settings};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn the_suggested_window_is_followed_and_the_order_names_its_predecessor() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let proxy = Proxy::before(&pebble).await;
    let (start, end) = (SystemTime::now() + 10 * DAY, SystemTime::now() + 12 * DAY);
    proxy.suggest((start, end), 21_600);
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut replica = Replica::start(
        settings(&["a.example"], vec![pebble.authority_at(proxy.port)]),
        storage.clone(),
        &front,
    );
    let first = replica.certificate(|_| true).await;
    let inside = |at: SystemTime| at >= start - Duration::from_secs(1) && at <= end;
    let at = replica.status(|status| status.renew_at.is_some_and(inside)).await.renew_at.unwrap();
    assert_eq!(proxy.queries(), 1);

    // Another replica uses the same drawn moment and does not query again.
    let mut other = Replica::start(
        settings(&["a.example"], vec![pebble.authority_at(proxy.port)]),
        storage,
        &front,
    );
    assert_eq!(other.status(|status| status.renew_at.is_some()).await.renew_at, Some(at));
    assert_eq!(proxy.queries(), 1);
    other.stop().await;

    replica.clock.jump_to(at);
    let second = replica.certificate(|certificate| certificate.serial != first.serial).await;
    assert_ne!(second.serial, first.serial);
    let replaced = proxy.replaced();
    assert_eq!(replaced.len(), 1);
    assert!(replaced[0].contains('.'), "{replaced:?}");
    replica.stop().await;
}

#[tokio::test]
async fn the_window_is_queried_again_after_retry_after_and_an_earlier_one_is_followed() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let proxy = Proxy::before(&pebble).await;
    let now = SystemTime::now();
    proxy.suggest((now + 100 * DAY, now + 101 * DAY), 7200);
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut replica = Replica::start(
        settings(&["a.example"], vec![pebble.authority_at(proxy.port)]),
        storage,
        &front,
    );
    let first = replica.certificate(|_| true).await;
    replica
        .status(|status| {
            status.renew_at.is_some_and(|at| at > now + 99 * DAY && at < now + 102 * DAY)
        })
        .await;

    // As after a revocation: the window has passed.
    proxy.suggest((now - 2 * DAY, now - DAY), 7200);
    assert_eq!(proxy.queries(), 1);
    replica.clock.jump_to(replica.clock.now() + Duration::from_secs(7210));
    replica.certificate(|certificate| certificate.serial != first.serial).await;
    eventually(|| async { proxy.queries() >= 2 }).await;
    replica.stop().await;
}

#[tokio::test]
async fn without_renewal_information_a_certificate_is_renewed_with_a_third_of_its_lifetime_left() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let proxy = Proxy::before(&pebble).await;
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut replica = Replica::start(
        settings(&["a.example"], vec![pebble.authority_at(proxy.port)]),
        storage,
        &front,
    );
    let certificate = replica.certificate(|_| true).await;
    eventually(|| async { proxy.queries() == 1 }).await;
    let lifetime = certificate.not_after.duration_since(certificate.not_before).unwrap();
    let status = replica.status(|status| status.renew_at.is_some()).await;
    assert_eq!(status.renew_at, Some(certificate.not_after - lifetime / 3));
    assert_eq!(status.last_error, None, "missing renewal information is not a failure");
    replica.stop().await;
}
