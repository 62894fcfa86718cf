//! A request on its way through the filters, and how a filter refuses it.

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
    /// Whether it is a WebSocket request on a route that has them.
    pub(super) websocket: bool,
}

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    detail: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl<'e> Exchange<'e> {
    /// A request of a connection with these facts.
    pub(crate) fn new(
        shared: &'e Shared,
        record: &'e mut Record,
        facts: Facts,
        request: &'e mut Parts,
    ) -> Self {
        let Record { snapshot, about, started, .. } = record;
        Self { shared, snapshot, facts, request, started: *started, about, websocket: false }
    }

    /// The host of the request, which the filter `target` finds.
    pub(super) fn host(&self) -> &Host {
        self.about.host.as_ref().expect("the filter `target` comes before whatever needs the host")
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

    /// The answer to give.
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
