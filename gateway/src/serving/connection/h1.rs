//! HTTP/1.1: reads the head of each request itself, strictly and in time, before anyone else sees
//! it.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

use std::sync::Arc;
use std::time::Duration;

use gateway_config::Limits;
use pingora::apps::HttpServerApp as _;
use pingora::protocols::IO;
use pingora::protocols::http::ServerSession;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::serving::answer::Answer;
use crate::serving::filters::TooMany;
use crate::serving::head::{Head, HeadError, HeadLimits, HeadScanner, Upgrade};
use crate::serving::plane::Plane;
use crate::serving::stream::ClientStream;
use crate::serving::tunnel::{self, Opened, Relay};

/// Serves requests until the connection ends or becomes a WebSocket, whose relay is returned.
pub(super) async fn serve(plane: Arc<Plane>, mut stream: Box<ClientStream>) -> Option<Box<Relay>> {
    let mut draining = plane.drain_signal();
    let mut served = 0_u32;
    loop {
        let snapshot = plane.shared.snapshot.load_full();
        let limits = &snapshot.config().limits;
        let wait = if served == 0 { limits.header_timeout } else { limits.keepalive_timeout };
        let head = match read_head(&plane, &mut stream, limits, wait, &mut draining).await {
            Ok(head) => head,
            Err(ReadHead::Ended) => {
                close(&mut stream).await;
                return None;
            }
            Err(ReadHead::Late) => {
                let answer = Answer::plain(408, "The request took too long to arrive.");
                refuse_head(&plane, &mut stream, "head_timeout", answer).await;
                return None;
            }
            Err(ReadHead::Bad(error)) => {
                let answer = Answer::plain(error.status(), &error.to_string());
                refuse_head(&plane, &mut stream, "head", answer).await;
                return None;
            }
        };
        served = served.saturating_add(1);
        match head.upgrade {
            Upgrade::None => {}
            Upgrade::WebSocket => {
                let text = stream.ahead().get(..head.len).unwrap_or_default();
                if let Some(mut request) = head.to_request(text)
                    && tunnel::is_wanted(&plane, &snapshot, &stream, &mut request)
                {
                    return match Box::pin(tunnel::open(&plane, snapshot, stream, &head, request))
                        .await
                    {
                        Opened::Relay(relay) => Some(relay),
                        Opened::Ended => None,
                    };
                }
            }
            // RFC 6455 section 4.4.
            Upgrade::WrongVersion => {
                let answer = Answer::plain(426, "WebSocket version 13 is needed.")
                    .with("sec-websocket-version", "13");
                refuse_head(&plane, &mut stream, "websocket", answer.with("upgrade", "websocket"))
                    .await;
                return None;
            }
            Upgrade::Malformed => {
                let answer = Answer::plain(400, "The WebSocket handshake is malformed.");
                refuse_head(&plane, &mut stream, "websocket", answer).await;
                return None;
            }
        }
        stream.begin(&head);
        stream.describe();
        let io: Box<dyn IO> = stream;
        let mut session = ServerSession::new_http1(io);
        let last = served >= limits.keepalive_requests || *draining.borrow();
        session.set_keepalive_reuses_remaining(Some(if last { 0 } else { 1 }));
        drop(snapshot);
        let reused = plane.proxy.process_new_http(session, &draining).await?;
        let (io, _) = reused.consume();
        stream = io.into_any().downcast::<ClientStream>().ok()?;
        stream.finish();
    }
}

/// Why there is no head.
pub(super) enum ReadHead {
    /// The client left or was idle for too long, or the gateway is stopping: nothing to answer.
    Ended,
    /// It began and did not come to an end.
    Late,
    /// It is not acceptable.
    Bad(HeadError),
}

/// Reads a head ahead. The deadline for all of it runs from its first octet, however many reads it
/// takes; `wait` is for that first octet.
pub(super) async fn read_head(
    plane: &Plane,
    stream: &mut ClientStream,
    limits: &Limits,
    wait: Duration,
    draining: &mut watch::Receiver<bool>,
) -> Result<Head, ReadHead> {
    if stream.ahead().is_empty() {
        stream.rest();
        tokio::select! {
            biased;
            read = tokio::time::timeout(wait, stream.read_ahead()) => match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return Err(ReadHead::Ended),
            },
            // While draining, a connection without a request in it has nothing to wait for.
            () = plane.idle_ends(draining) => return Err(ReadHead::Ended),
        }
    }
    let now = Instant::now();
    let until = now.checked_add(limits.header_timeout).unwrap_or(now);
    let head_limits =
        HeadLimits { bytes: limits.header_bytes as usize, fields: limits.header_fields as usize };
    // RFC 9112 section 2.2: an empty line before a request line is ignored.
    let mut scanner = HeadScanner::default();
    let mut skipped = false;
    loop {
        if !skipped && stream.ahead().starts_with(b"\r\n") {
            stream.take_ahead(2);
            skipped = true;
        }
        if skipped || stream.ahead() != b"\r" {
            skipped = true;
            if let Some(len) =
                scanner.find_end(stream.ahead(), head_limits.bytes).map_err(ReadHead::Bad)?
            {
                let text = stream.ahead().get(..len).unwrap_or_default();
                return Head::parse(text, head_limits).map_err(ReadHead::Bad);
            }
        }
        match tokio::time::timeout_at(until, stream.read_ahead()).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Err(ReadHead::Ended),
            Err(_) => return Err(ReadHead::Late),
        }
    }
}

/// Answers and closes.
pub(crate) async fn refuse(stream: &mut ClientStream, answer: Answer) {
    let write = async {
        stream.write_all(&answer.to_h1()).await?;
        stream.flush().await
    };
    // Whether the client still listens is its own affair.
    if matches!(tokio::time::timeout(FAREWELL, write).await, Ok(Ok(()))) {
        stream.part().await;
    }
}

/// Refuses a request of which no more than its head was looked at: counted, logged, answered.
pub(super) async fn refuse_head(
    plane: &Plane,
    stream: &mut ClientStream,
    why: &'static str,
    answer: Answer,
) {
    let (why, answer) = match count(plane, stream) {
        Ok(()) => (why, answer),
        Err(too_many) => ("rate_limit", too_many.answer()),
    };
    plane.shared.metrics.request_refused(why);
    let client = stream.facts().client.ip();
    plane.shared.snapshot.load().access_log.refused(
        client,
        answer.status.as_u16(),
        why,
        answer.said(),
    );
    refuse(stream, answer).await;
}

/// Counts a request that no filter sees, for the address that connected.
pub(super) fn count(plane: &Plane, stream: &ClientStream) -> Result<(), TooMany> {
    let snapshot = plane.shared.snapshot.load();
    let (client, limits) = (stream.facts().client.ip(), &snapshot.config().limits);
    plane.shared.rate_limits.count(client, limits, std::time::Instant::now())
}

/// Longest time for the last words on a connection.
const FAREWELL: Duration = Duration::from_secs(5);

async fn close(stream: &mut ClientStream) {
    let _ = tokio::time::timeout(FAREWELL, AsyncWriteExt::shutdown(stream)).await;
}
