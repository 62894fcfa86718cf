//! HTTP/1.1: reads and validates the head of each request, with a timeout, before Pingora parses
//! it.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp as _;
use pingora::protocols::IO;
use pingora::protocols::http::ServerSession;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::Service;
use super::reject::{reject_head, reject_late, reject_malformed};
use super::request_head::{NoHead, read_head};
use crate::serving::answer::Answer;
use crate::serving::head::{Head, Upgrade};
use crate::serving::shared::Shared;
use crate::serving::snapshot::Snapshot;
use crate::serving::stream::ClientStream;
use crate::serving::tunnel::{self, Opened, Relay};

/// Timeout for closing a connection.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves requests until the connection ends or becomes a WebSocket. Returns the relay of the
/// WebSocket.
pub(super) async fn serve(
    service: Arc<Service>,
    mut stream: Box<ClientStream>,
) -> Option<Box<Relay>> {
    let shared = service.shared();
    let mut draining = shared.drain.subscribe();
    let mut served = 0_u32;
    loop {
        let snapshot = shared.snapshot.load_full();
        let limits = &snapshot.config().limits;
        let wait = if served == 0 { limits.header_timeout } else { limits.keepalive_timeout };
        let read = read_head(&shared.drain, &mut stream, limits, wait, &mut draining).await;
        let head = match read {
            Ok(head) => head,
            Err(NoHead::Ended) => {
                // Errors are ignored: the client may have left.
                let _ = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
                return None;
            }
            Err(NoHead::Late) => {
                reject_late(shared, &mut stream).await;
                return None;
            }
            Err(NoHead::Bad(error)) => {
                reject_malformed(shared, &mut stream, error).await;
                return None;
            }
        };
        served = served.saturating_add(1);
        let last = served >= limits.keepalive_requests;
        stream = match open_websocket(shared, snapshot, stream, &head).await {
            Opened::Ordinary(stream) => stream,
            Opened::Relay(relay) => return Some(relay),
            Opened::Ended => return None,
        };
        stream = proxy(&service, stream, &head, last, &draining).await?;
    }
}

/// Opens or rejects a WebSocket if the request is a WebSocket request.
async fn open_websocket(
    shared: &Shared,
    snapshot: Arc<Snapshot>,
    mut stream: Box<ClientStream>,
    head: &Head,
) -> Opened {
    let answer = match head.upgrade {
        Upgrade::None => return Opened::Ordinary(stream),
        Upgrade::WebSocket => {
            let text = stream.ahead().get(..head.len).expect("the buffer contains the parsed head");
            return match head.to_request(text) {
                Some(request) => {
                    Box::pin(tunnel::open(shared, snapshot, stream, head, request)).await
                }
                None => Opened::Ordinary(stream),
            };
        }
        // RFC 6455 section 4.4.
        Upgrade::WrongVersion => Answer::plain(426, "WebSocket version 13 is required.")
            .with("sec-websocket-version", "13")
            .with("upgrade", "websocket"),
        Upgrade::Malformed => Answer::plain(400, "The WebSocket handshake is malformed."),
    };
    reject_head(shared, &mut stream, "websocket", answer).await;
    Opened::Ended
}

/// Passes one request to Pingora. Returns the connection if it stays open.
async fn proxy(
    service: &Service,
    mut stream: Box<ClientStream>,
    head: &Head,
    last: bool,
    draining: &watch::Receiver<bool>,
) -> Option<Box<ClientStream>> {
    stream.begin(head);
    stream.describe();
    let io: Box<dyn IO> = stream;
    let mut session = ServerSession::new_http1(io);
    let last = last || *draining.borrow();
    session.set_keepalive_reuses_remaining(Some(if last { 0 } else { 1 }));
    let reused = service.proxy().process_new_http(session, draining).await?;
    let (io, _) = reused.consume();
    let stream = io.into_any().downcast::<ClientStream>();
    let mut stream = stream.expect("Pingora returns the stream that was passed in");
    stream.finish();
    Some(stream)
}
