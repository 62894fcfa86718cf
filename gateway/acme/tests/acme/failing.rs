//! Failures are reported, followed by backoff, and never remove a certificate.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gateway_acme::{Authority, Backoff, DirectoryStorage, FailureKind, Settings, Source};
use tempfile::TempDir;

use crate::support::free_port;
use crate::support::front::Front;
use crate::support::pebble::{Options, Pebble};
use crate::support::proxy::Proxy;
use crate::support::replica::{Replica, settings};

fn storage() -> (TempDir, Arc<DirectoryStorage>) {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::open(directory.path()).unwrap();
    (directory, Arc::new(storage))
}

#[tokio::test]
async fn while_the_directory_is_down_the_old_certificate_is_served_and_then_it_recovers() {
    let front = Front::open().await;
    let mut pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let mut replica =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage, &front);
    let old = replica.certificate(|_| true).await;
    let due = replica.status(|status| status.renew_at.is_some()).await.renew_at.unwrap();

    pebble.down();
    replica.clock.jump_to(due);
    let status = replica.status(|status| status.failures >= 2).await;
    let failure = status.last_error.unwrap();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.text.contains("outgoing HTTPS"), "{failure}");
    assert!(status.next_attempt.is_some() && status.not_after == Some(old.not_after));
    assert_eq!(replica.certificates.borrow().resolve("a.example").unwrap().serial, old.serial);

    // It restarts without our account, like an authority that was rebuilt.
    pebble.up().await;
    replica.certificate(|certificate| certificate.serial != old.serial).await;
    let status = replica.status(|status| status.last_error.is_none()).await;
    assert_eq!((status.failures, status.next_attempt), (0, None));
    replica.stop().await;
}

#[tokio::test]
async fn after_the_configured_number_of_failures_the_second_directory_is_used() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let dead = Authority {
        roots: Some(vec![pebble.root.clone()]),
        ..Authority::new(format!("https://localhost:{}/dir", free_port()))
    };
    let settings =
        Settings { fallback_after: 2, ..settings(&["a.example"], vec![dead, pebble.authority()]) };
    let mut replica = Replica::start(settings, storage, &front);
    replica.status(|status| status.failures == 1).await;
    replica.certificate(|_| true).await;
    let status = replica.status(|status| status.source == Source::Ordered).await;
    assert_eq!(status.authority.as_deref(), Some(&*format!("localhost:{}", pebble.port)));
    replica.stop().await;
}

#[tokio::test]
async fn a_name_that_does_not_lead_here_is_reported() {
    let front = Front::closed();
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let mut replica =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage, &front);
    let failure = replica.status(|status| status.last_error.is_some()).await.last_error.unwrap();
    assert!(
        matches!(failure.kind, FailureKind::Connection | FailureKind::Unauthorized),
        "{failure:?}"
    );
    assert!(
        failure.text.contains("a.example by http-01") && failure.text.contains("connect"),
        "{failure}"
    );
    replica.stop().await;
}

#[tokio::test]
async fn a_name_that_the_authority_rejects_is_reported() {
    let front = Front::open().await;
    let pebble =
        Pebble::with(&front, Options { blocked: vec!["b.example"], ..Options::default() }).await;
    let (_directory, storage) = storage();
    let mut replica = Replica::start(
        settings(&["a.example", "b.example"], vec![pebble.authority()]),
        storage,
        &front,
    );
    let failure = replica.status(|status| status.last_error.is_some()).await.last_error.unwrap();
    assert_eq!(failure.kind, FailureKind::Rejected, "{failure}");
    assert!(failure.text.contains("b.example"), "{failure}");
    replica.stop().await;
}

