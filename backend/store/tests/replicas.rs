//! Redis with replicas: a write is acknowledged after `wait_replicas` of them have it.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/redis_server.rs"]
#[expect(dead_code, reason = "other suites use the rest")]
mod redis_server;
#[path = "support/bed.rs"]
#[expect(dead_code, reason = "the conformance suite uses the rest")]
mod support;

use std::sync::Arc;

use backend_protocol::id::AccountId;
use backend_store::accounts::{Accounts, CredentialHash};
use backend_store::identities::{Append, Identities};
use backend_store::mailboxes::Mailboxes;
use backend_store::redis::{RedisSettings, RedisStore};
use backend_store::{Retention, StoreError};

use redis_server::RedisServer;
use support::{account, delivery, eventually};

async fn master_and_replica() -> (RedisServer, RedisServer) {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    master.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let url = master.settings().url;
    let (_, port) = url.rsplit_once(':').unwrap();
    replica.ask(&["REPLICAOF", "127.0.0.1", port]).await;
    eventually("the replica follows", async || {
        master.ask(&["INFO", "replication"]).await.contains("state=online")
    })
    .await;
    (master, replica)
}

async fn connect(server: &RedisServer, wait_replicas: u32) -> RedisStore {
    let settings = RedisSettings { wait_replicas, ..server.settings() };
    RedisStore::connect(settings, Retention::default()).await.unwrap()
}

async fn two_people(store: &RedisStore) -> (AccountId, AccountId) {
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &CredentialHash([1; 32])).await.unwrap();
    store.create_account(&bob, &CredentialHash([2; 32])).await.unwrap();
    (ada, bob)
}

/// How many `WAIT` the server has run.
async fn waits(server: &RedisServer) -> u32 {
    let stats = server.ask(&["INFO", "commandstats"]).await;
    let (_, calls) = stats.split_once("cmdstat_wait:calls=").unwrap();
    calls.split_once(',').unwrap().0.parse().unwrap()
}

fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
}

fn is_unacknowledged<T: std::fmt::Debug>(outcome: Result<T, StoreError>, expected: &str) {
    match outcome {
        Err(StoreError::Unavailable { reason, .. }) if reason.contains(expected) => {}
        other => panic!("expected Unavailable with `{expected}`, got {other:?}"),
    }
}

#[tokio::test]
async fn a_delivery_waits_for_the_replica_and_its_retry_doubles_nothing() {
    let (master, replica) = master_and_replica().await;
    let store = Arc::new(connect(&master, 1).await);
    let (ada, bob) = two_people(&store).await;
    store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    assert!(
        replica.keys().await.contains(&"{c:ada.bob}:log".to_owned()),
        "the replica has what was acknowledged"
    );

    store.put_identity(&ada, &support::identity("a", 1, None)).await.unwrap();

    replica.pause();
    let many = (0..16).map(|n| {
        let (store, ada, bob) = (store.clone(), ada.clone(), bob.clone());
        tokio::spawn(async move { store.deliver(&delivery(&ada, &bob, &format!("p{n}"))).await })
    });
    for each in futures::future::join_all(many).await {
        is_unavailable(each.unwrap());
    }
    assert!(waits(&master).await < 16, "writers share rounds");
    is_unacknowledged(store.deliver(&delivery(&ada, &bob, "p0")).await, "0 of 1 replicas");
    let entry = support::entry("x");
    is_unacknowledged(store.append_entry(&ada, 2, &entry).await, "0 of 1 replicas");
    // Another node has another connection, and has nothing to write: the entry is there.
    let other_node = connect(&master, 1).await;
    is_unacknowledged(other_node.append_entry(&ada, 2, &entry).await, "0 of 1 replicas");
    is_unacknowledged(other_node.deliver(&delivery(&ada, &bob, "p0")).await, "0 of 1 replicas");
    store.inbox(&bob, 0, 100).await.expect("reads do not wait");

    replica.go_on();
    for n in 0..16 {
        let delivery = delivery(&ada, &bob, &format!("p{n}"));
        eventually("the retry succeeds", async || store.deliver(&delivery).await.is_ok()).await;
    }
    assert_eq!(store.inbox(&bob, 0, 100).await.unwrap().events.len(), 17, "each once");
    assert_eq!(other_node.append_entry(&ada, 2, &entry).await.unwrap(), Append::Unchanged);
}

#[tokio::test]
async fn more_replicas_than_there_are_is_an_error_and_none_is_the_default() {
    let (master, replica) = master_and_replica().await;
    let store = connect(&master, 2).await;
    let (ada, bob) = two_people(&store).await;
    is_unacknowledged(store.deliver(&delivery(&ada, &bob, "m1")).await, "1 of 2 replicas");
    replica.pause();
    let store = connect(&master, RedisSettings::default().wait_replicas).await;
    store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    replica.go_on();
}

#[tokio::test]
async fn a_cluster_is_refused() {
    let url = "redis-cluster://127.0.0.1:1".to_owned();
    let settings = RedisSettings { url, wait_replicas: 1, ..RedisSettings::default() };
    let refused = RedisStore::connect(settings, Retention::default()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Setup(_)), "{refused:?}");
    assert!(refused.to_string().contains("REDIS_WAIT_REPLICAS"), "{refused}");
}

#[tokio::test]
async fn a_redis_that_forbids_config_is_used() {
    let server = RedisServer::start();
    server.ask(&["ACL", "SETUSER", "default", "-config"]).await;
    let store = connect(&server, 0).await;
    two_people(&store).await;
}
