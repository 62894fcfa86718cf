//! Ticket keys over time.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls::server::ProducesTickets;

use super::*;
use crate::DirectoryStorage;

/// A clock that stands until it is set.
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

fn setup() -> (tempfile::TempDir, Arc<Standing>, impl Fn() -> TicketKeeper) {
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirectoryStorage::open(directory.path()).unwrap());
    let clock = Arc::new(Standing(AtomicU64::new(10_000)));
    let shared = clock.clone();
    (directory, clock, move || {
        TicketKeeper::new(SETTINGS, storage.clone(), shared.clone()).unwrap()
    })
}

#[tokio::test]
async fn what_one_replica_seals_another_opens() {
    let (_directory, _, keeper) = setup();
    let (one, other) = (keeper(), keeper());
    one.tend().await.unwrap();
    other.tend().await.unwrap();
    let ticket = one.ticketer().encrypt(b"session").unwrap();
    assert_eq!(other.ticketer().decrypt(&ticket).unwrap(), b"session");
}

#[tokio::test]
async fn before_storage_was_read_a_replica_seals_for_itself() {
    let (_directory, _, keeper) = setup();
    let (one, other) = (keeper(), keeper());
    let ticket = one.ticketer().encrypt(b"session").unwrap();
    assert_eq!(one.ticketer().decrypt(&ticket).unwrap(), b"session");
    assert_eq!(other.ticketer().decrypt(&ticket), None);
}

#[tokio::test]
async fn a_new_key_seals_only_after_everybody_could_learn_it() {
    let (_directory, clock, keeper) = setup();
    let (one, other) = (keeper(), keeper());
    one.tend().await.unwrap();
    other.tend().await.unwrap();
    let name = |keeper: &TicketKeeper| keeper.ticketer().encrypt(b"").unwrap()[..NAME_LEN].to_vec();
    let old = name(&one);
    clock.0.store(11_000, Ordering::Relaxed);
    one.tend().await.unwrap();
    assert_eq!(name(&one), old, "the other does not know the new key yet");
    clock.0.store(11_060, Ordering::Relaxed);
    assert_ne!(name(&one), old);
    other.tend().await.unwrap();
    assert_eq!(name(&one), name(&other));
}

#[tokio::test]
async fn old_keys_open_for_some_generations_and_then_are_gone() {
    let (_directory, clock, keeper) = setup();
    let keeper = keeper();
    keeper.tend().await.unwrap();
    let ticket = keeper.ticketer().encrypt(b"session").unwrap();
    let mut opened = 0;
    for turn in 1..=6 {
        clock.0.store(10_000 + turn * 1100, Ordering::Relaxed);
        keeper.tend().await.unwrap();
        opened += usize::from(keeper.ticketer().decrypt(&ticket).is_some());
    }
    // Its own turn as the next waits, and the generations after it.
    assert_eq!(opened, SETTINGS.generations);
}

#[tokio::test]
async fn nothing_from_outside_opens_or_panics() {
    let (_directory, _, keeper) = setup();
    let keeper = keeper();
    keeper.tend().await.unwrap();
    let ticketer = keeper.ticketer();
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
