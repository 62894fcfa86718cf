//! WebSockets: the same router and filters as everything else, then bytes in both directions with
//! next to nothing held.

mod handshake;
mod relay;

pub(crate) use relay::Relay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use tokio::io::AsyncWriteExt as _;

use crate::metrics::HttpVersion;
use crate::serving::access_log::AccessRecord;
use crate::serving::answer::{Answer, Form};
use crate::serving::connection::refuse;
use crate::serving::filters::{self, About, Exchange};
use crate::serving::head::Head;
use crate::serving::plane::Plane;
use crate::serving::proxy::balance_key;
use crate::serving::snapshot::{LeadsTo, Route, Snapshot};
use crate::serving::stream::ClientStream;
use crate::serving::upstream::{Attempt, Outcome, Upstream, UpstreamStream};
use handshake::{Reply, Shaken};

/// What became of a request for a WebSocket.
pub(crate) enum Opened {
    /// It is one now.
    Relay(Box<Relay>),
    /// It was answered, and the connection is over.
    Ended,
}

/// Whether a request for a WebSocket goes to a route that has them; otherwise it is a request like
/// any other, as a server may ignore `Upgrade` (RFC 9110 section 7.8).
pub(crate) fn is_wanted(
    plane: &Plane,
    snapshot: &Snapshot,
    stream: &ClientStream,
    request: &mut Parts,
) -> bool {
    let facts = stream.facts();
    let mut about = About::new(&facts);
    let started = Instant::now();
    let exchange = Exchange {
        shared: &plane.shared,
        snapshot,
        facts,
        request,
        started,
        upgrade: true,
        about: &mut about,
    };
    filters::find_route(exchange).is_some_and(|route| route.config.websocket)
}

/// Opens a WebSocket, or answers why not. The head is taken from what was read ahead.
pub(crate) async fn open(
    plane: &Arc<Plane>,
    snapshot: Arc<Snapshot>,
    mut stream: Box<ClientStream>,
    head: &Head,
    mut request: Parts,
) -> Opened {
    let started = Instant::now();
    stream.take_ahead(head.len);
    let facts = stream.facts();
    let mut about = About::new(&facts);
    let exchange = Exchange {
        shared: &plane.shared,
        snapshot: &snapshot,
        facts,
        request: &mut request,
        started,
        upgrade: true,
        about: &mut about,
    };
    let admitted = filters::admit(exchange);
    let mut log = Log { snapshot: Arc::clone(&snapshot), about, started, upstream: String::new() };
    let route = match admitted {
        Ok(route) => route,
        Err(refusal) => {
            let answer = refusal.answer(Form::of(&log.about.path, &request.headers));
            log.write(refusal.status, 0);
            refuse(&mut stream, answer).await;
            return Opened::Ended;
        }
    };
    match Box::pin(connect(&route, &mut request, log, stream)).await {
        Ok(relay) => Opened::Relay(relay),
        Err(Refused { mut log, mut stream, reply }) => {
            match reply {
                Reply::Gateway(status, detail) => {
                    log.write(status, 0);
                    let answer =
                        Answer::error(status, detail, Form::of(&log.about.path, &request.headers));
                    refuse(&mut stream, answer.with("retry-after", "2")).await;
                }
                Reply::Upstream(status, octets) => {
                    log.write(status, octets.len() as u64);
                    // The service's own answer, such as 401, is for the client to see. The
                    // connection ends with it.
                    let write = async {
                        stream.write_all(&octets).await?;
                        stream.shutdown().await
                    };
                    let _ = tokio::time::timeout(LAST_WORDS, write).await;
                }
            }
            Opened::Ended
        }
    }
}

/// Longest time for an answer that ends the connection.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is needed for the access log when the WebSocket ends.
pub(crate) struct Log {
    snapshot: Arc<Snapshot>,
    about: About,
    started: Instant,
    upstream: String,
}

struct Refused {
    log: Log,
    stream: Box<ClientStream>,
    reply: Reply,
}

