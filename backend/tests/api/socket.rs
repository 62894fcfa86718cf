//! A client of `/ws`.

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{Client, SOON};

/// 64 bytes, base64url.
pub(crate) const SIGNATURE: &str = concat!(
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

/// Made-up public keys.
pub(crate) fn keys(name: &str) -> Value {
    rotated(name, 1)
}

/// Later keys of the same device.
pub(crate) fn rotated(name: &str, generation: u64) -> Value {
    json!({
        "suite": "rsa-aes-1", "encryption_key": format!("enc-{name}-{generation}"),
        "signing_key": format!("sig-{name}"), "generation": generation,
        "created_at": 1_767_225_600_000_u64, "signature": SIGNATURE,
    })
}

/// The client's account.
pub(crate) async fn account(client: &Client) -> String {
    client.json("/api/me").await["account_id"].as_str().expect("an account").to_owned()
}

/// The request that sends a made-up message.
pub(crate) fn message_to(account: &str, cid: &str) -> Value {
    let envelope = json!({
        "suite": "rsa-aes-1", "header": "aA", "nonce": "bg", "ciphertext": "Yw", "signature": "cw",
        "keys": [{"device": "a1", "key": "a2V5"}],
    });
    json!({"type": "send", "to": account, "cid": cid, "envelope": envelope})
}

pub(crate) type Connection = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) struct Socket {
    connection: Connection,
    last_id: u64,
    /// The response to `hello`.
    pub(crate) welcome: Value,
}

/// Opens a WebSocket with the client's cookie.
pub(crate) async fn handshake(client: &Client) -> Result<Connection, Error> {
    let url = client.request(Method::GET, "/ws").build().expect("a request").url().to_string();
    let mut request = url.replace("http://", "ws://").into_client_request().expect("a request");
    let cookie = client.cookie.as_deref().expect("a cookie").parse().expect("a header value");
    request.headers_mut().insert("cookie", cookie);
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "gatehouse.v1".parse().expect("a header value"));
    timeout(SOON, connect_async(request))
        .await
        .expect("an answer in time")
        .map(|(connection, _)| connection)
}

/// The status and problem type of a handshake that is rejected with the client's cookie.
pub(crate) async fn rejected_handshake(client: &Client) -> (u16, String) {
    match handshake(client).await {
        Err(Error::Http(answer)) => {
            let problem: Value =
                serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).expect("JSON");
            (answer.status().as_u16(), problem["type"].as_str().expect("a type").to_owned())
        }
        other => panic!("expected a rejection, got {other:?}"),
    }
}

impl Socket {
    /// A connection of this device after its welcome.
    pub(crate) async fn open(client: &Client, device: &str) -> Self {
        Self::greeted(client, json!({"type": "hello", "device": device})).await
    }

    /// A connection that resumes after a position.
    pub(crate) async fn resume(client: &Client, device: &str, position: u64) -> Self {
        Self::greeted(client, json!({"type": "hello", "device": device, "resume": position})).await
    }

    async fn greeted(client: &Client, hello: Value) -> Self {
        let connection = handshake(client).await.expect("a handshake");
        let mut socket = Self { connection, last_id: 0, welcome: Value::Null };
        socket.send_request(&hello).await;
        socket.welcome = socket.until(|frame| frame["type"] == "welcome").await;
        socket
    }

    pub(crate) async fn send_request(&mut self, request: &Value) {
        self.last_id += 1;
        let frame = json!({"id": self.last_id, "do": request});
        self.connection.send(Message::text(frame.to_string())).await.expect("an open socket");
    }

    /// The next matching frame; skips others.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let frames = async {
            loop {
                if let Message::Text(text) =
                    self.connection.next().await.expect("an open socket").expect("a frame")
                {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    if wanted(&frame) {
                        return frame;
                    }
                }
            }
        };
        timeout(SOON, frames).await.expect("the frame comes in time")
    }

    /// The next event of this kind.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        self.until(|frame| frame["type"] == "event" && frame["event"]["kind"] == kind).await["event"].take()
    }

    /// The next notice of this kind.
    pub(crate) async fn notice(&mut self, kind: &str) -> Value {
        self.until(|frame| frame["type"] == "notice" && frame["notice"]["kind"] == kind).await["notice"].take()
    }

    /// The close code sent by the server.
    pub(crate) async fn closed(&mut self) -> u16 {
        let frames = async {
            loop {
                match self.connection.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(_)) => {}
                    other => panic!("expected a close frame, got {other:?}"),
                }
            }
        };
        timeout(SOON, frames).await.expect("the close comes in time")
    }
}
