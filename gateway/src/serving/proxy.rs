//! Every request except admitted WebSocket requests: Pingora's proxy with our router, filters,
//! files, upstreams and responses. The hooks are in the order in which Pingora calls them.

mod admit;
mod answers;
mod context;
mod event_stream;
mod failure;
mod forwarding;
mod pace;
mod plain;
mod site;

pub(crate) use pace::Pace;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

use crate::serving::filters::{PageKind, harden};
use crate::serving::shared::Shared;
use crate::serving::upstream::Outcome;
use context::Context;
use event_stream::EventStream;

/// The application that Pingora runs for each request.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new()
    }

    /// Registers no modules: Pingora's compression would buffer event streams, and files are
    /// compressed at build time.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        admit::admit(&self.shared, session, context).await
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let work = context.work();
        let forwarding = work.forwarding.as_mut().expect("an admitted request");
        forwarding.begin_attempt(&session.req_header().headers, &mut work.record).await
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        if let Some(span) = &context.work().record.about.span {
            plain::with_request(request, |request| span.propagate(&mut request.headers));
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
        let work = context.work();
        if end {
            work.forwarding().request_sent();
        }
        if let Some(pace) = &work.pace {
            pace.saw();
        }
        let Some(body) = body else { return Ok(()) };
        work.body_received += body.len() as u64;
        if work.body_received > work.forwarding().route.config.body_limit {
            self.shared.metrics.request_refused("body");
            return Err(Error::new_down(ErrorType::HTTPStatus(413)));
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(failure::connect_failed(context.work()));
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Context,
        _: bool,
    ) -> Box<Error> {
        failure::attempt_failed(&self.shared, session, context.work(), error)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        let work = context.work();
        if let Some(holding) = &work.holding {
            holding.head(head_bytes(response));
        }
        if response.status.is_informational() {
            return Ok(());
        }
        if let Some(span) = &mut work.record.about.span {
            span.answered(response.status.as_u16());
        }
        let outcome = match response.status.as_u16() {
            502..=504 => Outcome::Failed("status"),
            _ => Outcome::Answered,
        };
        work.forwarding().note(outcome);
        work.forwarding().answer_begun();
        if has_no_body(&session.req_header().method, response) {
            work.end_answer();
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
        if response.status.is_informational() {
            return Ok(());
        }
        let started = context.started;
        let work = context.work();
        plain::with_response(response, |response| {
            let hsts = work.record.snapshot.hsts.as_ref();
            harden(&mut response.headers, &work.record.about, hsts, PageKind::Data);
        });
        if is_event_stream(response) {
            let metrics = Arc::clone(&work.forwarding().route.metrics);
            work.event_stream = Some(EventStream::begin(metrics, started));
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
        let work = context.work();
        let len = body.as_ref().map_or(0, Bytes::len);
        work.body_passed += len as u64;
        if let Some(holding) = &work.holding {
            holding.piece(len, session.body_bytes_sent());
        }
        if let Some(stream) = &mut work.event_stream {
            stream.saw(len, end);
        }
        if end {
            work.end_answer();
        }
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let error_code = match context.begun_work() {
            Some(work) => failure::answer(&self.shared, session, work, error).await,
            None => 0,
        };
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        context.finish(session, error);
        answers::part_early(session, error.is_some() || context.has_attempt()).await;
    }

    /// Failures are counted, and the access log has them; Pingora's lines would contain paths with
    /// their queries.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Context,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Approximate size of a head on the wire.
fn head_bytes(response: &ResponseHeader) -> usize {
    let fields = response.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    fields.sum::<usize>() + "HTTP/1.1 200 OK\r\n\r\n".len()
}

/// Whether a response ends with its head (RFC 9112 section 6.3).
fn has_no_body(method: &Method, response: &ResponseHeader) -> bool {
    let length = response
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.trim().parse().ok());
    *method == Method::HEAD
        || matches!(response.status.as_u16(), 204 | 304)
        || length == Some(0_u64)
}

fn is_event_stream(response: &ResponseHeader) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let kind = response.headers.get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.as_bytes().get(..EVENT_STREAM.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
}