#[tokio::test]
async fn a_rate_limit_delays_the_next_attempt_even_across_a_restart() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let proxy = Proxy::before(&pebble).await;
    proxy.limit_orders(Some(7200));
    let (_directory, storage) = storage();
    let authorities = vec![pebble.authority_at(proxy.port)];
    let mut replica =
        Replica::start(settings(&["a.example"], authorities.clone()), storage.clone(), &front);
    let status = replica.status(|status| status.last_error.is_some()).await;
    let failure = status.last_error.unwrap();
    assert_eq!(failure.kind, FailureKind::RateLimited, "{failure}");
    let next = status.next_attempt.unwrap();
    assert!(next > SystemTime::now() + Duration::from_secs(7000), "{next:?}");
    replica.stop().await;

    proxy.limit_orders(None);
    let mut replica = Replica::start(settings(&["a.example"], authorities), storage, &front);
    let status = replica.status(|status| status.last_error.is_some()).await;
    assert_eq!(
        (status.failures, pebble.issued()),
        (1, 0),
        "the stored backoff applies, and no request is sent"
    );
    replica.clock.jump_to(next + Duration::from_secs(2));
    replica.certificate(|_| true).await;
    replica.stop().await;
}

#[tokio::test]
async fn a_caa_refusal_is_reported_with_advice() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let proxy = Proxy::before(&pebble).await;
    proxy.refuse_orders(Some(("caa", "CAA record for a.example prevents issuance")));
    let (_directory, storage) = storage();
    let mut replica = Replica::start(
        settings(&["a.example"], vec![pebble.authority_at(proxy.port)]),
        storage,
        &front,
    );
    let failure = replica.status(|status| status.last_error.is_some()).await.last_error.unwrap();
    assert_eq!(failure.kind.as_str(), "caa", "{failure}");
    assert!(failure.text.contains("CAA record for a.example prevents issuance"), "{failure}");
    assert!(failure.text.contains("change them or the authority"), "{failure}");
    proxy.refuse_orders(None);
    replica.certificate(|_| true).await;
    replica.stop().await;
}

#[tokio::test]
async fn an_order_requests_the_profile_and_one_that_is_not_offered_is_reported() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let proxy = Proxy::before(&pebble).await;
    proxy.offer_profiles(&["shortlived"]);
    let with_profile = |profile: &str| Authority {
        profile: Some(profile.to_owned()),
        ..pebble.authority_at(proxy.port)
    };
    let (_directory, store) = storage();
    let mut replica =
        Replica::start(settings(&["a.example"], vec![with_profile("shortlived")]), store, &front);
    replica.certificate(|_| true).await;
    replica.stop().await;
    assert_eq!(proxy.chosen(), ["shortlived"]);

    let (_directory, store) = storage();
    let mut replica =
        Replica::start(settings(&["b.example"], vec![with_profile("shortlifed")]), store, &front);
    let failure = replica.status(|status| status.last_error.is_some()).await.last_error.unwrap();
    assert_eq!(failure.kind, FailureKind::Profile, "{failure}");
    assert!(failure.text.contains("no profile is named \"shortlifed\""), "{failure}");
    replica.stop().await;
}

#[tokio::test]
async fn waits_between_failures_double() {
    let front = Front::closed();
    let authority = Authority {
        roots: Some(Vec::new()),
        ..Authority::new(format!("https://localhost:{}/dir", free_port()))
    };
    let (_directory, storage) = storage();
    // An unreachable authority: a twelfth of these waits.
    let backoff = Backoff { first: Duration::from_secs(1200), most: Duration::from_secs(10_000) };
    let settings = Settings { backoff, ..settings(&["a.example"], vec![authority]) };
    let mut replica = Replica::start(settings, storage, &front);
    let mut waits = Vec::new();
    for failures in 1..=4 {
        let next = replica.status(|status| status.failures == failures).await.next_attempt.unwrap();
        use gateway_acme::Clock;
        waits.push(next.duration_since(replica.clock.now()).unwrap().as_secs());
        replica.clock.jump_to(next + Duration::from_secs(1));
    }
    for (wait, doubled) in waits.iter().zip([100, 200, 400, 800]) {
        assert!((doubled * 3 / 4 - 5..=doubled * 5 / 4).contains(wait), "{waits:?}");
    }
    replica.stop().await;
}
