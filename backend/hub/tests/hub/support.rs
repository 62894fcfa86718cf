//! The test harness: a hub over a store in a temporary folder, people with devices, and protocol
//! clients.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use backend_hub::{Hub, HubMetrics, HubSettings, Incoming, Outgoing, TransportError};
use backend_protocol::api::{DeviceKeys, PrivateMessage};
use backend_protocol::envelope::{Envelope, WrappedKey};
use backend_protocol::id::{AccountId, ClientMessageId, DeviceId};
use backend_protocol::live::{
    ClientFrame, ErrorCode, InboxEvent, Notice, Request, Sent, ServerFrame,
};
use backend_store::accounts::{Accounts, Claim, CredentialHash, DeviceChange};
use backend_store::sqlite::SqliteStore;
use backend_store::username::Username;
use backend_store::{Retention, Store};
use futures::{Sink, SinkExt, Stream};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::PollSender;

/// Deadline of every wait; only a failing test reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) hub: Hub,
    pub(crate) registry: Registry,
    _dir: TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(HubSettings::default())
    }

    pub(crate) fn with(settings: HubSettings) -> Self {
        Self::keeping(settings, Retention::default())
    }

    pub(crate) fn keeping(settings: HubSettings, retention: Retention) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Arc::new(SqliteStore::open(&dir.path().join("gatehouse.db"), retention).unwrap());
        let registry = Registry::new();
        let hub = hub(Arc::clone(&store) as _, settings, &registry);
        Self { store, hub, registry, _dir: dir }
    }

    /// A second node over the same store.
    pub(crate) fn another_hub(&self, settings: HubSettings) -> Hub {
        self.hub_over(Arc::clone(&self.store) as _, settings)
    }

    /// A node over another store.
    pub(crate) fn hub_over(&self, store: Arc<dyn Store>, settings: HubSettings) -> Hub {
        hub(store, settings, &Registry::new())
    }

    /// A person with a username and two registered devices, `NAME-1` and `NAME-2`.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let person = self.stranger(name).await;
        let claim = self
            .store
            .claim_username(&person.account, &Username::parse(name).unwrap())
            .await
            .unwrap();
        assert_eq!(claim, Claim::Claimed { previous: None });
        self.with_devices(person).await
    }

    /// A person without a username.
    pub(crate) async fn nameless(&self, name: &str) -> Person {
        let person = self.stranger(name).await;
        self.with_devices(person).await
    }

    async fn stranger(&self, name: &str) -> Person {
        let person = Person { account: AccountId::parse(name).unwrap() };
        self.store.create_account(&person.account, &person.credential()).await.unwrap();
        person
    }

    /// Devices are added last: the inbox of an account with devices gets its own renames.
    async fn with_devices(&self, person: Person) -> Person {
        for n in [1, 2] {
            let keys = DeviceKeys {
                suite: "rsa-aes-1".into(),
                encryption_key: "a2V5".into(),
                signing_key: "a2V5".into(),
                generation: 1,
                created_at: 0,
                signature: "c2ln".into(),
            };
            let added = self
                .store
                .add_device(&person.account, &person.device(n), &keys, &person.credential())
                .await;
            assert_eq!(added.unwrap(), DeviceChange::Added);
        }
        person
    }

    /// The value of a counter or gauge with this label value (any, when empty).
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        let wanted = metrics.filter(|metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        });
        wanted.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

fn hub(store: Arc<dyn Store>, settings: HubSettings, registry: &Registry) -> Hub {
    Hub::new(store, settings, HubMetrics::register(registry).unwrap())
}

pub(crate) struct Person {
    pub(crate) account: AccountId,
}

impl Person {
    /// The credential that opens the account.
    pub(crate) fn credential(&self) -> CredentialHash {
        let mut hash = [0; 32];
        hash.iter_mut().zip(self.account.as_str().bytes()).for_each(|(to, from)| *to = from);
        CredentialHash(hash)
    }

    pub(crate) fn device(&self, n: u32) -> DeviceId {
        DeviceId::parse(format!("{}-{n}", self.account)).unwrap()
    }

