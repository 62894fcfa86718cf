//! The first certificate.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gateway_acme::{ChallengeKind, DirectoryStorage, ExternalAccount, Settings, Source};
use tempfile::TempDir;

use crate::support::front::Front;
use crate::support::pebble::{Options, Pebble};
use crate::support::replica::{Replica, settings};

fn storage() -> (TempDir, Arc<DirectoryStorage>) {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::open(directory.path()).unwrap();
    (directory, Arc::new(storage))
}

fn by(kinds: &[ChallengeKind], settings: Settings) -> Settings {
    Settings { challenges: kinds.to_vec(), ..settings }
}

#[tokio::test]
async fn http_01_alone_proves_several_names() {
    let mut front = Front::closed();
    front.open_http().await;
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let names = ["a.example", "b.example", "c.example"];
    let mut replica = Replica::start(settings(&names, vec![pebble.authority()]), storage, &front);
    let certificate = replica.certificate(|_| true).await;
    assert_eq!(certificate.names, names);
    let status = replica.status(|status| status.source == Source::Ordered).await;
    assert_eq!(status.not_after, Some(certificate.not_after));
    assert_eq!(status.last_error, None);
    assert!(Arc::ptr_eq(replica.certificates.borrow().resolve("b.example").unwrap(), &certificate));
    replica.stop().await;
    assert_eq!(pebble.issued(), 1);
}

#[tokio::test]
async fn tls_alpn_01_alone_proves_names_and_an_address() {
    let mut front = Front::closed();
    front.open_tls().await;
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let settings = by(
        &[ChallengeKind::TlsAlpn01],
        settings(&["a.example", "b.example", "127.0.0.1"], vec![pebble.authority()]),
    );
    let mut replica = Replica::start(settings, storage, &front);
    let mut names = replica.certificate(|_| true).await.names.clone();
    names.sort();
    assert_eq!(names, ["127.0.0.1", "a.example", "b.example"]);
    replica.stop().await;
}

#[tokio::test]
async fn http_01_is_used_when_tls_alpn_01_fails() {
    let mut front = Front::closed();
    front.open_http().await;
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let kinds = [ChallengeKind::TlsAlpn01, ChallengeKind::Http01];
    let mut replica = Replica::start(
        by(&kinds, settings(&["a.example"], vec![pebble.authority()])),
        storage,
        &front,
    );
    replica.certificate(|_| true).await;
    assert_eq!(
        replica.status(|_| true).await.failures,
        0,
        "another kind of challenge is not a failure"
    );
    replica.stop().await;
}

#[tokio::test]
async fn tls_alpn_01_is_used_when_http_01_fails() {
    let mut front = Front::closed();
    front.open_tls().await;
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let kinds = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
    let mut replica = Replica::start(
        by(&kinds, settings(&["a.example"], vec![pebble.authority()])),
        storage,
        &front,
    );
    replica.certificate(|_| true).await;
    replica.stop().await;
}

#[tokio::test]
async fn a_restart_serves_the_stored_certificate_and_keeps_the_account() {
    let front = Front::open().await;
    let pebble = Pebble::start(&front).await;
    let (_directory, storage) = storage();
    let mut first =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage.clone(), &front);
    let serial = first.certificate(|_| true).await.serial.clone();
    first.stop().await;

    let mut second =
        Replica::start(settings(&["a.example"], vec![pebble.authority()]), storage.clone(), &front);
    assert_eq!(second.certificate(|_| true).await.serial, serial);
    assert_eq!(
        second.status(|status| status.source != Source::Missing).await.source,
        Source::Stored
    );
    second.stop().await;

    // Another name needs another certificate but no new account.
    let mut third =
        Replica::start(settings(&["b.example"], vec![pebble.authority()]), storage, &front);
    third.certificate(|_| true).await;
    third.stop().await;
    assert_eq!((pebble.issued(), pebble.logged("accounts in memory")), (2, 1));
}

#[tokio::test]
async fn an_account_is_bound_to_an_external_account_when_the_authority_requires_it() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let front = Front::open().await;
    let options = Options { external_account: Some(("kid-1", KEY)), ..Options::default() };
    let pebble = Pebble::with(&front, options).await;
    let mut authority = pebble.authority();
    authority.contacts = vec!["mailto:admin@example.org".to_owned()];
    authority.external_account = Some(ExternalAccount {
        key_id: "kid-1".to_owned(),
        hmac_key: BASE64_URL_SAFE_NO_PAD.decode(KEY).unwrap(),
    });
    let (_directory, storage) = storage();
    let mut replica = Replica::start(settings(&["a.example"], vec![authority]), storage, &front);
    replica.certificate(|_| true).await;
    replica.stop().await;
}
