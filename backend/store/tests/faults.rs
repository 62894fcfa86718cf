//! Redis dies, hangs, comes back, loses data and holds invalid data: the store returns errors,
//! never hangs, never panics, and recovers.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "support/bed.rs"]
#[expect(dead_code, reason = "the conformance suite uses the rest")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConversationId};
use backend_protocol::live::InboxEvent;
use backend_store::accounts::{Accounts, CredentialHash, DeviceChange, NewAccount};
use backend_store::allowance::Allowance;
use backend_store::broker::{Broker, Topic};
use backend_store::identities::Identities;
use backend_store::links::{Approval, LinkClaim, LinkCode, Links, NewApproval, Party, TokenHash};
use backend_store::mailboxes::{Delivery, Mailboxes};
use backend_store::presence::Presence;
use backend_store::redis::{RedisSettings, RedisStore};
use backend_store::runs::Runs;
use backend_store::sessions::Sessions;
use backend_store::{Retention, Store, StoreError};

use redis_server::{RedisServer, Sentinel};
use support::{
    account, connection, delivery, delta, eventually, exchange, new_run, run, session, username,
    woken,
};

/// Deadline for a call while Redis is unavailable.
const PATIENCE: Duration = Duration::from_secs(40);

async fn connect(server: &RedisServer) -> RedisStore {
    RedisStore::connect(server.settings(), Retention::default()).await.unwrap()
}

async fn two_people(store: &RedisStore) -> (AccountId, AccountId) {
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &CredentialHash([1; 32])).await.unwrap();
    store.create_account(&bob, &CredentialHash([2; 32])).await.unwrap();
    (ada, bob)
}

fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    match outcome {
        Err(StoreError::Unavailable { retry_after, .. }) => assert!(retry_after > Duration::ZERO),
        other => panic!("expected Unavailable, got {other:?}"),
    }
}

fn is_corrupt<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Corrupt { .. })),
        "expected Corrupt, got {outcome:?}"
    );
}

const TOKEN: TokenHash = TokenHash([1; 32]);

/// A link bound to the account.
async fn link_of(store: &RedisStore, who: &AccountId) -> LinkCode {
    let code = support::code("00000001");
    store.open_link(&code, &TOKEN).await.unwrap();
    store.post_to_link(&code, &Party::Old(who.clone()), "offer").await.unwrap();
    code
}

fn approval(who: &AccountId) -> NewApproval {
    let (account, device) = (who.clone(), support::device("tablet"));
    NewApproval { account, device, version: 2, entry: support::entry("tablet") }
}

#[tokio::test]
async fn calls_fail_while_redis_is_down_and_work_after_its_restart() {
    let mut server = RedisServer::start();
    let store = Arc::new(connect(&server).await);
    let (ada, bob) = two_people(&store).await;
    let mut wake = store.subscribe(&Topic::Inbox(bob.clone())).await.unwrap();
    store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    woken(&mut wake).await;

    server.kill();
    let start = Instant::now();
    let many = (0..32).map(|n| {
        let (store, ada, bob) = (store.clone(), ada.clone(), bob.clone());
        tokio::spawn(
            async move { store.deliver(&delivery(&ada, &bob, &format!("lost-{n}"))).await },
        )
    });
    for each in futures::future::join_all(many).await {
        is_unavailable(each.unwrap());
    }
    is_unavailable(store.probe().await);
    is_unavailable(store.subscribe(&Topic::Inbox(ada.clone())).await);
    is_unavailable(store.online(std::slice::from_ref(&ada)).await);
    let link = support::code("00000001");
    is_unavailable(store.put_identity(&ada, &support::identity("a", 1, None)).await);
    is_unavailable(store.append_entry(&ada, 2, &support::entry("x")).await);
    is_unavailable(store.approve_link(&link, &approval(&ada)).await);
    is_unavailable(store.claim_link(&link, &TOKEN, &CredentialHash([5; 32])).await);
    assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());

    server.restart();
    eventually("the store is ready again", async || store.probe().await.is_ok()).await;
    let (ada, bob) = two_people(&store).await;
    assert_eq!(
        store.deliver(&delivery(&ada, &bob, "m2")).await.unwrap().unwrap().seq,
        1,
        "Redis lost everything"
    );
    woken(&mut wake).await;
    let inbox = store.inbox(&bob, 0, 10).await.unwrap();
    assert_eq!((inbox.events.len(), inbox.head), (1, 1));
    // The subscription was made before the crash and renewed after it.
    while wake.try_recv().is_ok() {}
    store.append_event(&bob, &InboxEvent::KeyChange { account: ada }).await.unwrap();
    woken(&mut wake).await;
}

