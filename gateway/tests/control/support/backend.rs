//! A backend that echoes WebSocket messages and delays responses on request.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    /// Releases one response of `/api/slow`.
    pub(crate) answer: Arc<Notify>,
    /// Notified when a request to `/api/slow` has arrived.
    pub(crate) asked: Arc<Notify>,
    task: AbortHandle,
}

impl Backend {
    pub(crate) async fn start() -> Self {
        let (answer, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let router = Router::new()
            .route("/ws", get(echo))
            .route("/api/slow", get(slow))
            .route("/api/quick", get(|| async { "quick" }))
            .with_state((Arc::clone(&asked), Arc::clone(&answer)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
            .abort_handle();
        Self { address, answer, asked, task }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn slow(State((asked, answer)): State<(Arc<Notify>, Arc<Notify>)>) -> &'static str {
    asked.notify_one();
    answer.notified().await;
    "slow"
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}