    /// A new connection without hello.
    pub(crate) fn connect(&self, hub: &Hub) -> Client {
        Client::connect(hub, self, 1024)
    }

    /// A connection of the first device, after a fresh hello.
    pub(crate) async fn online(&self, hub: &Hub) -> Client {
        let mut client = self.connect(hub);
        client.hello(&self.device(1), None).await;
        client
    }
}

/// The peer of one connection.
pub(crate) struct Client {
    to: Option<mpsc::Sender<Incoming>>,
    from: mpsc::Receiver<Outgoing>,
    last_id: u64,
    /// Frames read while waiting for another one.
    aside: VecDeque<ServerFrame>,
    pub(crate) answers_pings: bool,
    task: JoinHandle<()>,
}

impl Client {
    /// `window`: frames that fit between the two ends before the server has to wait.
    pub(crate) fn connect(hub: &Hub, person: &Person, window: usize) -> Self {
        Self::with(hub, person, person.credential(), window)
    }

    /// Connects with another credential of the person's account.
    pub(crate) fn with(
        hub: &Hub,
        person: &Person,
        credential: CredentialHash,
        window: usize,
    ) -> Self {
        let (to, incoming) = mpsc::channel(64);
        let (outgoing, from) = mpsc::channel(window);
        let transport = Memory { incoming, outgoing: PollSender::new(outgoing) };
        let (hub, account) = (hub.clone(), person.account.clone());
        let task = tokio::spawn(async move { hub.run(account, credential, transport).await });
        Self { to: Some(to), from, last_id: 0, aside: VecDeque::new(), answers_pings: true, task }
    }

    pub(crate) async fn raw(&self, frame: Incoming) {
        if let Some(to) = &self.to {
            let _ = timeout(PATIENCE, to.send(frame)).await.expect("the connection reads");
        }
    }

    pub(crate) async fn text(&self, text: &str) {
        self.raw(Incoming::Text(text.to_owned().into())).await;
    }

    /// Sends a request without waiting for the response; returns its id.
    pub(crate) async fn post(&mut self, request: Request) -> u64 {
        self.last_id += 1;
        let frame = ClientFrame { id: self.last_id, request };
        self.text(&serde_json::to_string(&frame).unwrap()).await;
        self.last_id
    }

    pub(crate) async fn with_request(mut self, request: Request) -> Self {
        self.post(request).await;
        self
    }

