//! What one request carries through Pingora's hooks, and what is counted when it ends.

use std::sync::Arc;
use std::time::Instant;

use http::{Method, Version};
use pingora::proxy::Session;
use pingora::{Error, ErrorSource};

use super::{EventStream, Pace};
use crate::metrics::HttpVersion;
use crate::serving::access_log::AccessRecord;
use crate::serving::answer::Form;
use crate::serving::filters::About;
use crate::serving::held::{Holding, Outlet};
use crate::serving::snapshot::{LeadsTo, Snapshot};
use crate::serving::upstream::{Admission, Attempt, Call, Outcome, Target, Upstream};

/// A request.
pub(crate) struct Context {
    pub(super) started: Instant,
    pub(super) work: Option<Box<Work>>,
}

/// A request whose head was looked at.
pub(crate) struct Work {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) about: About,
    pub(super) form: Form,
    pub(super) admission: Option<Admission>,
    /// There from when it was admitted.
    pub(super) holding: Option<Arc<Holding>>,
    /// Of the h2 connection that it came by.
    pub(super) outlet: Option<Arc<Outlet>>,
    pub(super) attempt: Option<Attempt>,
    /// The call of the present attempt.
    pub(super) call: Option<Arc<Call>>,
    pub(super) tried: Vec<Arc<Target>>,
    pub(super) attempts: usize,
    pub(super) body_received: u64,
    /// Of the target's answer: its status, and the octets of its body that were passed on.
    pub(super) status: u16,
    pub(super) body_passed: u64,
    /// Of an h2 request with a body.
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) event_stream: Option<EventStream>,
    /// Whether the route counts it as being answered.
    pub(super) counted: bool,
    finished: bool,
}

impl Context {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), work: None }
    }

    /// Whether a target was asked.
    pub(super) fn has_attempt(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.attempt.is_some())
    }

    /// Counts, logs and ends the trace.
    pub(super) fn finish(&mut self, session: &Session, error: Option<&Error>) {
        let Some(work) = &mut self.work else { return };
        let head = session.req_header();
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let bytes = session.body_bytes_sent() as u64;
        let failure = error.map(|error| match error.esource() {
            ErrorSource::Upstream => "upstream",
            ErrorSource::Downstream => "client",
            ErrorSource::Internal | ErrorSource::Unset => "internal",
        });
        work.finish(
            self.started,
            &head.method,
            head.version == Version::HTTP_2,
            status,
            bytes,
            failure,
        );
    }
}

impl Drop for Context {
    /// A request that was given up behind the end of its answer was answered.
    fn drop(&mut self) {
        if let Some(work) = &mut self.work
            && let Some(pace) = work.pace.take()
            && !work.finished
        {
            work.finish(
                self.started,
                &pace.method,
                true,
                work.status,
                work.body_passed,
                Some("client"),
            );
        }
    }
}

impl Work {
    fn finish(
        &mut self,
        started: Instant,
        method: &Method,
        h2: bool,
        status: u16,
        bytes: u64,
        failure: Option<&'static str>,
    ) {
        self.finished = true;
        let ended = Instant::now();
        if let Some(route) = &self.about.route {
            let metrics = &route.metrics;
            metrics.answered(status, if h2 { HttpVersion::H2 } else { HttpVersion::H1 });
            metrics.duration.observe(ended.saturating_duration_since(started).as_secs_f64());
            metrics.request_bytes.inc_by(self.body_received);
            metrics.response_bytes.inc_by(bytes);
        }
        let span = self.about.span.take();
        let access_log = &self.snapshot.access_log;
        if !access_log.enabled() && span.is_none() {
            return;
        }
        let record = AccessRecord {
            method: method.as_str(),
            host: self
                .about
                .host
                .as_ref()
                .map(crate::serving::router::Host::as_str)
                .unwrap_or_default(),
            path: &self.about.path,
            status,
            bytes,
            began: started,
            ended,
            route: self
                .about
                .route
                .as_ref()
                .map(|route| route.config.name.as_str())
                .unwrap_or_default(),
            upstream: self
                .attempt
                .as_ref()
                .map(|attempt| attempt.target().label.as_str())
                .unwrap_or_default(),
            protocol: if h2 { "HTTP/2" } else { "HTTP/1.1" },
            request_id: &self.about.request_id,
            client: self.about.client,
            refused: self.about.refused,
        };
        access_log.record(&record);
        if let (Some(tracer), Some(span)) = (&self.snapshot.tracer, span) {
            tracer.finish(
                span,
                &record,
                self.about.secure,
                access_log.named(record.client),
                failure,
            );
        }
    }
}

impl Work {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        about: About,
        form: Form,
        pace: Option<Arc<Pace>>,
        outlet: Option<Arc<Outlet>>,
    ) -> Box<Self> {
        Box::new(Self {
            snapshot,
            about,
            form,
            admission: None,
            holding: None,
            outlet,
            attempt: None,
            call: None,
            tried: Vec::new(),
            attempts: 0,
            body_received: 0,
            status: 0,
            body_passed: 0,
            pace,
            event_stream: None,
            counted: false,
            finished: false,
        })
    }

    pub(super) fn upstream(&self) -> Option<Arc<Upstream>> {
        match &self.about.route.as_ref()?.leads_to {
            LeadsTo::Upstream(upstream) => Some(Arc::clone(upstream)),
            _ => None,
        }
    }

    /// Tells who waits for it that the answer has ended.
    pub(super) fn answer_is_over(&self) {
        if let Some(call) = &self.call {
            call.over();
        }
        if let Some(pace) = &self.pace {
            pace.answered();
        }
    }

    /// Tells the target's health how the present attempt ended.
    pub(super) fn note(&mut self, outcome: Outcome) {
        if let Some(attempt) = &self.attempt {
            attempt.note(outcome);
        }
    }

    /// Whether another attempt is allowed; the present one is over then, and its target is avoided.
    pub(super) fn may_retry(&mut self) -> bool {
        let allowed = self.upstream().is_some_and(|upstream| upstream.may_retry(self.attempts));
        if allowed && let Some(attempt) = self.attempt.take() {
            self.tried.push(Arc::clone(attempt.target()));
            self.body_received = 0;
            if let Some(holding) = &self.holding {
                holding.restart();
            }
        }
        allowed
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let (Some(holding), Some(outlet)) = (self.holding.take(), &self.outlet) {
            outlet.leave(holding);
        }
        if let Some(route) = &self.about.route
            && self.counted
        {
            route.metrics.in_flight.dec();
        }
    }
}
