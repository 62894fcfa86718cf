//! An echo backend inside the test. It records which requests reached it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{Stream, stream};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The header with a request's unique number.
pub const NUMBER: &str = "x-number";
/// Duration of `/api/work`.
const WORK: Duration = Duration::from_millis(40);
/// Interval between events of `/api/stream`.
const BEAT: Duration = Duration::from_millis(50);

/// A running backend. Dropping it stops it.
pub struct Echo {
    /// Its loopback port.
    pub port: u16,
    reached: Reached,
    task: AbortHandle,
}

type Reached = Arc<Mutex<HashSet<u64>>>;

impl Echo {
    /// Starts the backend on a free port.
    ///
    /// `/api/headers` returns the request's headers as JSON, `/api/work` answers after a delay,
    /// `/api/stream` is an endless stream of numbered events, `/ws` echoes messages.
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// Starts the backend on this port.
    pub async fn start_at(port: u16) -> Self {
        let reached = Reached::default();
        let router = Router::new()
            .route("/api/headers", get(headers))
            .route("/api/work", get(work))
            .route("/api/stream", get(|| async { Sse::new(count()) }))
            .route("/ws", get(echo))
            .with_state(Arc::clone(&reached));
        let listener =
            TcpListener::bind(("127.0.0.1", port)).await.expect("bind a free loopback port");
        let port = listener.local_addr().expect("the listener is bound").port();
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { port, reached, task }
    }

    /// The numbers of the requests that reached the backend.
    pub fn reached(&self) -> HashSet<u64> {
        self.reached.lock().expect("no handler panics").clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn headers(State(reached): State<Reached>, headers: HeaderMap) -> Json<Value> {
    remember(&reached, &headers);
    let fields: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into())
        })
        .collect();
    Json(fields.into())
}

async fn work(State(reached): State<Reached>, headers: HeaderMap) -> &'static str {
    remember(&reached, &headers);
    // The delay is the point: requests must be open when the gateway drains.
    tokio::time::sleep(WORK).await;
    "done"
}

fn remember(reached: &Reached, headers: &HeaderMap) {
    if let Some(number) = headers.get(NUMBER).and_then(|number| number.to_str().ok()?.parse().ok())
    {
        reached.lock().expect("no handler panics").insert(number);
    }
}

fn count() -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(0_u64, |number| async move {
        tokio::time::sleep(BEAT).await;
        Some((Ok(Event::default().data(number.to_string())), number + 1))
    })
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["gatehouse.v1"])
        .on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
        .into_response()
}
