//! What remains of an expired message: nothing of its text, neither in the SQLite file and its
//! write-ahead log nor in Redis.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/redis_server.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod redis_server;
#[path = "support/bed.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::path::Path;

use backend_protocol::id::{AccountId, ConversationId};
use backend_protocol::live::InboxEvent;
use backend_store::accounts::CredentialHash;
use backend_store::mailboxes::{Delivered, Delivery, Mailboxes};
use backend_store::redis::RedisStore;
use backend_store::sqlite::SqliteStore;
use backend_store::{Retention, Store};

use redis_server::RedisServer;
use support::{account, delivery, eventually};

/// A day, in seconds.
const DAY: u32 = 86_400;

async fn two_people(store: &dyn Store) -> (AccountId, AccountId) {
    let (ada, bob) = (account("ada"), account("bob"));
    store.create_account(&ada, &CredentialHash([1; 32])).await.unwrap();
    store.create_account(&bob, &CredentialHash([2; 32])).await.unwrap();
    (ada, bob)
}

/// A message whose ciphertext repeats a text that is nowhere else.
fn marked(
    (from, to): (&AccountId, &AccountId),
    lifetime: Option<u32>,
    mark: &str,
    size: usize,
) -> Delivery {
    let cid: String = mark.chars().rev().collect();
    let mut delivery = delivery(from, to, &cid);
    delivery.lifetime = lifetime;
    delivery.envelope.ciphertext = mark.repeat(size.div_ceil(mark.len()));
    delivery
}

async fn sent(store: &dyn Store, delivery: &Delivery) -> Delivered {
    store.deliver(delivery).await.unwrap().expect("the recipient exists")
}

async fn seqs(store: &dyn Store, who: &AccountId, conversation: &ConversationId) -> Vec<u64> {
    let page = store.conversation_page(who, conversation, None, 1_000).await.unwrap().unwrap();
    page.messages.iter().map(|message| message.seq).collect()
}

/// The bytes of a file as text, to search for ASCII. Empty when the file is missing.
fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The database and its write-ahead log.
fn files(path: &Path) -> [String; 2] {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [text(path), text(Path::new(&log))]
}

#[tokio::test]
async fn nothing_of_an_expired_message_remains_in_the_sqlite_files() {
    /// From a part of a page to many pages. An envelope is at most 64 KiB.
    const SIZES: [usize; 8] = [16, 300, 1_000, 2_000, 4_000, 9_000, 20_000, 40_000];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    let (ada, bob) = two_people(&store).await;
    let mut last = None;
    // Kept messages between the others, so that pages hold both and are split and merged.
    for round in 0..8 {
        for (n, size) in SIZES.into_iter().enumerate() {
            let mark = format!("short-{round}-{n}-");
            last = Some(sent(&store, &marked((&ada, &bob), Some(1), &mark, size)).await);
            let mark = format!("kept-{round}-{n}-");
            sent(&store, &marked((&bob, &ada), None, &mark, SIZES[(n + round) % 8])).await;
        }
    }
    sent(&store, &marked((&ada, &bob), Some(DAY), "tomorrow-", 9_000)).await;
    let last = last.unwrap();
    let remains = |prefix: &str| {
        let files = files(&path);
        let mut found = Vec::new();
        for (round, n) in (0..8).flat_map(|round| (0..SIZES.len()).map(move |n| (round, n))) {
            let mark = format!("{prefix}-{round}-{n}-");
            if files.iter().any(|file| file.contains(&mark)) {
                found.push(mark);
            }
        }
        found.len()
    };
    assert_eq!((remains("short"), remains("kept")), (64, 64), "everything is in the files");
    eventually("the messages expire", async || {
        !seqs(&store, &bob, &last.conversation).await.contains(&last.seq)
    })
    .await;
    assert_eq!(remains("short"), 64, "they are in the files until the sweep");
    assert_eq!(store.sweep().await.unwrap(), 3 * 64, "in the conversation and two inboxes");
    assert!(files(&path)[1].is_empty(), "the log is truncated");
    assert_eq!((remains("short"), remains("kept")), (0, 64));
    assert!(files(&path)[0].contains("tomorrow-"));
    assert_eq!(seqs(&store, &bob, &last.conversation).await.len(), 65);
    assert_eq!(store.inbox(&bob, 0, 1_000).await.unwrap().events.len(), 65);
    drop(store);
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    assert_eq!(seqs(&store, &bob, &last.conversation).await.len(), 65);
    assert_eq!((remains("short"), remains("kept")), (0, 64));
}

#[tokio::test]
async fn a_reader_delays_the_erasure_until_the_next_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    let (ada, bob) = two_people(&store).await;
    let short = sent(&store, &marked((&ada, &bob), Some(1), "short-", 9_000)).await;
    let backup = rusqlite::Connection::open(&path).unwrap();
    backup.execute_batch("BEGIN; SELECT count(*) FROM private_messages").unwrap();
    eventually("the message expires", async || {
        seqs(&store, &bob, &short.conversation).await.is_empty()
    })
    .await;
    assert_eq!(store.sweep().await.unwrap(), 3, "a reader does not fail the sweep");
    assert!(files(&path).concat().contains("short-"));
    backup.execute_batch("COMMIT").unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(!files(&path).concat().contains("short-"));
}

/// All data of the server as it saves it, uncompressed.
async fn dump(server: &RedisServer) -> String {
    server.ask(&["CONFIG", "SET", "rdbcompression", "no"]).await;
    server.ask(&["SAVE"]).await;
    text(&server.folder().join("dump.rdb"))
}

