//! A request in the filters, and how a filter refuses it.

use std::time::Instant;

use http::request::Parts;

use crate::serving::answer::{Answer, Form};
use crate::serving::rate_limits::{TOO_MANY, TooMany};
use crate::serving::record::{About, Record};
use crate::serving::router::Host;
use crate::serving::shared::Shared;
use crate::serving::snapshot::Snapshot;
use crate::serving::stream::Facts;

/// What filters read and change.
pub(crate) struct Exchange<'e> {
    pub(super) shared: &'e Shared,
    pub(super) snapshot: &'e Snapshot,
    pub(super) facts: Facts,
    pub(super) request: &'e mut Parts,
    pub(super) started: Instant,
    pub(super) about: &'e mut About,
    /// Whether it is a WebSocket request on a route that accepts WebSockets.
    pub(super) websocket: bool,
}

/// The response to a request that a filter refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    detail: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl<'e> Exchange<'e> {
    /// Creates the exchange of a request on a connection with these facts.
    pub(crate) fn new(
        shared: &'e Shared,
        record: &'e mut Record,
        facts: Facts,
        request: &'e mut Parts,
    ) -> Self {
        let Record { snapshot, about, started, .. } = record;
        Self { shared, snapshot, facts, request, started: *started, about, websocket: false }
    }

    /// The host of the request, set by the filter `target`.
    pub(super) fn host(&self) -> &Host {
        self.about.host.as_ref().expect("the filter `target` runs before those that need the host")
    }
}

impl Refusal {
    pub(super) fn new(status: u16, detail: &'static str) -> Self {
        Self { status, detail, headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The response to send.
    pub(crate) fn answer(&self, form: Form) -> Answer {
        let mut answer = Answer::error(self.status, self.detail, form);
        for (name, value) in &self.headers {
            answer = answer.with(name, value);
        }
        answer
    }
}

impl From<TooMany> for Refusal {
    fn from(too_many: TooMany) -> Self {
        Self::new(429, TOO_MANY).with("retry-after", too_many.retry_after())
    }
}
