//! A forwarded request: its current target and those tried before.

use std::sync::Arc;

use http::HeaderMap;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

use crate::serving::held::Holding;
use crate::serving::record::Record;
use crate::serving::snapshot::Route;
use crate::serving::upstream::{
    Admission, Attempt, Call, Key, Late, Outcome, Patience, Target, Upstream,
};

/// The attempts to forward one request.
pub(super) struct Forwarding {
    pub(super) route: Arc<Route>,
    upstream: Arc<Upstream>,
    holding: Arc<Holding>,
    _admission: Admission,
    attempt: Option<Attempt>,
    /// The call of the current attempt.
    call: Option<Arc<Call>>,
    tried: Vec<Arc<Target>>,
    attempts: usize,
}

impl Forwarding {
    pub(super) fn new(
        route: Arc<Route>,
        upstream: Arc<Upstream>,
        holding: Arc<Holding>,
        admission: Admission,
    ) -> Self {
        Self {
            route,
            upstream,
            holding,
            _admission: admission,
            attempt: None,
            call: None,
            tried: Vec::new(),
            attempts: 0,
        }
    }

    /// Begins an attempt on a target that was not tried yet.
    pub(super) async fn begin_attempt(
        &mut self,
        headers: &HeaderMap,
        record: &mut Record,
    ) -> Result<Box<HttpPeer>> {
        let key = Key::of(&self.upstream.config().balance, headers, record.about.client);
        let mut picked = self.upstream.pick(key, &self.tried).await;
        // All targets were tried: trying one again is better than failing a retry that the budget
        // allowed.
        if picked.is_err() && !self.tried.is_empty() {
            picked = self.upstream.pick(key, &[]).await;
        }
        let attempt = picked.map_err(|_| unavailable())?;
        let timeouts = &self.route.config.timeouts;
        let patience = Patience {
            body: record.snapshot.config().limits.body_timeout,
            first_byte: timeouts.first_byte,
            idle: timeouts.idle,
        };
        let call = attempt.call(patience, Arc::clone(&self.holding));
        let peer = call.peer();
        self.attempts += 1;
        if let Some(span) = &mut record.about.span {
            span.begin_attempt(attempt.target());
        }
        self.attempt = Some(attempt);
        self.call = Some(call);
        Ok(peer)
    }

    pub(super) fn has_attempt(&self) -> bool {
        self.attempt.is_some()
    }

    /// The label of the current attempt's target.
    pub(super) fn label(&self) -> Option<&str> {
        Some(self.attempt.as_ref()?.target().label.as_str())
    }

    /// Reports the outcome of the current attempt to the target's health.
    pub(super) fn note(&self, outcome: Outcome) {
        if let Some(attempt) = &self.attempt {
            attempt.note(outcome);
        }
    }

    /// Records that the complete request was sent.
    pub(super) fn request_sent(&self) {
        if let Some(call) = &self.call {
            call.sent();
        }
    }

    /// Records that the head of the response has arrived.
    pub(super) fn answer_begun(&self) {
        if let Some(call) = &self.call {
            call.begun();
        }
    }

    pub(super) fn end_answer(&self) {
        if let Some(call) = &self.call {
            call.over();
        }
    }

    /// The deadline that the target missed.
    pub(super) fn late(&self) -> Option<Late> {
        self.call.as_ref()?.late()
    }

    /// Whether the current attempt uses a pooled connection.
    pub(super) fn is_on_kept_connection(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.reused())
    }

    /// Takes a retry from the budget if one is left; that ends the current attempt, and its target
    /// is avoided.
    pub(super) fn take_retry(&mut self) -> bool {
        let allowed = self.upstream.take_retry(self.attempts);
        if allowed && let Some(attempt) = self.attempt.take() {
            self.tried.push(Arc::clone(attempt.target()));
        }
        allowed
    }
}

fn unavailable() -> Box<Error> {
    let mut error = Error::new_up(ErrorType::HTTPStatus(503));
    error.set_retry(false);
    error
}
