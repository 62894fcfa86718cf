//! WebSockets: the same router and filters as other requests, then a relay of bytes in both
//! directions with minimal memory.

mod handshake;
mod relay;

pub(crate) use relay::Relay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use tokio::io::AsyncWriteExt as _;

use crate::serving::answer::{Answer, Form};
use crate::serving::filters::{self, Exchange, WebSocket};
use crate::serving::head::Head;
use crate::serving::record::{About, End, Protocol, Record};
use crate::serving::shared::Shared;
use crate::serving::snapshot::{LeadsTo, Route, Snapshot};
use crate::serving::stream::ClientStream;
use crate::serving::upstream::{Attempt, Key, Outcome, Upstream, UpstreamStream};
use handshake::{Handshake, Reply};

/// Timeout for sending a response that ends the connection.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The result of a WebSocket request.
pub(crate) enum Opened {
    /// The tunnel is open.
    Relay(Box<Relay>),
    /// The response was sent and the connection closed.
    Ended,
    /// No route accepts WebSockets for this request, which is still unread.
    Ordinary(Box<ClientStream>),
}

/// Opens a WebSocket, or sends an error response.
pub(crate) async fn open(
    shared: &Shared,
    snapshot: Arc<Snapshot>,
    mut stream: Box<ClientStream>,
    head: &Head,
    mut request: Parts,
) -> Opened {
    let facts = stream.facts();
    let mut record = Record::new(snapshot, &facts, Instant::now());
    let exchange = Exchange::new(shared, &mut record, facts, &mut request);
    let admitted = filters::admit_websocket(exchange);
    let mut session = Session { record, upstream: String::new() };
    let route = match admitted {
        WebSocket::Ignored => return Opened::Ordinary(stream),
        WebSocket::Admitted(route) => route,
        WebSocket::Refused(refusal) => {
            stream.take_ahead(head.len);
            session.finish(refusal.status, 0);
            stream.refuse(refusal.answer(Form::of(&request.headers, true))).await;
            return Opened::Ended;
        }
    };
    stream.take_ahead(head.len);
    match Box::pin(connect(&route, &mut request, session, stream)).await {
        Ok(relay) => Opened::Relay(relay),
        Err(refused) => {
            refused.answer(Form::of(&request.headers, true)).await;
            Opened::Ended
        }
    }
}

/// The record of a WebSocket, from its request to its close.
pub(crate) struct Session {
    record: Record,
    /// The target that accepted the connection.
    upstream: String,
}

struct Refused {
    session: Session,
    stream: Box<ClientStream>,
    reply: Reply,
}

async fn connect(
    route: &Arc<Route>,
    request: &mut Parts,
    mut session: Session,
    stream: Box<ClientStream>,
) -> Result<Box<Relay>, Refused> {
    let unavailable = Reply::Gateway(503, "The service behind this site is not available.");
    let LeadsTo::Upstream(upstream) = &route.leads_to else {
        let reply = Reply::Gateway(404, "There is nothing here.");
        return Err(Refused { session, stream, reply });
    };
    let Ok(admission) = upstream.admit(true) else {
        return Err(Refused { session, stream, reply: unavailable });
    };
    let reached = reach(upstream, request, &mut session.record.about).await;
    let Some((attempt, connected)) = reached else {
        return Err(Refused { session, stream, reply: unavailable });
    };
    session.upstream.clone_from(&attempt.target().label);
    if let Some(span) = &session.record.about.span {
        span.propagate(&mut request.headers);
    }
    match handshake::perform(connected, request, route.config.timeouts.first_byte).await {
        Ok(Handshake { upstream, answer, rest }) => {
            attempt.note(Outcome::Answered);
            // The span of the attempt ends with the response, the request with the WebSocket.
            session.end_attempt(Ok(101));
            let held = (admission, attempt);
            Ok(Relay::new(*stream, upstream, answer, &rest, route, held, session))
        }
        Err(reply) => {
            session.end_attempt(match &reply {
                Reply::Gateway(..) => Err("websocket"),
                Reply::Upstream(status, _) => Ok(*status),
            });
            let failed = matches!(reply, Reply::Gateway(..) | Reply::Upstream(502..=504, _));
            attempt.note(if failed { Outcome::Failed("websocket") } else { Outcome::Answered });
            Err(Refused { session, stream, reply })
        }
    }
}

/// Connects to a target; tries others after a connect error.
async fn reach(
    upstream: &Arc<Upstream>,
    request: &Parts,
    about: &mut About,
) -> Option<(Attempt, UpstreamStream)> {
    let key = Key::of(&upstream.config().balance, &request.headers, about.client);
    let mut tried = Vec::new();
    loop {
        let attempt = upstream.pick(key, &tried).await.ok()?;
        let target = Arc::clone(attempt.target());
        if let Some(span) = &mut about.span {
            span.begin_attempt(&target);
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
                if !upstream.take_retry(tried.len()) {
                    return None;
                }
            }
        }
    }
}

impl Refused {
    /// Sends the response and closes the connection.
    async fn answer(mut self, form: Form) {
        match self.reply {
            Reply::Gateway(status, detail) => {
                self.session.finish(status, 0);
                let answer = Answer::error(status, detail, form).with("retry-after", "2");
                self.stream.refuse(answer).await;
            }
            // The response of the service, such as 401, is forwarded.
            Reply::Upstream(status, bytes) => {
                self.session.finish(status, bytes.len() as u64);
                let write = async {
                    self.stream.write_all(&bytes).await?;
                    self.stream.shutdown().await
                };
                let _ = tokio::time::timeout(LAST_WORDS, write).await;
            }
        }
    }
}

impl Session {
    /// Ends the attempt's span with the target's status or the error.
    fn end_attempt(&mut self, outcome: Result<u16, &'static str>) {
        let Some(span) = &mut self.record.about.span else { return };
        match outcome {
            Ok(status) => span.answered(status),
            Err(reason) => span.failed(reason),
        }
        span.end_attempt();
    }

    /// Counts, logs and traces the request. `sent` is the number of bytes to the client.
    fn finish(&mut self, status: u16, sent: u64) {
        self.record.finish(&End {
            method: "GET",
            protocol: Protocol::WebSocket,
            status,
            received: 0,
            sent,
            upstream: &self.upstream,
            failure: None,
        });
    }
}