#[tokio::test]
async fn nothing_of_an_expired_message_remains_in_redis() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.settings(), Retention::default()).await.unwrap();
    let (ada, bob) = two_people(&store).await;
    sent(&store, &marked((&ada, &bob), None, "kept-", 2_000)).await;
    sent(&store, &marked((&ada, &bob), Some(DAY), "tomorrow-", 2_000)).await;
    let mut n = 0;
    eventually("a message is in the dump before it expires", async || {
        n += 1;
        sent(&store, &marked((&ada, &bob), Some(1), &format!("short-{n}-"), 2_000)).await;
        dump(&server).await.contains(&format!("short-{n}-"))
    })
    .await;
    // The node is gone: Redis deletes the text.
    drop(store);
    eventually("the text is gone", async || !dump(&server).await.contains("short-")).await;
    let dump = dump(&server).await;
    assert!(dump.contains("kept-") && dump.contains("tomorrow-"));
    let store = RedisStore::connect(server.settings(), Retention::default()).await.unwrap();
    let inbox = store.inbox(&bob, 0, 100).await.unwrap();
    assert_eq!((inbox.events.len(), inbox.first, inbox.head), (2, 1, n + 2));
}

#[tokio::test]
async fn redis_deletes_the_text_of_trimmed_messages() {
    let server = RedisServer::start();
    let retention = Retention { inbox_events: 5, conversation_messages: 3, ..Retention::default() };
    let store = RedisStore::connect(server.settings(), retention).await.unwrap();
    let (ada, bob) = two_people(&store).await;
    for n in 1..=12 {
        sent(&store, &marked((&ada, &bob), Some(DAY), &format!("m{n}-"), 100)).await;
    }
    let keys = server.keys().await;
    let of = |prefix: &str| keys.iter().filter(|key| key.starts_with(prefix)).count();
    assert_eq!(of("{c:ada.bob}:log:"), 3, "{keys:?}");
    assert_eq!((of("{u:ada}:inbox:"), of("{u:bob}:inbox:")), (5, 5), "{keys:?}");
}

#[tokio::test]
async fn an_interrupted_delivery_that_has_expired_is_counted_and_not_delivered() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.settings(), Retention::default()).await.unwrap();
    let (ada, bob) = two_people(&store).await;
    let short = marked((&ada, &bob), Some(1), "short-", 100);
    let first = sent(&store, &short).await;
    // Simulates a node that died before it wrote to his inbox.
    for key in ["inbox", "inbox:1", "counters", "conversation:ada.bob"] {
        server.ask(&["DEL", &format!("{{u:bob}}:{key}")]).await;
    }
    eventually("the message expires", async || {
        seqs(&store, &ada, &first.conversation).await.is_empty()
    })
    .await;
    assert_eq!(sent(&store, &short).await, first);
    assert_eq!(store.inbox(&bob, 0, 10).await.unwrap().head, 0, "it has expired");
    let next = sent(&store, &marked((&ada, &bob), None, "next-", 100)).await;
    assert_eq!(next.seq, 2);
    let inbox = store.inbox(&bob, 0, 10).await.unwrap();
    assert_eq!((inbox.events.len(), inbox.head), (1, 1));
    let InboxEvent::Message(message) = &inbox.events[0].1 else { panic!("a message") };
    assert_eq!(message.seq, 2);
    assert_eq!(store.inbox(&ada, 0, 10).await.unwrap().head, 2, "hers had it");
}

#[tokio::test]
async fn redis_data_of_an_earlier_version_is_read() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.settings(), Retention::default()).await.unwrap();
    let (ada, bob) = two_people(&store).await;
    let old = delivery(&ada, &bob, "old");
    let kept = serde_json::json!({
        "cid": "old", "sender": "ada", "device": old.device, "envelope": old.envelope,
    });
    let at = "1767225600000";
    let mut event = kept.clone();
    for (name, value) in [("kind", "message"), ("conversation", "ada.bob")] {
        event[name] = value.into();
    }
    (event["seq"], event["at"]) = (1.into(), "2026-01-01T00:00:00.000Z".into());
    server.ask(&["HSET", "{c:ada.bob}:counter", "epoch", "e", "last", "1"]).await;
    let body = kept.to_string();
    let entry = ["XADD", "{c:ada.bob}:log", "1-0", "k", "ada old", "at", at, "m", &body];
    server.ask(&entry).await;
    server.ask(&["HSET", "{c:ada.bob}:cids", "ada old", &format!("1 {at}")]).await;
    for who in ["ada", "bob"] {
        let key = |name: &str| format!("{{u:{who}}}:{name}");
        let (inbox, body) = (key("inbox"), event.to_string());
        let entry = ["XADD", &inbox, "1-0", "e", &body, "c", "ada.bob", "s", "1", "f", "ada"];
        server.ask(&entry).await;
        server.ask(&["HSET", &key("counters"), "head", "1"]).await;
        let state = key("conversation:ada.bob");
        server.ask(&["HSET", &state, "epoch", "e", "last", "1", "updated", at]).await;
    }
    let answer = sent(&store, &old).await;
    assert_eq!((answer.seq, answer.at.as_str()), (1, "2026-01-01T00:00:00.000Z"));
    let short = sent(&store, &marked((&bob, &ada), Some(DAY), "new-", 100)).await;
    let page = store.conversation_page(&bob, &answer.conversation, None, 10).await.unwrap();
    let lifetimes: Vec<_> = page.unwrap().messages.iter().map(|m| (m.seq, m.lifetime)).collect();
    assert_eq!(lifetimes, [(1, None), (short.seq, Some(DAY))]);
    let events = store.inbox(&bob, 0, 10).await.unwrap().events;
    assert_eq!(events.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 2]);
    let InboxEvent::Message(message) = &events[0].1 else { panic!("a message") };
    assert_eq!((message.cid.as_str(), message.lifetime), ("old", None));
}
