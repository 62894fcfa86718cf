//! The demo model: an OpenAI-compatible endpoint that plays the part of a model, and says so.
//!
//! ```text
//! GET  /v1/models             the demo model, and the faulty ones when they are asked for
//! POST /v1/chat/completions   chat.rs ── script.rs (what happens, step by step) ── answer.rs (the words)
//! ```
//!
//! Used when no provider is configured, by tests and by benchmarks: through the same client code
//! path as any other.

mod answer;
mod chat;
mod error;
mod script;
mod wire;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use error::DemoError;
use wire::{ModelCard, ModelCards};

/// The model of the picker.
pub const DEMO_MODEL: &str = "gatehouse-demo";

/// Models that fail in one way each. They answer always, and are listed only when asked for.
pub const FAULTY_MODELS: [&str; 9] = [
    "demo-slow-start",
    "demo-stall",
    "demo-429-then-success",
    "demo-500",
    "demo-cut",
    "demo-content-filter",
    "demo-long",
    "demo-quota",
    "demo-context",
];

/// How the demo model behaves.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// The pause before each token.
    pub token_delay: Duration,
    /// The pause of `demo-slow-start` before its first token.
    pub slow_start: Duration,
    /// Whether the picker is offered the faulty models.
    pub list_faulty: bool,
}

impl Default for DemoSettings {
    fn default() -> Self {
        Self {
            token_delay: Duration::from_millis(25),
            slow_start: Duration::from_secs(5),
            list_faulty: false,
        }
    }
}

/// The demo endpoint, before or while it serves. Clones share their counters.
#[derive(Debug, Clone, Default)]
pub struct Demo {
    settings: Arc<DemoSettings>,
    requests: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
}

impl Demo {
    /// A demo endpoint with these settings.
    pub fn new(settings: DemoSettings) -> Self {
        Self { settings: Arc::new(settings), ..Self::default() }
    }

    /// The models it lists.
    pub fn models(&self) -> Vec<String> {
        let faulty = FAULTY_MODELS.iter().filter(|_| self.settings.list_faulty);
        std::iter::once(&DEMO_MODEL).chain(faulty).map(|&name| name.to_owned()).collect()
    }

    /// Completion requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Answers being streamed right now.
    pub fn open_streams(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Serves until `shutdown`, then lets running answers end.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new()
            .route("/v1/models", get(models))
            .route("/v1/chat/completions", post(chat::completions))
            .fallback(|| async { DemoError::no_such_path() })
            .layer(DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(shutdown).await
    }
}

async fn models(State(demo): State<Demo>) -> Json<ModelCards> {
    let card = |id| ModelCard { id, object: "model", created: 0, owned_by: "gatehouse" };
    Json(ModelCards { object: "list", data: demo.models().into_iter().map(card).collect() })
}
