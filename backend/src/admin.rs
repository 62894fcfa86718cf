//! The admin address: liveness, readiness and metrics. Never public.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use backend_store::Store;
use prometheus::{Registry, TextEncoder};
use tokio_util::sync::CancellationToken;

/// Deadline for the store's probe.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// Inputs of the readiness check.
#[derive(Clone)]
pub(crate) struct Readiness {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) draining: CancellationToken,
}

impl Readiness {
    /// `Err` holds the reason why the service is not ready.
    pub(crate) async fn check(&self) -> Result<(), String> {
        if self.draining.is_cancelled() {
            return Err("draining".into());
        }
        match tokio::time::timeout(PROBE_DEADLINE, self.store.probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("the store did not respond in time".into()),
        }
    }
}

/// `/health` and `/livez`: the process runs. `/readyz`: the service accepts requests.
pub(crate) fn router(readiness: Readiness, registry: Registry) -> Router {
    Router::new()
        .route("/health", get(alive))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(move || async move { metrics(&registry) }))
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    match readiness.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response()
        }
    }
}

fn metrics(registry: &Registry) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