#[tokio::test]
async fn calls_to_a_hanging_redis_time_out() {
    let server = RedisServer::start();
    let store = Arc::new(connect(&server).await);
    let (ada, bob) = two_people(&store).await;
    server.pause();
    let start = Instant::now();
    let many = (0..8).map(|n| {
        let (store, ada, bob) = (store.clone(), ada.clone(), bob.clone());
        tokio::spawn(async move { store.deliver(&delivery(&ada, &bob, &format!("m{n}"))).await })
    });
    for each in futures::future::join_all(many).await {
        is_unavailable(each.unwrap());
    }
    is_unavailable(store.account(&ada).await);
    assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
    server.go_on();
    eventually("the store is ready again", async || store.probe().await.is_ok()).await;
    for n in 0..8 {
        store.deliver(&delivery(&ada, &bob, &format!("m{n}"))).await.unwrap().unwrap();
    }
    assert_eq!(
        store.inbox(&bob, 0, 100).await.unwrap().events.len(),
        8,
        "each once, despite retries"
    );
}

#[tokio::test]
async fn an_interrupted_delivery_is_completed_by_its_retry_or_by_the_next_one() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, bob) = two_people(&store).await;
    let cut_short = async || {
        // Simulates a node that died after writing to the conversation and before writing to his
        // inbox.
        server
            .ask(&["DEL", "{u:bob}:inbox", "{u:bob}:counters", "{u:bob}:conversation:ada.bob"])
            .await;
    };
    let first = store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap();
    cut_short().await;
    assert_eq!(store.inbox(&bob, 0, 10).await.unwrap().head, 0);
    assert_eq!(store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap(), first);
    let cids = async |who: &AccountId| {
        let events = store.inbox(who, 0, 100).await.unwrap().events.into_iter();
        let cid = |(_, event)| match event {
            InboxEvent::Message(message) => message.cid.to_string(),
            other => panic!("{other:?}"),
        };
        events.map(cid).collect::<Vec<_>>()
    };
    assert_eq!(cids(&bob).await, ["m1"]);
    cut_short().await;
    store.deliver(&delivery(&ada, &bob, "m2")).await.unwrap().unwrap();
    assert_eq!(cids(&bob).await, ["m1", "m2"], "the next delivery completes the missing one");
    assert_eq!(cids(&ada).await, ["m1", "m2"]);
}

#[tokio::test]
async fn a_conversation_lost_by_redis_restarts_and_still_arrives() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, bob) = two_people(&store).await;
    for cid in ["m1", "m2", "m3"] {
        store.deliver(&delivery(&ada, &bob, cid)).await.unwrap().unwrap();
    }
    server.ask(&["DEL", "{c:ada.bob}:counter", "{c:ada.bob}:log", "{c:ada.bob}:cids"]).await;
    assert_eq!(store.deliver(&delivery(&ada, &bob, "m4")).await.unwrap().unwrap().seq, 1);
    assert_eq!(store.inbox(&bob, 0, 10).await.unwrap().head, 4, "not mistaken for an old message");
}

