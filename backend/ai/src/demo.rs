//! The demo model: an OpenAI-compatible endpoint with canned answers.
//!
//! ```text
//! GET  /v1/models             the demo model, and the faulty ones when enabled
//! POST /v1/chat/completions   chat.rs ── script.rs (the steps) ── answer.rs (the text)
//! ```
//!
//! Used without a configured provider, by tests and by benchmarks, through the same client code as
//! any provider.

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

/// The default demo model.
pub const DEMO_MODEL: &str = "gatehouse-demo";

/// Models that fail in one way each. They always answer, and are listed only when enabled.
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

/// Settings of the demo model.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// Pause before each token.
    pub token_delay: Duration,
    /// Pause of `demo-slow-start` before its first token.
    pub slow_start: Duration,
    /// Lists the faulty models, too.
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

/// The demo endpoint. Clones share their counters.
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

    /// The listed models.
    pub fn models(&self) -> Vec<String> {
        let faulty = FAULTY_MODELS.iter().filter(|_| self.settings.list_faulty);
        std::iter::once(&DEMO_MODEL).chain(faulty).map(|&name| name.to_owned()).collect()
    }

    /// Completion requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Answers in progress.
    pub fn open_streams(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Serves until `shutdown`, then waits for answers in progress.
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
