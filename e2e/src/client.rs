//! A visitor: HTTPS with a cookie jar, server-sent events and WebSockets, trusting only the local
//! CA.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use reqwest::header::{COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::process::PATIENCE;

/// One browser, as far as the server can tell: it keeps its cookie.
pub struct Visitor {
    base: String,
    http: Client,
    tls: Arc<ClientConfig>,
    cookie: Option<String>,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct SseEvent {
    /// The `id:` field.
    pub id: String,
    /// The `event:` field.
    pub event: String,
    /// The `data:` field, parsed.
    pub data: Value,
}

impl Visitor {
    /// A new visitor of `https://localhost:PORT` who trusts this CA alone.
    pub fn new(https_port: u16, ca: &Path) -> Self {
        // The first installation wins; later ones are refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(ca).expect("the CA is a PEM certificate");
        roots.add(certificate).expect("the CA can be trusted");
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let http = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("the client can be built");
        let base = format!("https://localhost:{https_port}");
        Self { base, http, tls: Arc::new(tls), cookie: None }
    }

    /// The same visitor, now of another https port.
    pub fn move_to(&mut self, https_port: u16) {
        self.base = format!("https://localhost:{https_port}");
    }

    /// The same visitor past the gateway: straight to a backend, in plain HTTP.
    pub fn directly(mut self, backend_port: u16) -> Self {
        self.base = format!("http://localhost:{backend_port}");
        self
    }

    /// A request with the visitor's cookie.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    /// Sends a request and keeps the cookie that comes back.
    pub async fn send(&mut self, request: RequestBuilder) -> Response {
        let response = request.send().await.expect("the server answers");
        self.keep_cookie(response.headers());
        response
    }

    /// `GET`, and the JSON of the answer.
    pub async fn get(&mut self, path: &str) -> (u16, Value) {
        let response = self.send(self.request(Method::GET, path)).await;
        parse(response).await
    }

    /// Sends JSON with this method, and the JSON of the answer.
    pub async fn write(&mut self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(method, path).header("accept", "application/json").json(body);
        let response = self.send(request).await;
        parse(response).await
    }

    /// Asks the assistant and reads the whole stream.
    pub async fn ask(&mut self, body: &Value) -> Vec<SseEvent> {
        let response = self.send(self.request(Method::POST, "/api/chat").json(body)).await;
        assert_eq!(response.status(), 200, "POST /api/chat");
        assert!(
            response.headers()["content-type"]
                .to_str()
                .is_ok_and(|kind| kind.starts_with("text/event-stream")),
            "POST /api/chat streams events"
        );
        events(&response.text().await.expect("the stream ends well"))
    }