#[tokio::test]
async fn invalid_data_is_reported_as_corrupt() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, bob) = two_people(&store).await;
    store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    exchange(&store, &ada, "s", "Hello?").await;
    store.open_run(&new_run(&ada, "t", "r", "Hello?")).await.unwrap();
    let conversation = ConversationId::between(&ada, &bob);

    server.ask(&["RPUSH", "{u:ada}:session:s:log", "not JSON"]).await;
    is_corrupt(store.history(&ada, &session("s")).await);
    server.ask(&["HSET", "{u:ada}:session:s", "created", "yesterday"]).await;
    is_corrupt(store.session(&ada, &session("s")).await);
    server.ask(&["XADD", "{u:ada}:run:r:log", "7-0", "e", "\u{0}"]).await;
    is_corrupt(store.run_log(&ada, &run("r"), 0, 10).await);
    server.ask(&["XADD", "{c:ada.bob}:log", "9-0", "colour", "red"]).await;
    is_corrupt(store.conversation_page(&ada, &conversation, None, 10).await);
    server.ask(&["HSET", "{u:ada}:devices", "d1", "nonsense"]).await;
    is_corrupt(store.devices(&ada).await);
    store.put_identity(&ada, &support::identity("a", 1, None)).await.unwrap();
    server.ask(&["RPUSH", "{u:ada}:log", "not JSON"]).await;
    is_corrupt(store.identity(&ada).await);
    let link = link_of(&store, &ada).await;
    server.ask(&["RPUSH", "{l:00000001}:messages", "x"]).await;
    is_corrupt(store.link_messages(&link, &Party::New(TOKEN), 0).await);
    server.ask(&["HSET", "{l:00000001}:link", "account", "no id at all!", "device", "d"]).await;
    is_corrupt(store.claim_link(&link, &TOKEN, &CredentialHash([5; 32])).await);
    server.ask(&["SET", "{u:bob}:inbox", "a string"]).await;
    is_corrupt(store.inbox(&bob, 0, 10).await);
    is_corrupt(store.append_event(&bob, &InboxEvent::KeyChange { account: ada.clone() }).await);
    server.ask(&["HSET", "{u:bob}:account", "id", "no id at all!"]).await;
    is_corrupt(store.account(&bob).await);
    assert!(store.account(&ada).await.unwrap().is_some(), "other data is unaffected");
}

#[tokio::test]
async fn every_key_has_a_time_to_live() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, bob) = two_people(&store).await;
    store.claim_username(&ada, &username("Ada")).await.unwrap();
    store.access(&CredentialHash([1; 32])).await.unwrap();
    let (laptop, phone) = (support::device("laptop"), support::device("phone"));
    for device in [&laptop, &phone] {
        store
            .add_device(&ada, device, &support::keys("k"), &CredentialHash([1; 32]))
            .await
            .unwrap();
    }
    store
        .remove_device(&ada, &phone, &CredentialHash([1; 32]), &CredentialHash([3; 32]))
        .await
        .unwrap();
    store.claim_username(&ada, &username("Countess")).await.unwrap();
    let allowance = Some(Allowance { place: "192.0.2.1".into(), burst: 3, per_hour: 60 });
    let (id, credential) = (account("eve"), CredentialHash([4; 32]));
    store.open_account(&NewAccount { id, credential, username: None, allowance }).await.unwrap();
    store.put_identity(&ada, &support::identity("a", 1, None)).await.unwrap();
    let link = link_of(&store, &ada).await;
    store.approve_link(&link, &approval(&ada)).await.unwrap();
    store.claim_link(&link, &TOKEN, &CredentialHash([5; 32])).await.unwrap();
    let mut new = new_run(&ada, "s", "r", "Hello?");
    new.idempotency = Some(("key".into(), [1; 32]));
    store.open_run(&new).await.unwrap();
    store.append_run_events(&ada, &run("r"), &[delta("x")], Duration::from_secs(9)).await.unwrap();
    store.request_stop(&ada, &run("r")).await.unwrap();
    let sent = store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    let lifetime = Some(86_400);
    store.deliver(&Delivery { lifetime, ..delivery(&ada, &bob, "m2") }).await.unwrap().unwrap();
    store.mark_received(&bob, 1).await.unwrap();
    store.mark_read(&bob, &sent.conversation, 1).await.unwrap();
    store.arrive(&ada, &connection("c"), Duration::from_secs(60)).await.unwrap();
    let user = User { account_id: ada.clone(), username: "Ada".into() };
    store.enter_lobby(&user, &connection("c"), Duration::from_secs(60)).await.unwrap();
    store.probe().await.unwrap();

    let listed = server.keys().await;
    assert!(listed.len() > 20, "{listed:?}");
    for key in &listed {
        let ttl: i64 = server.ask(&["PTTL", key]).await.parse().unwrap();
        assert!(ttl > 0, "{key} has no expiry");
        assert!(key.starts_with('{') && key.contains("}:"), "{key} has no hash tag");
        assert!(!key.contains("192.0.2"), "{key} shows an address");
    }
}

