//! The store of a test case, and its test data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backend_protocol::api::{ChatAnswer, DeviceKeys, Message, Role, Usage};
use backend_protocol::envelope::{Envelope, WrappedKey};
use backend_protocol::id::{
    AccountId, ClientMessageId, ConnectionId, DeviceId, MessageId, RunId, SessionId,
};
use backend_protocol::identity::SignedEntry;
use backend_protocol::run::{Delta, RunEvent};
use backend_store::accounts::CredentialHash;
use backend_store::broker::{Payload, Subscription};
use backend_store::identities::{NewIdentity, RecoveryHash};
use backend_store::links::LinkCode;
use backend_store::mailboxes::Delivery;
use backend_store::redis::RedisStore;
use backend_store::runs::{NewRun, Opened};
use backend_store::sqlite::SqliteStore;
use backend_store::username::Username;
use backend_store::{Retention, Store};
use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;

use crate::redis_server::{RedisCluster, RedisServer};

/// Deadline of every wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where a test case opens its stores; removed when dropped.
pub(crate) enum Bed {
    Sqlite { folder: TempDir, opened: AtomicUsize },
    Redis(RedisServer),
    Cluster(RedisCluster),
}

impl Bed {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite { folder: tempfile::tempdir().unwrap(), opened: AtomicUsize::new(0) }
    }

    pub(crate) async fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    pub(crate) async fn redis_over_tls() -> Self {
        // Once per process; a second call fails and changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self::Redis(RedisServer::start_tls())
    }

    pub(crate) async fn redis_cluster() -> Self {
        Self::Cluster(RedisCluster::start().await)
    }

    /// Removes the data of other cases.
    pub(crate) async fn empty(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.empty().await;
        }
    }

    /// One node.
    pub(crate) async fn open(&self, retention: Retention) -> Arc<dyn Store> {
        match self {
            Self::Sqlite { folder, opened } => {
                let name = format!("store-{}.db", opened.fetch_add(1, Ordering::Relaxed));
                Arc::new(SqliteStore::open(&folder.path().join(name), retention).unwrap())
            }
            Self::Redis(server) => {
                Arc::new(RedisStore::connect(server.settings(), retention).await.unwrap())
            }
            Self::Cluster(cluster) => {
                Arc::new(RedisStore::connect(cluster.settings(), retention).await.unwrap())
            }
        }
    }

    /// Two nodes of one store. The embedded store has only one node.
    pub(crate) async fn pair(&self, retention: Retention) -> (Arc<dyn Store>, Arc<dyn Store>) {
        let one = self.open(retention.clone()).await;
        match self {
            Self::Sqlite { .. } => (one.clone(), one),
            Self::Redis(_) | Self::Cluster(_) => (one, self.open(retention).await),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Redis(_) | Self::Cluster(_) => "redis",
        }
    }
}

/// Waits until the condition holds; fails after the deadline.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "deadline of {DEADLINE:?} passed: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for the next wake-up; ignores lagging.
pub(crate) async fn woken(subscription: &mut Subscription) -> Payload {
    loop {
        match tokio::time::timeout(DEADLINE, subscription.recv()).await.expect("a wake-up arrives")
        {
            Ok(payload) => return payload,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => panic!("the subscription was closed"),
        }
    }
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

pub(crate) fn credential(n: u8) -> CredentialHash {
    CredentialHash([n; 32])
}

pub(crate) fn keys(name: &str) -> DeviceKeys {
    DeviceKeys {
        suite: "rsa-aes-1".into(),
        encryption_key: format!("enc-{name}"),
        signing_key: format!("sig-{name}"),
        generation: 1,
        created_at: 1_767_225_600_000,
        signature: format!("signed-{name}"),
    }
}

/// Later keys of the same device.
pub(crate) fn rotated(name: &str, generation: u64) -> DeviceKeys {
    DeviceKeys { encryption_key: format!("enc-{name}-{generation}"), generation, ..keys(name) }
}

pub(crate) fn entry(name: &str) -> SignedEntry {
    SignedEntry { entry: format!("entry-{name}"), signature: format!("signed-{name}") }
}

pub(crate) fn identity(name: &str, recovery: u8, replaces: Option<&str>) -> NewIdentity {
    NewIdentity {
        identity_key: name.into(),
        sealed: format!("sealed-{name}"),
        recovery: RecoveryHash([recovery; 32]),
        entry: entry(&format!("{name}-1")),
        replaces: replaces.map(str::to_owned),
    }
}

pub(crate) fn code(digits: &str) -> LinkCode {
    LinkCode::try_from(digits.to_owned()).unwrap()
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

pub(crate) fn run(name: &str) -> RunId {
    RunId::parse(name).unwrap()
}

pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

pub(crate) fn connection(name: &str) -> ConnectionId {
    ConnectionId::parse(name).unwrap()
}

pub(crate) fn username(name: &str) -> Username {
    Username::parse(name).unwrap()
}

fn message(role: Role, content: &str) -> Message {
    let id = MessageId::parse("m").unwrap();
    Message { id, role, content: content.into(), created_at: "2026-01-01T00:00:00Z".into() }
}

pub(crate) fn answer(content: &str) -> Message {
    message(Role::Assistant, content)
}

pub(crate) fn delta(text: &str) -> RunEvent {
    RunEvent::Text(Delta { text: text.into() })
}

/// The last event of a run.
pub(crate) fn completed(name: &str) -> RunEvent {
    let (session_id, run_id) = (session("s"), run(name));
    RunEvent::Completed(ChatAnswer {
        session_id,
        run_id,
        message: answer("done"),
        usage: Usage::default(),
    })
}

pub(crate) fn new_run(
    who: &AccountId,
    session_name: &str,
    run_name: &str,
    question: &str,
) -> NewRun {
    NewRun {
        account: who.clone(),
        session: session(session_name),
        run: run(run_name),
        message: message(Role::User, question),
        model: "demo".into(),
        title: format!("About {question}"),
        idempotency: None,
        lease: Duration::from_secs(30),
    }
}

/// One exchange: a run opened and closed with an answer.
pub(crate) async fn exchange(
    store: &dyn Store,
    who: &AccountId,
    session_name: &str,
    question: &str,
) -> RunId {
    static EXCHANGE: AtomicUsize = AtomicUsize::new(0);
    let name = format!("exchange-{}", EXCHANGE.fetch_add(1, Ordering::Relaxed));
    let opened = store.open_run(&new_run(who, session_name, &name, question)).await.unwrap();
    assert!(matches!(opened, Opened::New { .. }), "{opened:?}");
    let reply = answer(&format!("answer to {question}"));
    assert!(store.close_run(who, &run(&name), &completed(&name), Some(&reply)).await.unwrap());
    run(&name)
}

pub(crate) fn delivery(from: &AccountId, to: &AccountId, cid: &str) -> Delivery {
    let envelope = Envelope {
        suite: "rsa-aes-1".into(),
        header: "aGVhZA".into(),
        nonce: "bm9uY2U".into(),
        ciphertext: "Y2lwaGVy".into(),
        keys: vec![WrappedKey { device: device("d1"), key: "a2V5".into() }],
        signature: "c2ln".into(),
    };
    let cid = ClientMessageId::parse(cid).unwrap();
    Delivery { sender: from.clone(), device: device("d1"), recipient: to.clone(), cid, envelope }
}
