//! The demo model: an OpenAI-compatible endpoint with canned answers.
//!
//! ```text
//! GET  /v1/models             the demo model, and the faulty ones when enabled
//! POST /v1/chat/completions   chat.rs ── script.rs (the steps) ── answer.rs (the text)
//! ```
//!
//! Used without a configured provider, by tests and by benchmarks, through the same client code as
//! any provider.

mod state;
mod wire;
mod chat;
mod script;
mod answer;
mod error;

pub use state::{DEMO_MODEL, Demo, DemoSettings, FAULTY_MODELS};

use std::future::Future;
use std::io;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use error::DemoError;
use wire::{ModelCard, ModelCards};

impl Demo {
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
