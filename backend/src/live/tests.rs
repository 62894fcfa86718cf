//! `/ws` over real sockets: the WebSocket handshake, and a conversation through the real embedded
//! store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use backend_hub::{Hub, HubMetrics, HubSettings};
use backend_protocol::api::DeviceKeys;
use backend_protocol::id::{AccountId, DeviceId};
use backend_protocol::limits::{COOKIE, MAX_FRAME, SUBPROTOCOL};
use backend_protocol::live::{InboxEvent, ServerFrame};
use backend_store::Retention;
use backend_store::accounts::{Accounts, CredentialHash};
use backend_store::sqlite::SqliteStore;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt, StreamExt};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{LiveState, router};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct House {
    store: Arc<SqliteStore>,
    pub(super) hub: Hub,
    pub(super) address: SocketAddr,
    server: JoinHandle<()>,
    _dir: TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl House {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(
            SqliteStore::open(&dir.path().join("gatehouse.db"), Retention::default()).unwrap(),
        );
        let metrics = HubMetrics::register(&prometheus::Registry::new()).unwrap();
        let hub = Hub::new(Arc::clone(&store) as _, HubSettings::default(), metrics);
        let state = LiveState {
            hub: hub.clone(),
            store: Arc::clone(&store) as _,
            allowed_origins: Arc::new([]),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            tokio::spawn(async move { axum::serve(listener, router(state)).await.unwrap() });
        Self { store, hub, address, server, _dir: dir }
    }

    /// An account with a device of the same name; returns its cookie.
    pub(super) async fn person(&self, name: &str) -> String {
        let credential = URL_SAFE_NO_PAD.encode(Sha256::digest(name));
        let account = AccountId::parse(name).unwrap();
        let hash = CredentialHash(Sha256::digest(&credential).into());
        self.store.create_account(&account, &hash).await.unwrap();
        let keys = DeviceKeys {
            suite: "rsa-aes-1".into(),
            encryption_key: "a2V5".into(),
            signing_key: "a2V5".into(),
            generation: 1,
            created_at: 0,
            signature: "c2ln".into(),
        };
        self.store
            .add_device(&account, &DeviceId::parse(name).unwrap(), &keys, &hash)
            .await
            .unwrap();
        format!("{COOKIE}={credential}")
    }

    fn request(
        &self,
        headers: &[(header::HeaderName, &str)],
    ) -> tungstenite::handshake::client::Request {
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    async fn connect(&self, cookie: &str) -> Socket {
        let origin = format!("http://{}", self.address);
        let headers = [
            (header::COOKIE, cookie),
            (header::ORIGIN, &origin),
            (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
        ];
        let (socket, response) = connect_async(self.request(&headers)).await.unwrap();
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
        assert!(
            !response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS),
            "no compression"
        );
        socket
    }

    /// A connection after hello.
    async fn online(&self, name: &str, cookie: &str) -> Socket {
        let mut socket = self.connect(cookie).await;
        write_frame(&mut socket, json!({"id": 1, "do": {"type": "hello", "device": name}})).await;
        assert!(matches!(read_frame(&mut socket).await, ServerFrame::Welcome { id: 1, .. }));
        socket
    }

    /// The status and problem type of a rejected request.
    async fn refused(&self, headers: &[(header::HeaderName, &str)]) -> (u16, String) {
        match connect_async(self.request(headers)).await {
            Err(tungstenite::Error::Http(response)) => {
                assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
                let problem: serde_json::Value =
                    serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
                assert_eq!(problem["status"], response.status().as_u16());
                (response.status().as_u16(), problem["type"].as_str().unwrap().to_owned())
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
    }
}

async fn write_frame(socket: &mut Socket, frame: serde_json::Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

async fn read_frame(socket: &mut Socket) -> ServerFrame {
    loop {
        match timeout(PATIENCE, socket.next())
            .await
            .expect("a frame comes in time")
            .unwrap()
            .unwrap()
        {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected a text frame, got {other:?}"),
        }
    }
}

async fn closed(socket: &mut Socket) -> u16 {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("the close comes in time") {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("expected a close frame, got {other:?}"),
        }
    }
}

fn send(id: u64, to: &str, size: usize) -> serde_json::Value {
    json!({"id": id, "do": {"type": "send", "to": to, "cid": format!("c{id}"), "envelope": {
        "suite": "rsa-aes-1", "header": "aGVhZA", "nonce": "bm9uY2U", "ciphertext": "Q".repeat(size),
        "keys": [{"device": to, "key": "a2V5"}], "signature": "c2ln"}}})
}

#[tokio::test]
async fn messages_cross_real_sockets() {
    let house = House::new().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (house.online("ada", &ada).await, house.online("bob", &bob).await);
    for (id, size) in [(2, 10), (3, 40 * 1024)] {
        write_frame(&mut a, send(id, "bob", size)).await;
        let ServerFrame::Event { position, event: InboxEvent::Message(message) } =
            read_frame(&mut b).await
        else {
            panic!()
        };
        assert_eq!(
            (position, message.seq, message.envelope.ciphertext.len()),
            (id - 1, id - 1, size)
        );
    }
    // The sender gets responses and its own copies.
    let mut oks = 0;
    for _ in 0..4 {
        oks +=
            usize::from(matches!(read_frame(&mut a).await, ServerFrame::Ok { sent: Some(_), .. }));
    }
    assert_eq!(oks, 2);
    a.close(None).await.unwrap();
    timeout(PATIENCE, async { while a.next().await.is_some() {} })
        .await
        .expect("the close is answered");
}

fn origin(origin: &str) -> (header::HeaderName, &str) {
    (header::ORIGIN, origin)
}

#[tokio::test]
async fn a_handshake_needs_an_account_the_own_origin_and_the_subprotocol() {
    let house = House::new().await;
    let cookie = house.person("ada").await;
    let own = format!("http://{}", house.address);
    let (cookie, protocol) =
        ((header::COOKIE, cookie.as_str()), (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL));
    let stranger = format!("{COOKIE}={}", URL_SAFE_NO_PAD.encode([7; 32]));

    let refused = |status, kind: &str| (status, kind.to_owned());
    let none = house.refused(&[protocol.clone(), origin(&own)]).await;
    assert_eq!(none, refused(401, "unauthenticated"));
    let unknown =
        house.refused(&[protocol.clone(), origin(&own), (header::COOKIE, &stranger)]).await;
    assert_eq!(unknown, refused(401, "unauthenticated"));
    let foreign =
        house.refused(&[cookie.clone(), protocol.clone(), origin("https://evil.example")]).await;
    assert_eq!(foreign, refused(403, "cross-origin"));
    let browser = (header::HeaderName::from_static("sec-fetch-site"), "same-site");
    assert_eq!(
        house.refused(&[cookie.clone(), protocol.clone(), browser]).await,
        refused(403, "cross-origin")
    );
    let plain = house.refused(&[cookie.clone(), origin(&own)]).await;
    assert_eq!(plain, refused(400, "bad-request"));
    connect_async(house.request(&[cookie, protocol])).await.expect("a program needs no origin");
}

#[tokio::test]
async fn a_plain_http_request_gets_a_problem() {
    let house = House::new().await;
    let request = axum::http::Request::get("/ws").body(axum::body::Body::empty()).unwrap();
    let state = LiveState {
        hub: house.hub.clone(),
        store: Arc::clone(&house.store) as _,
        allowed_origins: Arc::new([]),
    };
    let response = tower::ServiceExt::oneshot(router(state), request).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn invalid_frames_get_a_close_code() {
    let house = House::new().await;
    let cookie = house.person("ada").await;
    let breaking = [
        Message::text("x".repeat(MAX_FRAME + 1)),
        Message::text("x".repeat(10 * MAX_FRAME)),
        Message::binary(vec![1]),
        Message::text("hello"),
    ];
    for message in breaking {
        let mut socket = house.online("ada", &cookie).await;
        // A large frame may be rejected before all of it is written.
        let _ = socket.send(message).await;
        assert_eq!(closed(&mut socket).await, 4501);
    }
}

#[tokio::test]
async fn a_drain_closes_real_sockets() {
    let house = House::new().await;
    let cookie = house.person("ada").await;
    let mut socket = house.online("ada", &cookie).await;
    let drain = tokio::spawn({
        let hub = house.hub.clone();
        async move { hub.drain(Duration::from_millis(50)).await }
    });
    assert!(matches!(read_frame(&mut socket).await, ServerFrame::Bye { code: 4000, .. }));
    assert_eq!(closed(&mut socket).await, 4000);
    timeout(PATIENCE, drain).await.expect("the drain ends").unwrap();
    assert_eq!(house.hub.connections(), 0);
}
