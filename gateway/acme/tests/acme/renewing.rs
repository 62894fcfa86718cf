//! Renewal of certificates.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gateway_acme::{ChallengeKind, DirectoryStorage, Settings, Source};

use crate::support::clock::JumpingClock;
use crate::support::eventually;
use crate::support::front::Front;
use crate::support::pebble::Pebble;
use crate::support::replica::{Replica, settings};

const HOUR: Duration = Duration::from_secs(3600);

fn about(one: SystemTime, other: SystemTime) -> bool {
    one.max(other).duration_since(one.min(other)).unwrap() < Duration::from_secs(10)
}

#[tokio::test]
async fn with_a_third_of_its_lifetime_left_a_certificate_is_renewed_and_not_before() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut replica =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage, &front);
    let first = replica.certificate(|_| true).await;
    let lifetime = first.not_after.duration_since(first.not_before).unwrap();
    let due = first.not_before + lifetime * 2 / 3;
    let planned = replica.status(|status| status.renew_at.is_some()).await.renew_at.unwrap();
    assert!(about(planned, due), "planned for {planned:?}, due {due:?}");

    // Each step first decides whether to renew. Once a day it also queries the authority and
    // records that: so a changed record after a jump proves that a step ran and did not renew.
    let record = || {
        let entry = std::fs::read_dir(directory.path().join("certificates"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        std::fs::read_to_string(entry.path()).unwrap_or_default()
    };
    eventually(|| async { record().contains(r#""ask":"#) }).await;
    let before = record();
    replica.clock.jump_to(planned - HOUR);
    replica.prompt.check_now();
    eventually(|| async { record().contains(r#""ask":"#) && record() != before }).await;
    assert_eq!(pebble.issued(), 1);

    replica.clock.jump_to(planned);
    let second = replica.certificate(|certificate| certificate.serial != first.serial).await;
    assert!(second.not_after >= first.not_after);
    // The clock of the authority is now behind ours: it must not get one order after the other.
    let again = replica
        .status(|status| status.renew_at.is_some_and(|at| at > planned))
        .await
        .renew_at
        .unwrap();
    assert!(again >= planned + HOUR - Duration::from_secs(10), "{again:?}");
    replica.stop().await;
    assert_eq!(pebble.issued(), 2);
}

#[tokio::test]
async fn a_certificate_that_expired_while_no_replica_ran_is_replaced() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut first =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage.clone(), &front);
    let old = first.certificate(|_| true).await;
    first.stop().await;

    // Ten seconds before the old one expires: the new one, issued by a clock that did not jump, is
    // still valid.
    let clock = Arc::new(JumpingClock::default());
    clock.jump_to(old.not_after - Duration::from_secs(10));
    let mut second = Replica::start_at(
        settings(&["a.example"], vec![pebble.authority()]),
        storage,
        &front,
        clock,
    );
    let new = second.certificate(|certificate| certificate.serial != old.serial).await;
    assert_ne!(new.serial, old.serial);
    assert_eq!(second.status(|status| status.source == Source::Ordered).await.failures, 0);
    second.stop().await;
}

#[tokio::test]
async fn a_damaged_stored_certificate_is_replaced_and_not_served() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let mut first =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage.clone(), &front);
    let old = first.certificate(|_| true).await;
    first.stop().await;
    let stored = std::fs::read_dir(directory.path().join("certificates"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text =
        std::fs::read_to_string(&stored).unwrap().replacen("BEGIN PRIVATE KEY", "BEGIN NOTHING", 1);
    std::fs::write(&stored, text).unwrap();

    let mut second =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage, &front);
    assert_ne!(second.certificate(|_| true).await.serial, old.serial);
    second.stop().await;
}

#[tokio::test]
async fn the_challenge_that_succeeded_last_is_tried_first() {
    let mut front = Front::closed();
    front.open_http().await;
    let pebble = Pebble::start(&front).await;
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let kinds = vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01];
    let settings =
        Settings { challenges: kinds, ..settings(&["a.example"], vec![pebble.authority()]) };
    let mut replica = Replica::start(settings, storage, &front);
    let first = replica.certificate(|_| true).await;
    // Not the number of orders: one that ends with rejected nonces is repeated.
    let failed = || pebble.logged("set INVALID by completed challenge");
    assert_eq!(failed(), 1, "tls-alpn-01 failed before http-01 succeeded");
    let due = replica.status(|status| status.renew_at.is_some()).await.renew_at.unwrap();
    replica.clock.jump_to(due);
    replica.certificate(|certificate| certificate.serial != first.serial).await;
    assert_eq!(failed(), 1, "http-01 was tried first");
    replica.stop().await;
}