    /// The welcome's resume position and whether it recovered.
    pub(crate) async fn hello(&mut self, device: &DeviceId, resume: Option<u64>) -> (u64, bool) {
        let id = self.post(Request::Hello { device: device.clone(), resume }).await;
        match self.answer_to(id).await {
            ServerFrame::Welcome { resume, recovered, .. } => (resume, recovered),
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    pub(crate) async fn ok(&mut self, request: Request) -> Option<Sent> {
        let id = self.post(request).await;
        match self.answer_to(id).await {
            ServerFrame::Ok { sent, .. } => sent,
            other => panic!("expected ok, got {other:?}"),
        }
    }

    /// The code of the rejection and whether it is temporary.
    pub(crate) async fn err(&mut self, request: Request) -> (ErrorCode, bool) {
        let id = self.post(request).await;
        match self.answer_to(id).await {
            ServerFrame::Err { code, temporary, retry_after, .. } => {
                assert_eq!(temporary, retry_after.is_some());
                (code, temporary)
            }
            other => panic!("expected an error, got {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, to: &Person, cid: &str) -> Sent {
        self.ok(message(to, cid)).await.expect("the response to send has a position")
    }

    pub(crate) async fn answer_to(&mut self, wanted: u64) -> ServerFrame {
        self.find(|frame| match frame {
            ServerFrame::Welcome { id, .. }
            | ServerFrame::Ok { id, .. }
            | ServerFrame::Err { id, .. } => *id == wanted,
            _ => false,
        })
        .await
    }

    pub(crate) async fn event(&mut self) -> (u64, InboxEvent) {
        match self.find(|frame| matches!(frame, ServerFrame::Event { .. })).await {
            ServerFrame::Event { position, event } => (position, event),
            _ => unreachable!(),
        }
    }

    /// The next private message; skips other events.
    pub(crate) async fn message(&mut self) -> (u64, PrivateMessage) {
        loop {
            if let (position, InboxEvent::Message(message)) = self.event().await {
                return (position, message);
            }
        }
    }

    pub(crate) async fn notice(&mut self) -> Notice {
        match self.find(|frame| matches!(frame, ServerFrame::Notice { .. })).await {
            ServerFrame::Notice { notice } => notice,
            _ => unreachable!(),
        }
    }

    async fn find(&mut self, wanted: impl Fn(&ServerFrame) -> bool) -> ServerFrame {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at).unwrap();
        }
        loop {
            let frame = match self.next().await {
                Some(Ok(frame)) => frame,
                other => panic!("the connection ended: {other:?}; before: {:?}", self.aside),
            };
            if wanted(&frame) {
                return frame;
            }
            self.aside.push_back(frame);
        }
    }

    /// The next frame, or the close frame's code and reason. Answers pings.
    async fn next(&mut self) -> Option<Result<ServerFrame, (u16, String)>> {
        loop {
            match timeout(PATIENCE, self.from.recv()).await.expect("a frame comes in time")? {
                Outgoing::Text(text) => return Some(Ok(serde_json::from_str(&text).unwrap())),
                Outgoing::Close { code, reason } => return Some(Err((code, reason.into_owned()))),
                Outgoing::Ping if self.answers_pings => self.raw(Incoming::Pong).await,
                Outgoing::Ping => {}
            }
        }
    }

    /// Reads until the server closes: the code, the reason, and the frames seen before.
    pub(crate) async fn closed(&mut self) -> (u16, String, Vec<ServerFrame>) {
        let mut frames: Vec<_> = self.aside.drain(..).collect();
        loop {
            match self.next().await.expect("a close frame comes before the end") {
                Ok(frame) => frames.push(frame),
                Err((code, reason)) => {
                    self.to = None;
                    timeout(PATIENCE, &mut self.task).await.expect("the connection ends").unwrap();
                    return (code, reason, frames);
                }
            }
        }
    }

    /// Drops the connection without a close frame, and waits until the server notices.
    pub(crate) async fn vanish(mut self) {
        self.to = None;
        drop(self.from);
        timeout(PATIENCE, self.task).await.expect("the connection ends").unwrap();
    }

    /// The process of the connection dies: no goodbye is sent.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits for a condition.
pub(crate) async fn eventually(condition: impl AsyncFn() -> bool) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, poll).await.expect("the condition holds in time");
}

pub(crate) fn message(to: &Person, cid: &str) -> Request {
    sized_message(to, cid, 16)
}

/// A message with this many bytes of ciphertext.
pub(crate) fn sized_message(to: &Person, cid: &str, size: usize) -> Request {
    let envelope = Envelope {
        suite: "rsa-aes-1".into(),
        header: "aGVhZA".into(),
        nonce: "bm9uY2U".into(),
        ciphertext: "Q".repeat(size),
        keys: vec![WrappedKey { device: to.device(1), key: "a2V5".into() }],
        signature: "c2ln".into(),
    };
    let (to, cid) = (to.account.clone(), ClientMessageId::parse(cid).unwrap());
    Request::Send { to, cid, lifetime: None, envelope }
}

/// A transport of two channels.
struct Memory {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: PollSender<Outgoing>,
}

impl Stream for Memory {
    type Item = Result<Incoming, TransportError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

impl Sink<Outgoing> for Memory {
    type Error = TransportError;
    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        self.outgoing.poll_ready_unpin(cx).map_err(|_| gone())
    }
    fn start_send(mut self: Pin<&mut Self>, frame: Outgoing) -> Result<(), TransportError> {
        self.outgoing.start_send_unpin(frame).map_err(|_| gone())
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
}

fn gone() -> TransportError {
    TransportError::Lost("the client is gone".into())
}
