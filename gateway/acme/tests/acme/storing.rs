//! One conformance suite for every storage.

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

    // One replica holds a lock; other locks are independent.
    let fence = one.lock(&lock, LONG).await.unwrap().expect("free");
    assert_eq!(other.lock(&lock, LONG).await.unwrap(), None);
    assert!(other.lock(&Lock::TicketKeys, LONG).await.unwrap().is_some());

    // One replica writes, the other reads; every item has its own key.
    for (index, item) in items().iter().enumerate() {
        assert_eq!(other.read(item).await.unwrap(), None);
        one.write(item, &[index as u8, 0, 255], &fence).await.unwrap();
    }
    for (index, item) in items().iter().enumerate() {
        assert_eq!(other.read(item).await.unwrap().unwrap(), [index as u8, 0, 255]);
    }
    one.write(&items()[0], b"new", &fence).await.unwrap();
    assert_eq!(other.read(&items()[0]).await.unwrap().unwrap(), b"new");

    // A removed item is gone and may be removed again.
    one.remove(&items()[3], &fence).await.unwrap();
    one.remove(&items()[3], &fence).await.unwrap();
    assert_eq!(other.read(&items()[3]).await.unwrap(), None);

    // After release, the next holder gets a larger token, and the first fence is invalid.
    one.unlock(&fence).await.unwrap();
    let next = other.lock(&lock, LONG).await.unwrap().expect("released");
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
        "a late unlock does not release the lock of another holder"
    );
    assert_eq!(other.read(&items()[0]).await.unwrap().unwrap(), b"new");
    other.unlock(&next).await.unwrap();

    // An expired lock is free; an extended one is not.
    let short = one.lock(&lock, SHORT).await.unwrap().expect("free");
    one.extend(&short, LONG).await.unwrap();
    let witness = Lock::Account("ab".to_owned());
    one.lock(&witness, SHORT).await.unwrap().expect("free");
    take(other, &witness).await;
    assert_eq!(
        other.lock(&lock, SHORT).await.unwrap(),
        None,
        "the extended lock outlives the short one"
    );
    one.extend(&short, SHORT).await.unwrap();
    let taken = take(other, &lock).await;
    assert!(taken.token > short.token);
    assert!(fenced(one.write(&items()[0], b"late", &short).await));
}

/// Waits until the lock has expired.
async fn take(storage: &dyn Storage, lock: &Lock) -> gateway_acme::storage::Fence {
    let taken = async {
        loop {
            if let Some(fence) = storage.lock(lock, LONG).await.unwrap() {
                return fence;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, taken).await.expect("it expires")
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
        holders += usize::from(node.send(&["DBSIZE"]).await.unwrap() != redis::Value::Int(0));
    }
    assert_eq!(holders, 1, "one script checks a fence and writes the guarded item");
}

#[tokio::test]
async fn redis_with_sentinel_conforms_and_keeps_locks_and_fences_across_a_failover() {
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
async fn redis_is_used_with_a_password_and_over_tls_with_its_own_authority() {
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
    for folder in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn an_incomplete_file_of_a_crash_is_ignored_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::open(directory.path()).unwrap();
    let fence = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
    storage.write(&Item::TicketKeys, b"whole", &fence).await.unwrap();
    let incomplete = directory.path().join("tickets/keys.4711.0.tmp");
    fs::write(&incomplete, b"ha").unwrap();
    assert_eq!(storage.read(&Item::TicketKeys).await.unwrap().unwrap(), b"whole");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&incomplete).unwrap().set_modified(long_ago).unwrap();
    let again = DirectoryStorage::open(directory.path()).unwrap();
    assert!(!incomplete.exists());
    assert_eq!(again.read(&Item::TicketKeys).await.unwrap().unwrap(), b"whole");
}

#[tokio::test]
async fn redis_holds_only_sealed_values_and_a_wrong_secret_is_reported() {
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

    // A sealed value does not open under another key.
    let _: () = redis::Commands::set(&mut raw, "{test:acme}:accounts/ab", sealed).unwrap();
    assert!(matches!(
        storage.read(&Item::Account("ab".into())).await,
        Err(StorageError::Sealed { .. })
    ));
}

#[tokio::test]
async fn a_late_holder_is_detected_even_after_redis_lost_its_data() {
    let redis = Redis::start().await;
    let storage = redis.storage();
    let before = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
    let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut raw).unwrap();
    // Two holders, so that a second loss within one millisecond would be detected as well.
    for _ in 0..2 {
        let after = storage.lock(&Lock::TicketKeys, LONG).await.unwrap().unwrap();
        storage.unlock(&after).await.unwrap();
    }
    let late = storage.write(&Item::TicketKeys, b"late", &before).await;
    assert!(matches!(late, Err(StorageError::Fenced { .. })));
}

#[tokio::test]
async fn an_unreachable_redis_is_an_error_and_not_a_hang() {
    let url = format!("redis://127.0.0.1:{}", crate::support::free_port());
    let storage = RedisStorage::new(&RedisAddress::new(url), "test", SECRET).unwrap();
    let read =
        tokio::time::timeout(crate::support::PATIENCE, storage.read(&Item::TicketKeys)).await;
    let error = read.expect("a read has a deadline").unwrap_err();
    assert!(error.to_string().contains("cannot read {test:acme}:tickets/keys"), "{error}");
}
