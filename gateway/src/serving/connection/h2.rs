//! HTTP/2: Pingora's, within limits of ours.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use gateway_config::Limits;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp as _};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Service;
use crate::serving::held::SEND_BUFFER;
use crate::serving::proxy::{Pace, Proxy};
use crate::serving::shared::Shared;
use crate::serving::stream::ClientStream;

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for the body of a request, per stream and per connection: requests here are small.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves streams until the connection ends.
pub(super) async fn serve(service: Arc<Service>, mut stream: Box<ClientStream>) {
    let shared = service.shared();
    let (options, server, header_timeout, body_timeout) = {
        let snapshot = shared.snapshot.load();
        let limits = &snapshot.config().limits;
        let mut server = HttpServerOptions::default();
        server.h2_idle_timeout = Some(limits.keepalive_timeout);
        (h2_options(limits), server, limits.header_timeout, limits.body_timeout)
    };
    // Pingora waits for the preface without a deadline.
    let until = Instant::now() + header_timeout;
    while stream.ahead().len() < PREFACE.len() {
        if !PREFACE.starts_with(stream.ahead()) {
            return;
        }
        match tokio::time::timeout_at(until, stream.read_ahead()).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
    }
    stream.describe();
    let mut draining = shared.drain.subscribe();
    if *draining.borrow() && !shared.drain.idle_may_ask() {
        return;
    }
    let app = Arc::new(App {
        proxy: Arc::clone(service.proxy()),
        shared: Arc::clone(shared),
        options,
        server,
        body_timeout,
        asked: Notify::new(),
    });
    let (shut_down, shutdown) = watch::channel(false);
    let serving = async {
        app.process_new(stream, &shutdown).await;
    };
    let announcing = async {
        // An error means that the data plane is gone.
        let begun = draining.wait_for(|draining| *draining).await.is_ok();
        if begun && shared.drain.idle_may_ask() {
            // GOAWAY (RFC 9113 section 6.8) before its first request would turn away a client that
            // has just come.
            let _asked = tokio::time::timeout(header_timeout, app.asked.notified()).await;
        }
        shut_down.send_replace(true);
        std::future::pending().await
    };
    tokio::select! {
        () = serving => {}
        () = announcing => {}
    }
}

fn h2_options(limits: &Limits) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(limits.h2_concurrent_streams)
        .max_header_list_size(limits.header_bytes)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        // CVE-2023-44487 (rapid reset) and CVE-2025-8671 (made to reset).
        .max_pending_accept_reset_streams(limits.h2_pending_resets as usize)
        .max_local_error_reset_streams(Some(limits.h2_pending_resets as usize))
        .max_concurrent_reset_streams(limits.h2_pending_resets as usize);
    options
}

/// Pingora's proxy with the options of the snapshot that the connection began with.
struct App {
    proxy: Arc<HttpProxy<Proxy>>,
    shared: Arc<Shared>,
    options: H2Options,
    server: HttpServerOptions,
    body_timeout: Duration,
    /// Notified by every request; keeps that there was one.
    asked: Notify,
}

impl HttpServerApp for App {
    // What `async fn` would stand for, so that the proxy's future is not put into a second box.
    fn process_new_http<'s, 'w, 'f>(
        self: &'s Arc<Self>,
        mut session: ServerSession,
        shutdown: &'w ShutdownWatch,
    ) -> BoxFuture<'f, Option<ReusedHttpStream>>
    where
        's: 'f,
        'w: 'f,
        Self: 'f,
    {
        self.asked.notify_one();
        if session.is_body_done() {
            return self.proxy.process_new_http(session, shutdown);
        }
        let head = session.req_header_mut();
        let pace = Pace::new(head.method.clone());
        head.extensions_mut().insert(Arc::clone(&pace));
        Box::pin(async move {
            tokio::select! {
                biased;
                reused = self.proxy.process_new_http(session, shutdown) => reused,
                // What is dropped here resets the stream (RFC 9113 section 8.1: an answer may end
                // before its request does).
                () = pace.stalls(self.body_timeout) => {
                    self.shared.metrics.request_refused("body_timeout");
                    None
                }
            }
        })
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.options.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.server)
    }
}
