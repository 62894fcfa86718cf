//! The admin address: metrics, health, reload, drain, configuration. Plain HTTP, for operators and Prometheus only.

mod authority;
mod metrics;

use crate::{bind::Bound, gateway::Handle};
use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use serde_json::json;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long requests that are open may take when the server stops.
const FINISH: Duration = Duration::from_secs(2);

/// How long the request of a connection that was accepted in the last moment may be on its way.
pub(crate) const ARRIVE: Duration = Duration::from_secs(2);

/// The server on the admin address.
pub(crate) struct Server {
    configured: SocketAddr,
    bound: Bound,
    /// Ends accepting.
    close: CancellationToken,
    /// Ends connections that have no request in them.
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Begins to serve.
    pub(crate) fn start(handle: Handle, configured: SocketAddr, bound: Bound, sockets: Vec<TcpListener>) -> Self {
        let (close, stop) = (CancellationToken::new(), CancellationToken::new());
        let (closed, stopped) = (close.clone(), stop.clone());
        let router = router(handle);
        let task = tokio::spawn(async move {
            let serve = |socket: TcpListener| {
                let stopped = stopped.clone().cancelled_owned();
                let door = Door { socket: Some(socket), closed: closed.clone() };
                axum::serve(door, router.clone()).with_graceful_shutdown(stopped).into_future()
            };
            futures::future::join_all(sockets.into_iter().map(serve)).await;
        });
        Self { configured, bound, close, stop, task }
    }

    /// The address in the configuration.
    pub(crate) fn configured(&self) -> SocketAddr {
        self.configured
    }

    /// The address really bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.bound.addresses.first().copied().unwrap_or(self.configured)
    }

    /// Its sockets, for whoever goes on with them.
    pub(crate) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Stops accepting, finishes requests that are open or arrive within this time, and stops.
    pub(crate) async fn stop(self, arrive: Duration) {
        let Self { bound, close, stop, mut task, configured: _ } = self;
        close.cancel();
        drop(bound);
        // `stop` ends a connection whose first request has not been read, even if that has come just then.
        tokio::time::sleep(arrive).await;
        stop.cancel();
        if tokio::time::timeout(FINISH, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// A listening socket that is closed before the connections that came by it.
struct Door {
    socket: Option<TcpListener>,
    closed: CancellationToken,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        if let Some(socket) = &mut self.socket
            && let Some(accepted) = self.closed.run_until_cancelled(Listener::accept(socket)).await
        {
            return accepted;
        }
        self.socket = None;
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.as_ref().map_or_else(|| Err(io::ErrorKind::NotConnected.into()), TcpListener::local_addr)
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
        .layer(middleware::from_fn(refuse_browsers))
        .with_state(handle)
}

/// A web page that someone on this machine visits must not reach what only an operator may. Browsers say where a request
/// comes from: the Fetch standard's `Origin`, and `Sec-Fetch-Site`, which is `none` when a person typed the address.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    let from_page = |headers: &HeaderMap| {
        let site = headers.get("sec-fetch-site");
        headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
    };
    if from_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "the admin address does not answer web pages\n").into_response();
    }
    next.run(request).await
}

async fn ready(State(gateway): State<Handle>) -> Response {
    if gateway.is_ready() {
        return "ready\n".into_response();
    }
    let why = if gateway.readiness().is_draining() { "draining\n" } else { "starting\n" };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn config(State(gateway): State<Handle>) -> Response {
    let config = gateway.config();
    ([(header::CONTENT_TYPE, "application/toml")], format!("# sha256 {}\n{}", config.hash, config.to_toml()))
        .into_response()
}

/// `?dry_run=true` asks for a forecast.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HowToReload {
    #[serde(default)]
    dry_run: bool,
}

async fn reload(State(gateway): State<Handle>, Query(how): Query<HowToReload>) -> Response {
    let report = if how.dry_run { gateway.rehearse_reload().await } else { gateway.reload().await };
    match report {
        Ok(report) => Json(report).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "faults": error.faults() }))).into_response(),
    }
}

async fn drain(State(gateway): State<Handle>) -> Response {
    gateway.request_drain();
    (StatusCode::ACCEPTED, "draining\n").into_response()
}
