//! The state of one request across Pingora's hooks.

use std::sync::Arc;
use std::time::Instant;

use http::Version;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource};

use super::forwarding::Forwarding;
use super::{EventStream, Pace};
use crate::metrics::RouteMetrics;
use crate::serving::answer::Form;
use crate::serving::held::{Holding, Outlet};
use crate::serving::record::{End, Protocol, Record};

/// The context of one request in the hooks.
pub(crate) struct Context {
    pub(super) started: Instant,
    work: Option<Box<Work>>,
}

/// The state of a request that the filters have admitted or refused.
pub(crate) struct Work {
    pub(super) record: Record,
    pub(super) form: Form,
    /// Present if it is forwarded to an upstream.
    pub(super) forwarding: Option<Forwarding>,
    /// Present unless its client is at its limit of buffered bytes.
    pub(super) holding: Option<Arc<Holding>>,
    /// The outlet of its h2 connection.
    pub(super) outlet: Option<Arc<Outlet>>,
    /// Present for an h2 request with a body.
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) body_received: u64,
    /// The status of the target's response, and the bytes of its body that were forwarded.
    pub(super) status: u16,
    pub(super) body_passed: u64,
    pub(super) event_stream: Option<EventStream>,
    pub(super) in_flight: Option<InFlight>,
}

/// Counts a request as in flight on its route until dropped.
pub(super) struct InFlight(Arc<RouteMetrics>);

const ADMITTED: &str = "`request_filter` is the first hook of every request";

impl Context {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), work: None }
    }

    /// Stores the state of the request.
    pub(super) fn begin(&mut self, work: Work) -> &mut Work {
        self.work.insert(Box::new(work))
    }

    /// The state, in a hook after `request_filter`.
    pub(super) fn work(&mut self) -> &mut Work {
        self.work.as_mut().expect(ADMITTED)
    }

    /// The state, in a hook that also runs for requests that failed before `request_filter`.
    pub(super) fn begun_work(&mut self) -> Option<&mut Work> {
        self.work.as_deref_mut()
    }

    /// Whether a target was tried.
    pub(super) fn has_attempt(&self) -> bool {
        let forwarding = self.work.as_ref().and_then(|work| work.forwarding.as_ref());
        forwarding.is_some_and(Forwarding::has_attempt)
    }

    /// Counts and logs the request and ends its trace.
    pub(super) fn finish(&mut self, session: &Session, error: Option<&Error>) {
        let Some(work) = &mut self.work else { return };
        let head = session.req_header();
        let h2 = head.version == Version::HTTP_2;
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let failure = error.map(|error| match error.esource() {
            ErrorSource::Upstream => "upstream",
            ErrorSource::Downstream => "client",
            ErrorSource::Internal | ErrorSource::Unset => "internal",
        });
        let sent = session.body_bytes_sent() as u64;
        let protocol = if h2 { Protocol::H2 } else { Protocol::H1 };
        work.finish(head.method.as_str(), protocol, status, sent, failure);
    }
}

impl Drop for Context {
    /// Finishes a request that was dropped after the end of its response.
    fn drop(&mut self) {
        if let Some(work) = &mut self.work
            && let Some(pace) = work.pace.take()
        {
            let (status, passed) = (work.status, work.body_passed);
            work.finish(pace.method.as_str(), Protocol::H2, status, passed, Some("client"));
        }
    }
}

impl Work {
    pub(super) fn new(
        record: Record,
        form: Form,
        pace: Option<Arc<Pace>>,
        outlet: Option<Arc<Outlet>>,
    ) -> Self {
        Self {
            record,
            form,
            forwarding: None,
            holding: None,
            outlet,
            pace,
            body_received: 0,
            status: 0,
            body_passed: 0,
            event_stream: None,
            in_flight: None,
        }
    }

    /// The forwarding state, in a hook that runs only for forwarded requests.
    pub(super) fn forwarding(&mut self) -> &mut Forwarding {
        self.forwarding.as_mut().expect("Pingora calls this hook only for forwarded requests")
    }

    fn finish(
        &mut self,
        method: &str,
        protocol: Protocol,
        status: u16,
        sent: u64,
        failure: Option<&'static str>,
    ) {
        let upstream = self.forwarding.as_ref().and_then(Forwarding::label).unwrap_or_default();
        let received = self.body_received;
        let end = End { method, protocol, status, received, sent, upstream, failure };
        self.record.finish(&end);
    }

    /// Reports the end of the response to the upstream connection and to the body's pace.
    pub(super) fn end_answer(&self) {
        if let Some(forwarding) = &self.forwarding {
            forwarding.end_answer();
        }
        if let Some(pace) = &self.pace {
            pace.answered();
        }
    }

    /// Records in the trace that the current attempt failed.
    pub(super) fn attempt_failed(&mut self, reason: &'static str) {
        if let Some(span) = &mut self.record.about.span {
            span.failed(reason);
        }
    }

    /// Ends the current attempt if a retry is allowed; the retry avoids its target.
    pub(super) fn take_retry(&mut self) -> bool {
        let allowed = self.forwarding().take_retry();
        if allowed {
            self.body_received = 0;
            if let Some(holding) = &self.holding {
                holding.restart();
            }
        }
        allowed
    }
}

impl InFlight {
    pub(super) fn new(metrics: &Arc<RouteMetrics>) -> Self {
        metrics.in_flight.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let (Some(holding), Some(outlet)) = (self.holding.take(), &self.outlet) {
            outlet.leave(holding);
        }
    }
}
