//! The admin address: metrics, health, reload, drain, configuration. Plain HTTP, only for operators
//! and Prometheus.

mod authority;
mod connections;
mod host;
mod metrics;

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::control::bind::Bound;
use crate::control::handle::Handle;
use connections::Connections;

/// Time for open requests to finish when the server stops.
const FINISH: Duration = Duration::from_secs(2);

/// Time for the request on a connection that was accepted just before accepting stopped.
pub(crate) const ARRIVE: Duration = Duration::from_secs(2);

/// The server on the admin address.
pub(crate) struct Server {
    configured: SocketAddr,
    bound: Bound,
    connections: Connections,
}

impl Server {
    /// Starts the server.
    pub(crate) fn start(
        handle: Handle,
        configured: SocketAddr,
        bound: Bound,
        sockets: Vec<TcpListener>,
    ) -> Self {
        let connections = Connections::new(router(handle));
        for socket in sockets {
            connections.accept_on(socket);
        }
        Self { configured, bound, connections }
    }

    /// The configured address.
    pub(crate) fn configured(&self) -> SocketAddr {
        self.configured
    }

    /// The bound address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.bound.addresses.first().copied().unwrap_or(self.configured)
    }

    /// Its sockets, for a successor.
    pub(crate) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Stops accepting, finishes requests that are open or arrive within `arrive`, then stops.
    pub(crate) async fn stop(self, arrive: Duration) {
        let Self { bound, connections, configured: _ } = self;
        drop(bound);
        connections.end(arrive, FINISH).await;
    }
}

fn router(handle: Handle) -> Router {
    Router::new()
        .route("/metrics", get(metrics::serve))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/config", get(config))
        .route("/ca.pem", get(authority::pem))
        .route("/ca.crt", get(authority::der))
        .route("/reload", post(reload))
        .route("/drain", post(drain))
        .layer(middleware::from_fn(reject_browsers))
        .layer(middleware::from_fn_with_state(handle.clone(), host::check))
        .with_state(handle)
}

/// Rejects requests from web pages, which must not reach what only operators may. Browsers send the
/// Fetch standard's `Origin` and `Sec-Fetch-Site`; the latter is `none` if the user typed the
/// address. Pages that use DNS rebinding are rejected by [`host`].
async fn reject_browsers(request: Request, next: Next) -> Response {
    let from_page = |headers: &HeaderMap| {
        let site = headers.get("sec-fetch-site");
        headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
    };
    if from_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "the admin address rejects requests from web pages\n")
            .into_response();
    }
    next.run(request).await
}

async fn ready(State(gateway): State<Handle>) -> Response {
    if gateway.is_ready() {
        return "ready\n".into_response();
    }
    let why = if gateway.is_ending() { "draining\n" } else { "starting\n" };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn config(State(gateway): State<Handle>) -> Response {
    let config = gateway.config();
    (
        [(header::CONTENT_TYPE, "application/toml")],
        format!("# sha256 {}\n{}", config.hash, config.to_toml()),
    )
        .into_response()
}

/// `?dry_run=true` requests a dry run.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HowToReload {
    #[serde(default)]
    dry_run: bool,
}

async fn reload(State(gateway): State<Handle>, Query(how): Query<HowToReload>) -> Response {
    let report = if how.dry_run { gateway.dry_run().await } else { gateway.reload().await };
    match report {
        Ok(report) => Json(report).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "faults": error.faults() })))
            .into_response(),
    }
}

async fn drain(State(gateway): State<Handle>) -> Response {
    gateway.request_drain();
    (StatusCode::ACCEPTED, "draining\n").into_response()
}
