//! Rotation of ticket keys.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls::server::ProducesTickets;

use super::*;
use crate::storage::DirectoryStorage;

/// A clock that changes only when it is set.
struct Standing(AtomicU64);

#[async_trait::async_trait]
impl Clock for Standing {
    fn now(&self) -> SystemTime {
        from_unix(self.0.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, _at: SystemTime) {
        std::future::pending().await
    }
}

const SETTINGS: TicketSettings = TicketSettings {
    rotate: Duration::from_secs(1000),
    generations: 3,
    poll: Duration::from_secs(30),
};

fn setup() -> (tempfile::TempDir, Arc<Standing>, impl Fn() -> TicketMaintainer) {
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let clock = Arc::new(Standing(AtomicU64::new(10_000)));
    let shared = clock.clone();
    (directory, clock, move || {
        TicketMaintainer::new(SETTINGS, storage.clone(), shared.clone()).unwrap()
    })
}

#[tokio::test]
async fn another_replica_opens_a_sealed_ticket() {
    let (_directory, _, maintainer) = setup();
    let (one, other) = (maintainer(), maintainer());
    one.refresh().await.unwrap();
    other.refresh().await.unwrap();
    let ticket = one.ticketer().encrypt(b"session").unwrap();
    assert_eq!(other.ticketer().decrypt(&ticket).unwrap(), b"session");
}

#[tokio::test]
async fn before_storage_is_read_only_the_same_replica_opens_a_ticket() {
    let (_directory, _, maintainer) = setup();
    let (one, other) = (maintainer(), maintainer());
    let ticket = one.ticketer().encrypt(b"session").unwrap();
    assert_eq!(one.ticketer().decrypt(&ticket).unwrap(), b"session");
    assert_eq!(other.ticketer().decrypt(&ticket), None);
}

#[tokio::test]
async fn a_new_key_encrypts_only_after_every_replica_could_read_it() {
    let (_directory, clock, maintainer) = setup();
    let (one, other) = (maintainer(), maintainer());
    one.refresh().await.unwrap();
    other.refresh().await.unwrap();
    let name = |maintainer: &TicketMaintainer| {
        maintainer.ticketer().encrypt(b"").unwrap()[..NAME_LEN].to_vec()
    };
    let old = name(&one);
    clock.0.store(11_000, Ordering::Relaxed);
    one.refresh().await.unwrap();
    assert_eq!(name(&one), old, "the other replica has not read the new key");
    clock.0.store(11_060, Ordering::Relaxed);
    assert_ne!(name(&one), old);
    other.refresh().await.unwrap();
    assert_eq!(name(&one), name(&other));
}

#[tokio::test]
async fn old_keys_decrypt_for_the_configured_generations() {
    let (_directory, clock, maintainer) = setup();
    let maintainer = maintainer();
    maintainer.refresh().await.unwrap();
    let ticket = maintainer.ticketer().encrypt(b"session").unwrap();
    let mut opened = 0;
    for rotation in 1..=6 {
        clock.0.store(10_000 + rotation * 1100, Ordering::Relaxed);
        maintainer.refresh().await.unwrap();
        opened += usize::from(maintainer.ticketer().decrypt(&ticket).is_some());
    }
    // Its own generation while the next key waits, and the generations after it.
    assert_eq!(opened, SETTINGS.generations);
}

#[tokio::test]
async fn a_malformed_ticket_does_not_open_and_does_not_panic() {
    let (_directory, _, maintainer) = setup();
    let maintainer = maintainer();
    maintainer.refresh().await.unwrap();
    let ticketer = maintainer.ticketer();
    let ticket = ticketer.encrypt(b"session").unwrap();
    for length in 0..ticket.len() {
        assert_eq!(ticketer.decrypt(&ticket[..length]), None);
    }
    for index in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[index] ^= 1;
        assert_eq!(ticketer.decrypt(&changed), None);
    }
    assert!(ticketer.lifetime() <= 7 * 24 * 3600);
}
