//! One suite for every storage: what one promises, the other keeps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use gateway_acme::storage::{Item, Lock};
use gateway_acme::{DirectoryStorage, RedisAddress, RedisStorage, Storage, StorageError};

use crate::support::redis::{Cluster, Redis, SECRET, Sentinel, storage};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn items() -> [Item; 6] {
    let id = || "a.example-00".to_owned();
    [
        Item::Certificate(id()),
        Item::Attempts(id()),
        Item::Account("ab".to_owned()),
        Item::Http01("token_-1".to_owned()),
        Item::TlsAlpn01("a.example".to_owned()),
        Item::TicketKeys,
    ]
}

/// `one` and `other` are two replicas of the same storage.
async fn conforms(one: &dyn Storage, other: &dyn Storage) {
    let lock = Lock::Order("a.example-00".to_owned());

    // A lock is held by one, and told apart from other locks.
    let fence = one.lock(&lock, LONG).await.unwrap().expect("free");
    assert_eq!(other.lock(&lock, LONG).await.unwrap(), None);
    assert!(other.lock(&Lock::TicketKeys, LONG).await.unwrap().is_some());

    // What one writes, the other reads; every item has its own place.
    for (index, item) in items().iter().enumerate() {
        assert_eq!(other.read(item).await.unwrap(), None);
        one.write(item, &[index as u8, 0, 255], &fence).await.unwrap();
    }
    for (index, item) in items().iter().enumerate() {
        assert_eq!(other.read(item).await.unwrap().unwrap(), [index as u8, 0, 255]);
    }
    one.write(&items()[0], b"new", &fence).await.unwrap();
    assert_eq!(other.read(&items()[0]).await.unwrap().unwrap(), b"new");

    // Removed is gone, and may be removed again.
    one.remove(&items()[3], &fence).await.unwrap();
    one.remove(&items()[3], &fence).await.unwrap();
    assert_eq!(other.read(&items()[3]).await.unwrap(), None);

    // Once let go, the next one gets it, with a larger token, and the fence of the first is worth
    // nothing.
    one.unlock(&fence).await.unwrap();
    let next = other.lock(&lock, LONG).await.unwrap().expect("let go");
    assert!(next.token > fence.token);
    let fenced =
        |result: Result<(), StorageError>| matches!(result, Err(StorageError::Fenced { .. }));
    assert!(fenced(one.write(&items()[0], b"late", &fence).await));
    assert!(fenced(one.remove(&items()[0], &fence).await));
    assert!(fenced(one.extend(&fence, LONG).await));
    one.unlock(&fence).await.unwrap();
    assert_eq!(
        one.lock(&lock, LONG).await.unwrap(),
        None,
        "a late unlock frees nobody else's lock"
    );
    assert_eq!(other.read(&items()[0]).await.unwrap().unwrap(), b"new");
    other.unlock(&next).await.unwrap();

    // A lock that runs out is free; held on to, it does not run out.
    let short = one.lock(&lock, SHORT).await.unwrap().expect("free");
    one.extend(&short, LONG).await.unwrap();
    let witness = Lock::Account("ab".to_owned());
    one.lock(&witness, SHORT).await.unwrap().expect("free");
    take(other, &witness).await;
    assert_eq!(other.lock(&lock, SHORT).await.unwrap(), None, "so much time has passed");
    one.extend(&short, SHORT).await.unwrap();
    let taken = take(other, &lock).await;
    assert!(taken.token > short.token);
    assert!(fenced(one.write(&items()[0], b"late", &short).await));
}