    /// Opens `/ws` with the visitor's cookie.
    pub async fn live(&self) -> Live {
        let url = format!("{}/ws", self.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("the address is valid");
        let headers = request.headers_mut();
        headers.insert(
            "sec-websocket-protocol",
            "gatehouse.v1".parse().expect("it is a header value"),
        );
        headers.insert("origin", self.base.parse().expect("it is a header value"));
        if let Some(cookie) = &self.cookie {
            headers.insert(COOKIE, cookie.parse().expect("it is a header value"));
        }
        let opened = timeout(PATIENCE, async {
            let (_, address) = self.base.split_once("://").expect("the base is a URL");
            let tcp = TcpStream::connect(address).await.expect("the gateway accepts");
            let name = ServerName::try_from("localhost").expect("it is a DNS name");
            let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
            client_async(request, tls.expect("the TLS handshake succeeds")).await
        });
        let (socket, _) =
            opened.await.expect("the WebSocket opens in time").expect("the WebSocket opens");
        Live { socket, next_id: 1 }
    }

    /// Registers a device with made-up keys and says `hello` with it.
    pub async fn join(&mut self, device: &str, username: &str) -> Live {
        let (status, answer) =
            self.write(Method::POST, "/api/me", &json!({ "username": username })).await;
        assert_eq!(status, 200, "claiming {username}: {answer}");
        let keys =
            json!({"suite": "rsa-aes-1", "encryption_key": "ZW5jcnlwdA", "signing_key": "c2lnbg"});
        let (status, answer) =
            self.write(Method::PUT, &format!("/api/devices/{device}"), &keys).await;
        assert!(status < 300, "registering a device: {status} {answer}");
        let mut live = self.live().await;
        live.ask(json!({"type": "hello", "device": device})).await;
        live.until("welcome").await;
        live
    }

    fn keep_cookie(&mut self, headers: &HeaderMap) {
        if let Some(cookie) = headers.get(SET_COOKIE).and_then(|value| value.to_str().ok()) {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
    }
}

async fn parse(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("the answer ends well");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn events(stream: &str) -> Vec<SseEvent> {
    stream
        .split("\n\n")
        .filter(|block| block.contains("data:"))
        .map(|block| {
            let field = |name: &str| {
                let line =
                    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_default().trim_start().to_owned()
            };
            let data = serde_json::from_str(&field("data")).expect("event data is JSON");
            SseEvent { id: field("id"), event: field("event"), data }
        })
        .collect()
}

/// Reads `/api/stream` until told to end; how many events came.
///
/// # Panics
/// When it breaks or ends, or a number is missing.
pub async fn follow(visitor: Visitor, mut ended: watch::Receiver<bool>) -> u64 {
    let request = visitor.request(Method::GET, "/api/stream").timeout(Duration::from_secs(120));
    let mut response = request.send().await.expect("the stream begins");
    assert_eq!(response.status(), 200);
    let (mut text, mut count) = (String::new(), 0);
    loop {
        let chunk = tokio::select! {
            _ = ended.changed() => return count,
            chunk = response.chunk() => chunk.expect("the stream does not break").expect("the stream does not end"),
        };
        text.push_str(std::str::from_utf8(&chunk).expect("events are UTF-8"));
        while let Some((event, rest)) = text.split_once("\n\n") {
            assert_eq!(event, format!("data: {count}"), "no event is missing");
            (text, count) = (rest.to_owned(), count + 1);
        }
    }
}

/// An open `/ws`.
pub struct Live {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    next_id: u64,
}

impl Live {
    /// Sends a request; its id.
    pub async fn ask(&mut self, request: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_text(json!({"id": id, "do": request}).to_string()).await;
        id
    }

    /// Sends any text frame.
    pub async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.expect("the WebSocket takes a frame");
    }

    /// The next frame of this type; others are passed over.
    ///
    /// # Panics
    /// When the socket closes first, or patience ends.
    pub async fn until(&mut self, kind: &str) -> Value {
        self.until_where(kind, |_| true).await
    }

    /// The next frame of this type that satisfies the condition.
    pub async fn until_where(&mut self, kind: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                        if frame["type"] == kind && condition(&frame) {
                            return frame;
                        }
                    }
                    Some(Ok(Message::Close(reason))) => {
                        panic!("closed while waiting for {kind}: {reason:?}")
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => panic!("failed while waiting for {kind}: {error}"),
                    None => panic!("ended while waiting for {kind}"),
                }
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("patience is over waiting for {kind}"))
    }

    /// Waits until the server closes; the close code.
    pub async fn closed(&mut self) -> u16 {
        let waiting = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(reason)))) => return u16::from(reason.code),
                    Some(Ok(Message::Close(None))) | Some(Err(_)) | None => return 0,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("the server closes in time")
    }

    /// True when nothing but ordinary frames came within this moment: the socket is open.
    pub async fn answers_ping(&mut self) -> bool {
        if self.socket.send(Message::Ping(b"still there?".as_slice().into())).await.is_err() {
            return false;
        }
        let waiting = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Pong(payload))) if payload.as_ref() == b"still there?" => {
                        return true;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(Duration::from_secs(60), waiting).await.unwrap_or(false)
    }
}
