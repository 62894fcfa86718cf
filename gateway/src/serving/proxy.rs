//! Everything that is not a WebSocket: Pingora's proxy with our router, filters, files, upstreams
//! and answers.

mod answers;
mod context;
mod event_stream;
mod pace;
mod plain;
mod site;

pub(crate) use pace::Pace;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gateway_config::Balance;
use http::{Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use crate::serving::answer::{Answer, Form};
use crate::serving::filters::{self, About, BODY_TOO_LARGE, Exchange, PageKind, harden};
use crate::serving::held::Full;
use crate::serving::plane::Shared;
use crate::serving::snapshot::LeadsTo;
use crate::serving::stream::facts_of;
use crate::serving::upstream::{Key, Late, Outcome, Patience, Unavailable, Upstream};
use context::{Context, Work};
use event_stream::EventStream;

/// The application that Pingora runs for each request.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

/// Longest time to read away a request body that nobody wants, before the connection is closed
/// instead.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

impl Proxy {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn admit(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let snapshot = self.shared.snapshot.load_full();
        let facts = facts_of(session.digest());
        let form = Form::of(session.req_header().uri.path(), &session.req_header().headers);
        let outlet = facts.outlet.clone();
        let mut about = About::new(&facts);
        let admitted = plain::with_request(session.req_header_mut(), |request| {
            let (shared, snapshot, started) = (&*self.shared, &*snapshot, context.started);
            filters::admit(Exchange {
                shared,
                snapshot,
                facts,
                request,
                started,
                upgrade: false,
                about: &mut about,
            })
        });
        session.set_read_timeout(Some(snapshot.config().limits.body_timeout));
        session.set_write_timeout(Some(snapshot.config().limits.send_timeout));
        session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
        let pace = session.req_header().extensions.get().map(Arc::clone);
        let work = context.work.insert(Work::new(snapshot, about, form, pace, outlet));
        let most = work.snapshot.config().limits.held_bytes_per_address;
        match self.shared.holdings.enter(work.about.client, most, work.outlet.is_some()) {
            Ok(holding) => work.holding = Some(holding),
            Err(Full) => {
                self.shared.metrics.request_refused("held_bytes");
                work.about.refused = Some("held_bytes");
                // Without a body, which would wait for the client's window.
                answers::write(session, work, Answer::empty(503).with("retry-after", "2")).await?;
                return Ok(true);
            }
        }
        let route = match admitted {
            Ok(route) => route,
            Err(refusal) => {
                answers::write(session, work, refusal.answer(form)).await?;
                return Ok(true);
            }
        };
        route.metrics.in_flight.inc();
        work.counted = true;
        match &route.leads_to {
            LeadsTo::Upstream(upstream) => match upstream.admit(false) {
                Ok(admission) => {
                    work.admission = Some(admission);
                    return Ok(false);
                }
                Err(unavailable) => {
                    answers::write(session, work, answers::unavailable(unavailable, form)).await?
                }
            },
            LeadsTo::Site(site) => site::answer(session, work, site).await?,
            LeadsTo::Redirect { location, status } => {
                let location = match location.strip_suffix('*') {
                    Some(base) => {
                        let target = String::from_utf8_lossy(session.req_header().raw_path());
                        format!("{base}{}", target.strip_prefix('/').unwrap_or(&target))
                    }
                    None => location.clone(),
                };
                let answer = Answer::text(status.as_u16(), "").with("location", &location);
                answers::write(session, work, answer).await?;
            }
            LeadsTo::Respond { status, body } => {
                answers::write(session, work, Answer::text(status.as_u16(), body)).await?;
            }
        }
        Ok(true)
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new()
    }

    /// None: Pingora's compression would hold event streams back, and files are compressed when
    /// they are built.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        self.admit(session, context).await
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let work = context.work.as_mut().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let (Some(route), Some(upstream)) = (&work.about.route, work.upstream()) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let key = balance_key(&upstream, &session.req_header().headers, work.about.client);
        let attempt = match upstream.pick(key, &work.tried).await {
            Ok(attempt) => attempt,
            // All were tried: the first one again is better than an error that a retry was allowed
            // to avoid.
            Err(_) if !work.tried.is_empty() => {
                upstream.pick(key, &[]).await.map_err(|_| unavailable())?
            }
            Err(_) => return Err(unavailable()),
        };
        let timeouts = &route.config.timeouts;
        let body = work.snapshot.config().limits.body_timeout;
        let Some(holding) = work.holding.as_ref().map(Arc::clone) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let call = attempt
            .call(Patience { body, first_byte: timeouts.first_byte, idle: timeouts.idle }, holding);
        let peer = call.peer();
        work.attempts += 1;
        if let Some(span) = &mut work.about.span {
            span.asks(attempt.target());
        }
        work.attempt = Some(attempt);
        work.call = Some(call);
        Ok(peer)
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        if let Some(span) = context.work.as_ref().and_then(|work| work.about.span.as_ref()) {
            plain::with_request(request, |request| span.tell(&mut request.headers));
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<()> {
        let Some(work) = &mut context.work else { return Ok(()) };
        if end && let Some(call) = &work.call {
            call.sent();
        }
        if let Some(pace) = &work.pace {
            pace.saw();
        }
        let Some(body) = body else { return Ok(()) };
        work.body_received += body.len() as u64;
        let limit = work.about.route.as_ref().map_or(0, |route| route.config.body_limit);
        if work.body_received > limit {
            self.shared.metrics.request_refused("body");
            return Err(Error::new_down(ErrorType::HTTPStatus(413)));
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        let Some(work) = &mut context.work else { return Ok(()) };
        if let Some(holding) = &work.holding {
            holding.head(head_bytes(response));
        }
        if response.status.is_informational() {
            return Ok(());
        }
        if let Some(span) = &mut work.about.span {
            span.answered(response.status.as_u16());
        }
        let outcome = if matches!(response.status.as_u16(), 502..=504) {
            Outcome::Failed("status")
        } else {
            Outcome::Answered
        };
        work.note(outcome);
        if let Some(call) = &work.call {
            call.begun();
        }
        if has_no_body(&session.req_header().method, response) {
            work.answer_is_over();
        }
        work.status = response.status.as_u16();
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        let Some(work) = &mut context.work else { return Ok(()) };
        if response.status.is_informational() {
            return Ok(());
        }
        plain::with_response(response, |response| {
            harden(&mut response.headers, &work.about, work.snapshot.hsts.as_ref(), PageKind::Data);
        });
        let is_event_stream = response.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes()
                .get(..17)
                .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
        });
        if let Some(route) = &work.about.route
            && is_event_stream
        {
            work.event_stream =
                Some(EventStream::begin(Arc::clone(&route.metrics), context.started));
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        let Some(work) = &mut context.work else { return Ok(None) };
        let len = body.as_ref().map_or(0, Bytes::len);
        work.body_passed += len as u64;
        if let Some(holding) = &work.holding {
            holding.piece(len, session.body_bytes_sent());
        }
        if let Some(stream) = &mut work.event_stream {
            stream.saw(len, end);
        }
        if end {
            work.answer_is_over();
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent: any request may be tried elsewhere, if the budget allows it.
        let retry = context.work.as_mut().is_some_and(|work| {
            if let Some(span) = &mut work.about.span {
                span.failed("connect");
            }
            work.note(Outcome::Failed("connect"));
            work.may_retry()
        });
        error.set_retry(retry);
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Context,
        _: bool,
    ) -> Box<Error> {
        let mut retry = false;
        let late = context.work.as_ref().and_then(|work| work.call.as_ref()?.late());
        // The target waits for the rest of the request, as the gateway does: that is the client's
        // doing, and must not get a target ejected.
        if late == Some(Late::Body)
            || (*error.etype() == ErrorType::ReadTimedout
                && *error.esource() == ErrorSource::Downstream)
        {
            self.shared.metrics.request_refused("body_timeout");
            error = Error::new_down(ErrorType::HTTPStatus(408));
        } else if let Some(work) = &mut context.work
            && *error.esource() == ErrorSource::Upstream
        {
            let reason = late.map_or("reset", Late::as_str);
            if let Some(span) = &mut work.about.span {
                span.failed(reason);
            }
            // A kept connection that was closed meanwhile says nothing about the target.
            if late.is_some() || work.call.as_ref().is_none_or(|call| !call.reused()) {
                work.note(Outcome::Failed(reason));
            }
            if late.is_some() {
                error.etype = ErrorType::ReadTimedout;
            }
            // Only when it cannot have done anything twice, and the client has not seen anything
            // yet.
            let repeatable = session.req_header().method.is_idempotent()
                && !session.as_ref().retry_buffer_truncated();
            retry = repeatable
                && late.is_none()
                && session.response_written().is_none()
                && work.may_retry();
        }
        error.set_retry(retry);
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let nobody = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(code) = answers::status(error) else { return nobody };
        let Some(work) = &mut context.work else { return nobody };
        if let Some(stream) = &mut work.event_stream
            && *error.esource() == ErrorSource::Upstream
        {
            stream.broke_off();
        }
        if session.response_written().is_none() {
            let answer = match code {
                400 if answers::is_malformed_body(error) => {
                    self.shared.metrics.request_refused("body");
                    Answer::error(400, "The body of the request is not well-formed.", work.form)
                }
                408 => Answer::error(
                    408,
                    "The body of the request took too long to arrive.",
                    work.form,
                ),
                413 => Answer::error(413, BODY_TOO_LARGE, work.form),
                502 => {
                    Answer::error(502, "The service behind this site did not answer.", work.form)
                        .with("retry-after", "1")
                }
                503 => answers::unavailable(Unavailable::NoTarget, work.form),
                504 => Answer::error(
                    504,
                    "The service behind this site took too long to answer.",
                    work.form,
                ),
                code => Answer::error(code, "The request could not be served.", work.form),
            };
            session.set_keepalive(None);
            if let Err(error) = answers::write(session, work, answer).await {
                tracing::debug!(%error, "the client did not take the answer");
            }
        }
        FailToProxy { error_code: code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        context.finish(session, error);
        answers::part_early(session, error.is_some() || context.has_attempt()).await;
    }

    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        // Failures are counted, and said in the access log; Pingora's lines would repeat paths with
        // their queries.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Context,
        _: &Error,
        _: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

fn unavailable() -> Box<Error> {
    let mut error = Error::new_up(ErrorType::HTTPStatus(503));
    error.set_retry(false);
    error
}

/// About how many bytes a head took on its way.
fn head_bytes(response: &ResponseHeader) -> usize {
    let fields = response.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    fields.sum::<usize>() + "HTTP/1.1 200 OK\r\n\r\n".len()
}

/// Whether an answer ends with its head (RFC 9112 section 6.3).
fn has_no_body(method: &Method, response: &ResponseHeader) -> bool {
    let length = response
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.trim().parse().ok());
    *method == Method::HEAD
        || matches!(response.status.as_u16(), 204 | 304)
        || length == Some(0_u64)
}

/// What a request is balanced by: the configured cookie when it has one.
pub(crate) fn balance_key<'h>(
    upstream: &Upstream,
    headers: &'h http::HeaderMap,
    client: IpAddr,
) -> Key<'h> {
    let Balance::Rendezvous { cookie: wanted } = &upstream.config().balance else {
        return Key::Client(client);
    };
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let value = pairs
        .map(<[u8]>::trim_ascii)
        .find_map(|pair| pair.strip_prefix(wanted.as_bytes())?.strip_prefix(b"="));
    value.map_or(Key::Client(client), Key::Cookie)
}