async fn connect(
    route: &Arc<Route>,
    request: &mut Parts,
    mut log: Log,
    stream: Box<ClientStream>,
) -> Result<Box<Relay>, Refused> {
    let unavailable = Reply::Gateway(503, "The service behind this site is not available.");
    let LeadsTo::Upstream(upstream) = &route.leads_to else {
        return Err(Refused { log, stream, reply: Reply::Gateway(404, "There is nothing here.") });
    };
    let Ok(admission) = upstream.admit(true) else {
        return Err(Refused { log, stream, reply: unavailable });
    };
    let Some((attempt, connected)) = reach(upstream, request, &mut log.about).await else {
        return Err(Refused { log, stream, reply: unavailable });
    };
    log.upstream.clone_from(&attempt.target().label);
    if let Some(span) = &log.about.span {
        span.tell(&mut request.headers);
    }
    match handshake::shake(connected, request, route.config.timeouts.first_byte).await {
        Ok(Shaken { upstream, answer, rest }) => {
            attempt.note(Outcome::Answered);
            // The attempt ends with its answer, the request with the WebSocket.
            log.attempt_ended(Ok(101));
            Ok(Relay::new(*stream, upstream, answer, rest, route, admission, attempt, log))
        }
        Err(reply) => {
            log.attempt_ended(match &reply {
                Reply::Gateway(..) => Err("websocket"),
                Reply::Upstream(status, _) => Ok(*status),
            });
            let failed = matches!(reply, Reply::Gateway(..) | Reply::Upstream(502..=504, _));
            attempt.note(if failed { Outcome::Failed("websocket") } else { Outcome::Answered });
            Err(Refused { log, stream, reply })
        }
    }
}

/// Connects to a target, trying others when one cannot be reached.
async fn reach(
    upstream: &Arc<Upstream>,
    request: &Parts,
    about: &mut About,
) -> Option<(Attempt, UpstreamStream)> {
    let key = balance_key(upstream, &request.headers, about.client);
    let mut tried = Vec::new();
    loop {
        let attempt = upstream.pick(key, &tried).await.ok()?;
        let target = Arc::clone(attempt.target());
        if let Some(span) = &mut about.span {
            span.asks(&target);
        }
        match target.address.connect(upstream.config().connect_timeout).await {
            Ok(connected) => return Some((attempt, connected)),
            Err(error) => {
                tracing::debug!(upstream = upstream.name(), target = %target.label, %error, "cannot connect");
                attempt.note(Outcome::Failed("connect"));
                if let Some(span) = &mut about.span {
                    span.failed("connect");
                }
                tried.push(target);
                if !upstream.may_retry(tried.len()) {
                    return None;
                }
            }
        }
    }
}

impl Log {
    /// Notes in the trace what the target said, or why it said nothing.
    fn attempt_ended(&mut self, outcome: Result<u16, &'static str>) {
        let Some(span) = &mut self.about.span else { return };
        match outcome {
            Ok(status) => span.answered(status),
            Err(reason) => span.failed(reason),
        }
        span.is_over();
    }

    fn write(&mut self, status: u16, bytes: u64) {
        if let Some(route) = &self.about.route {
            route.metrics.answered(status, HttpVersion::H1);
        }
        let span = self.about.span.take();
        let record = AccessRecord {
            method: "GET",
            host: self
                .about
                .host
                .as_ref()
                .map(crate::serving::router::Host::as_str)
                .unwrap_or_default(),
            path: &self.about.path,
            status,
            bytes,
            began: self.started,
            ended: Instant::now(),
            route: self
                .about
                .route
                .as_ref()
                .map(|route| route.config.name.as_str())
                .unwrap_or_default(),
            upstream: &self.upstream,
            protocol: "websocket",
            request_id: &self.about.request_id,
            client: self.about.client,
            refused: self.about.refused,
        };
        let access_log = &self.snapshot.access_log;
        access_log.record(&record);
        if let (Some(tracer), Some(span)) = (&self.snapshot.tracer, span) {
            tracer.finish(span, &record, self.about.secure, access_log.named(record.client), None);
        }
    }
}