#[tokio::test]
async fn an_approval_cut_short_is_completed_by_its_retry() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, _) = two_people(&store).await;
    store.put_identity(&ada, &support::identity("a", 1, None)).await.unwrap();
    let link = link_of(&store, &ada).await;
    store.approve_link(&link, &approval(&ada)).await.unwrap();
    // Simulates a node that died after the log and before the link.
    server.ask(&["HDEL", "{l:00000001}:link", "device"]).await;
    let claim = store.claim_link(&link, &TOKEN, &CredentialHash([5; 32])).await.unwrap();
    assert_eq!(claim, LinkClaim::NotApproved);
    let again = store.approve_link(&link, &approval(&ada)).await.unwrap();
    assert_eq!(again, Approval::Approved);
    assert_eq!(store.identity(&ada).await.unwrap().unwrap().log.len(), 2);
    let claim = store.claim_link(&link, &TOKEN, &CredentialHash([5; 32])).await.unwrap();
    assert!(matches!(claim, LinkClaim::Claimed(_)), "{claim:?}");
}

#[tokio::test]
async fn the_first_write_extends_everything_an_account_has() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, _) = two_people(&store).await;
    let ttl = async |key: &str| server.ask(&["PTTL", key]).await.parse::<i64>().unwrap();
    let opened = ttl("{u:ada}:account").await;
    let device = support::device("laptop");
    store.add_device(&ada, &device, &support::keys("k"), &CredentialHash([1; 32])).await.unwrap();
    store.put_identity(&ada, &support::identity("a", 1, None)).await.unwrap();
    for what in ["account", "devices", "credentials", "identity", "log"] {
        let kept = ttl(&format!("{{u:ada}}:{what}")).await;
        assert!(kept > 2 * opened, "{what}: {kept} ms");
    }
}

#[tokio::test]
async fn a_device_of_an_earlier_version_gets_its_first_generation() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let (ada, _) = two_people(&store).await;
    let kept = r#"1 1000 {"suite":"s","encryption_key":"enc-k","signing_key":"sig-k"}"#;
    server.ask(&["HSET", "{u:ada}:devices", "laptop", kept]).await;
    assert_eq!(store.devices(&ada).await.unwrap()[0].keys.generation, 0);
    let device = support::device("laptop");
    let change =
        store.add_device(&ada, &device, &support::keys("k"), &CredentialHash([1; 32])).await;
    assert_eq!(change.unwrap(), DeviceChange::Replaced);
    assert_eq!(store.devices(&ada).await.unwrap()[0].keys, support::keys("k"));
}

#[tokio::test]
async fn an_unreachable_store_is_reported_without_secrets() {
    let mut server = RedisServer::start();
    server.ask(&["CONFIG", "SET", "requirepass", "right"]).await;
    let with =
        |password: &str| RedisSettings { password: Some(password.into()), ..server.settings() };
    RedisStore::connect(with("right"), Retention::default())
        .await
        .expect("the right password is accepted");
    let refused =
        RedisStore::connect(with("wrong-secret"), Retention::default()).await.unwrap_err();
    assert!(!refused.to_string().contains("wrong-secret"), "{refused}");
    is_unavailable::<()>(Err(refused));
    server.kill();
    is_unavailable(RedisStore::connect(server.settings(), Retention::default()).await);
}

#[tokio::test]
async fn tls_trusts_only_the_given_authority() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = RedisServer::start_tls();
    connect(&server).await.probe().await.unwrap();
    let untrusting = RedisSettings { ca_file: None, ..server.settings() };
    is_unavailable(RedisStore::connect(untrusting, Retention::default()).await);
    let other = RedisServer::start_tls();
    let mistaken = RedisSettings { ca_file: other.settings().ca_file, ..server.settings() };
    is_unavailable(RedisStore::connect(mistaken, Retention::default()).await);
}

#[tokio::test]
async fn sentinels_resolve_the_master() {
    let server = RedisServer::start();
    let sentinel = Sentinel::start(&server).await;
    let store = RedisStore::connect(sentinel.settings(), Retention::default()).await.unwrap();
    store.probe().await.unwrap();
    let (ada, bob) = two_people(&store).await;
    let mut wake = store.subscribe(&Topic::Inbox(bob.clone())).await.unwrap();
    store.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    woken(&mut wake).await;
}
