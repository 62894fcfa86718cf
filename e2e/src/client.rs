//! A visitor's client: HTTPS with a cookie, server-sent events and WebSockets. It trusts only the
//! local CA.

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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::process::TIMEOUT;

/// One browser from the server's point of view: it keeps its cookie.
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
    /// Creates a visitor of `https://localhost:PORT` that trusts only this CA.
    pub fn new(https_port: u16, ca: &Path) -> Self {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(ca).expect("read the CA's PEM certificate");
        roots.add(certificate).expect("trust the CA");
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let http = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .expect("build the client");
        let base = format!("https://localhost:{https_port}");
        Self { base, http, tls: Arc::new(tls), cookie: None }
    }

    /// Switches the visitor to another https port.
    pub fn move_to(&mut self, https_port: u16) {
        self.base = format!("https://localhost:{https_port}");
    }

    /// Bypasses the gateway: sends requests directly to a backend, over plain HTTP.
    pub fn directly(mut self, backend_port: u16) -> Self {
        self.base = format!("http://localhost:{backend_port}");
        self
    }

    /// Builds a request with the visitor's cookie.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    /// Sends a request and stores the cookie of the response.
    pub async fn send(&mut self, request: RequestBuilder) -> Response {
        let response = request.send().await.expect("the server answers");
        self.keep_cookie(response.headers());
        response
    }

    /// Sends a `GET` and returns status and JSON.
    pub async fn get(&mut self, path: &str) -> (u16, Value) {
        let response = self.send(self.request(Method::GET, path)).await;
        parse(response).await
    }

    /// Sends JSON with this method and returns status and JSON.
    pub async fn write(&mut self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(method, path).header("accept", "application/json").json(body);
        let response = self.send(request).await;
        parse(response).await
    }

    /// Sends a message to the assistant and reads the whole event stream.
    pub async fn chat(&mut self, body: &Value) -> Vec<SseEvent> {
        let response = self.send(self.request(Method::POST, "/api/chat").json(body)).await;
        assert_eq!(response.status(), 200, "POST /api/chat");
        assert!(
            response.headers()["content-type"]
                .to_str()
                .is_ok_and(|kind| kind.starts_with("text/event-stream")),
            "POST /api/chat streams events"
        );
        events(&response.text().await.expect("read the whole stream"))
    }

    /// Opens `/ws` with the visitor's cookie.
    pub async fn live(&self) -> Live {
        let url = format!("{}/ws", self.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("the URL is valid");
        let headers = request.headers_mut();
        headers.insert(
            "sec-websocket-protocol",
            "gatehouse.v1".parse().expect("a valid header value"),
        );
        headers.insert("origin", self.base.parse().expect("a valid header value"));
        if let Some(cookie) = &self.cookie {
            headers.insert(COOKIE, cookie.parse().expect("a valid header value"));
        }
        let opened = timeout(TIMEOUT, async { client_async(request, self.connect().await).await });
        let (socket, _) =
            opened.await.expect("the WebSocket opens in time").expect("the WebSocket opens");
        Live { socket, next_id: 1 }
    }

    /// Connects, over TLS unless the base is plain HTTP.
    async fn connect(&self) -> Box<dyn Socket> {
        let (scheme, address) = self.base.split_once("://").expect("the base is a URL");
        let tcp = TcpStream::connect(address).await.expect("the server accepts");
        if scheme == "http" {
            return Box::new(tcp);
        }
        let name = ServerName::try_from("localhost").expect("a DNS name");
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
        Box::new(tls.expect("the TLS handshake succeeds"))
    }

    /// Registers a device with fake keys, opens `/ws` and sends `hello`.
    pub async fn join(&mut self, device: &str, username: &str) -> Live {
        let (status, answer) =
            self.write(Method::POST, "/api/me", &json!({ "username": username })).await;
        assert_eq!(status, 200, "claiming {username}: {answer}");
        let keys = json!({
            "suite": "rsa-aes-1", "encryption_key": "ZW5jcnlwdA", "signing_key": "c2lnbg",
            "generation": 1, "created_at": 0, "signature": "A".repeat(86),
        });
        let (status, answer) =
            self.write(Method::PUT, &format!("/api/devices/{device}"), &keys).await;
        assert!(status < 300, "registering a device: {status} {answer}");
        let mut live = self.live().await;
        live.request(json!({"type": "hello", "device": device})).await;
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
    let text = response.text().await.expect("read the whole answer");
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

/// Reads `/api/stream` until `ended` changes, and returns the number of events.
///
/// # Panics
/// If the stream breaks or ends, or an event is missing.
pub async fn follow(visitor: Visitor, mut ended: watch::Receiver<bool>) -> u64 {
    let request = visitor.request(Method::GET, "/api/stream").timeout(Duration::from_secs(120));
    let mut response = request.send().await.expect("open the stream");
    assert_eq!(response.status(), 200);
    let (mut text, mut count) = (String::new(), 0);
    loop {
        let chunk = tokio::select! {
            _ = ended.changed() => return count,
            chunk = response.chunk() => chunk.expect("the stream stays intact").expect("the stream stays open"),
        };
        text.push_str(std::str::from_utf8(&chunk).expect("events are UTF-8"));
        while let Some((event, rest)) = text.split_once("\n\n") {
            assert_eq!(event, format!("data: {count}"), "no event is missing");
            (text, count) = (rest.to_owned(), count + 1);
        }
    }
}

/// TCP with or without TLS.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// An open `/ws`.
pub struct Live {
    socket: WebSocketStream<Box<dyn Socket>>,
    next_id: u64,
}

impl Live {
    /// Sends a request and returns its id.
    pub async fn request(&mut self, request: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_text(json!({"id": id, "do": request}).to_string()).await;
        id
    }

    /// Sends a text frame.
    pub async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.expect("send a frame");
    }

    /// Returns the next frame of this type and skips others.
    ///
    /// # Panics
    /// If the socket closes first, or after a timeout.
    pub async fn until(&mut self, kind: &str) -> Value {
        self.until_where(kind, |_| true).await
    }

    /// Returns the next frame of this type that satisfies the condition.
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
        timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("timed out waiting for {kind}"))
    }

    /// Waits until the server closes the socket and returns the close code.
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
        timeout(TIMEOUT, waiting).await.expect("the server closes in time")
    }

    /// Whether the socket is open: sends a ping and waits for its pong.
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