/// Waits until the lock has run out.
async fn take(storage: &dyn Storage, lock: &Lock) -> gateway_acme::storage::Fence {
    let taken = async {
        loop {
            if let Some(fence) = storage.lock(lock, LONG).await.unwrap() {
                return fence;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, taken).await.expect("it runs out")
}

#[tokio::test]
async fn a_directory_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let open = || DirectoryStorage::open(directory.path()).unwrap();
    conforms(&open(), &open()).await;
}

#[tokio::test]
async fn redis_conforms() {
    let redis = Redis::start().await;
    conforms(&redis.storage(), &redis.storage()).await;
}

#[tokio::test]
async fn a_redis_cluster_conforms_and_keeps_all_in_one_slot() {
    let cluster = Cluster::start().await;
    conforms(&storage(&cluster.url()), &storage(&cluster.url())).await;
    let mut holders = 0;
    for node in &cluster.0 {
        holders += usize::from(node.ask(&["DBSIZE"]).await.unwrap() != redis::Value::Int(0));
    }
    assert_eq!(holders, 1, "a fence and what it guards are checked and written in one script");
}

#[tokio::test]
async fn redis_through_sentinel_conforms_and_follows_the_master_fences_included() {
    let sentinel = Sentinel::start().await;
    let (one, other) = (storage(&sentinel.url()), storage(&sentinel.url()));
    conforms(&one, &other).await;

    let lock = Lock::Order("b.example-00".to_owned());
    let fence = one.lock(&lock, LONG).await.unwrap().unwrap();
    one.write(&Item::TicketKeys, b"before", &fence).await.unwrap();
    sentinel.fail_over().await;
    assert_eq!(one.read(&Item::TicketKeys).await.unwrap().unwrap(), b"before");
    assert_eq!(other.lock(&lock, LONG).await.unwrap(), None, "the lock is still held");
    one.write(&Item::TicketKeys, b"after", &fence).await.unwrap();
    assert_eq!(other.read(&Item::TicketKeys).await.unwrap().unwrap(), b"after");
    one.unlock(&fence).await.unwrap();
    let next = other.lock(&lock, LONG).await.unwrap().unwrap();
    assert!(next.token > fence.token);
    let late = one.write(&Item::TicketKeys, b"late", &fence).await;
    assert!(matches!(late, Err(StorageError::Fenced { .. })));
}

#[tokio::test]
async fn redis_lets_in_by_password_and_is_trusted_by_its_own_authority_alone() {
    let redis = Redis::with(&["--requirepass", "word"]).await;
    let address =
        RedisAddress { password: Some("word".to_owned()), ..RedisAddress::new(redis.url()) };
    let storage = RedisStorage::new(&address, "test", SECRET).unwrap();
    assert_eq!(storage.read(&Item::TicketKeys).await.unwrap(), None);
    let refused = redis.storage().read(&Item::TicketKeys).await.unwrap_err().to_string();
    assert!(refused.contains("NOAUTH"), "{refused}");

    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (redis, authority) = Redis::with_tls().await;
    let address = RedisAddress::new(format!("rediss://localhost:{}", redis.port));
    let trusting = RedisAddress { authorities: Some(authority), ..address.clone() };
    let storage = RedisStorage::new(&trusting, "test", SECRET).unwrap();
    assert_eq!(storage.read(&Item::TicketKeys).await.unwrap(), None);
    let stranger = RedisStorage::new(&address, "test", SECRET).unwrap();
    let refused = stranger.read(&Item::TicketKeys).await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
}

#[tokio::test]
async fn only_the_owner_can_read_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("acme");
    let storage = DirectoryStorage::open(&root).unwrap();
    let fence = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
    storage.write(&Item::TicketKeys, b"secret", &fence).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for room in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!(mode(&room), 0o700, "{}", room.display());
        for file in fs::read_dir(&room).unwrap().map(|entry| entry.unwrap().path()) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_not_read_and_is_swept_away() {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::open(directory.path()).unwrap();
    let fence = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
    storage.write(&Item::TicketKeys, b"whole", &fence).await.unwrap();
    let half = directory.path().join("tickets/keys.4711.0.tmp");
    fs::write(&half, b"ha").unwrap();
    assert_eq!(storage.read(&Item::TicketKeys).await.unwrap().unwrap(), b"whole");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&half).unwrap().set_modified(long_ago).unwrap();
    let again = DirectoryStorage::open(directory.path()).unwrap();
    assert!(!half.exists());
    assert_eq!(again.read(&Item::TicketKeys).await.unwrap().unwrap(), b"whole");
}

#[tokio::test]
async fn redis_never_sees_a_secret_and_a_wrong_one_is_told_clearly() {
    let redis = Redis::start().await;
    let storage = redis.storage();
    let fence = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
    storage.write(&Item::TicketKeys, b"private key material", &fence).await.unwrap();

    let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let key = "{test:acme}:tickets/keys";
    let sealed: Vec<u8> = redis::Commands::get(&mut raw, key).unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"private"));

    let stranger = RedisStorage::new(
        &RedisAddress::new(redis.url()),
        "test",
        b"another secret of thirty-two bytes",
    )
    .unwrap();
    let error = stranger.read(&Item::TicketKeys).await.unwrap_err();
    assert!(matches!(error, StorageError::Sealed { .. }));
    assert!(error.to_string().contains("same storage secret"), "{error}");
    let short = RedisStorage::new(&RedisAddress::new(redis.url()), "test", b"short").unwrap_err();
    assert!(matches!(short, StorageError::ShortSecret { got: 5 }));

    // Moved to another place, a sealed value does not open even for its owner.
    let _: () = redis::Commands::set(&mut raw, "{test:acme}:accounts/ab", sealed).unwrap();
    assert!(matches!(
        storage.read(&Item::Account("ab".into())).await,
        Err(StorageError::Sealed { .. })
    ));
}

#[tokio::test]
async fn a_holder_from_before_redis_lost_everything_is_still_recognised() {
    let redis = Redis::start().await;
    let storage = redis.storage();
    let before = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
    let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut raw).unwrap();
    // Two holders later even two losses within one millisecond would show.
    for _ in 0..2 {
        let after = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
        storage.unlock(&after).await.unwrap();
    }
    let late = storage.write(&Item::TicketKeys, b"late", &before).await;
    assert!(matches!(late, Err(StorageError::Fenced { .. })));
}

#[tokio::test]
async fn a_storage_that_is_away_is_an_error_in_words_and_not_a_hang() {
    let url = format!("redis://127.0.0.1:{}", crate::support::free_port());
    let storage = RedisStorage::new(&RedisAddress::new(url), "test", SECRET).unwrap();
    let asked =
        tokio::time::timeout(crate::support::PATIENCE, storage.read(&Item::TicketKeys)).await;
    let error = asked.expect("a deadline").unwrap_err();
    assert!(error.to_string().contains("cannot read {test:acme}:tickets/keys"), "{error}");
}
