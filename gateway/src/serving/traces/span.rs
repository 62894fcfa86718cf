//! The span of a request in progress, with a child span for each upstream attempt.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{HeaderMap, HeaderValue};

use super::{TRACEPARENT, TraceParent};
use crate::serving::access_log::AccessRecord;
use crate::serving::access_log::bounded::{self, cut};
use crate::serving::upstream::Target;

/// A traced request in progress.
pub(crate) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    /// The caller's span id.
    pub(super) parent: Option<u64>,
    pub(super) flags: u8,
    pub(super) state: String,
    pub(super) attempts: Vec<Attempt>,
}

/// An attempt at a target.
pub(super) struct Attempt {
    pub(super) id: u64,
    pub(super) target: Arc<Target>,
    pub(super) began: Instant,
    /// `None`: it lasts as long as the request.
    pub(super) ended: Option<Instant>,
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'static str>,
}

/// Maximum `tracestate` in a span; the one sent upstream is not truncated.
const STATE_MAX: usize = 512;

impl Span {
    /// A root span.
    pub(crate) fn root(trace: u128) -> Box<Self> {
        Box::new(Self {
            trace,
            id: id(),
            parent: None,
            flags: TraceParent::SAMPLED,
            state: String::new(),
            attempts: Vec::new(),
        })
    }

    /// A child of the caller's span.
    pub(crate) fn below(parent: TraceParent, state: String) -> Box<Self> {
        let state = if state.len() > STATE_MAX { String::new() } else { state };
        Box::new(Self {
            parent: Some(parent.span),
            flags: parent.flags,
            state,
            ..*Self::root(parent.trace)
        })
    }

    /// The `traceparent` for the upstream: the current attempt is the parent.
    fn traceparent(&self) -> TraceParent {
        let span = self.attempts.last().map_or(self.id, |attempt| attempt.id);
        TraceParent { trace: self.trace, span, flags: self.flags }
    }

    /// Writes the trace context into a request for the current target.
    pub(crate) fn propagate(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.traceparent().to_string()) {
            headers.insert(TRACEPARENT, value);
        }
    }

    /// Begins an attempt at a target.
    pub(crate) fn begin_attempt(&mut self, target: &Arc<Target>) {
        let began = Instant::now();
        let target = Arc::clone(target);
        self.attempts.push(Attempt {
            id: id(),
            target,
            began,
            ended: None,
            status: None,
            error: None,
        });
    }

    /// The current target has sent a response head; its body follows.
    pub(crate) fn answered(&mut self, status: u16) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = Some(status);
        }
    }

    /// Ends the attempt before the request ends.
    pub(crate) fn end_attempt(&mut self) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended.get_or_insert_with(Instant::now);
        }
    }

    /// The current attempt failed; the reason is one of a fixed list. The first reason is kept.
    pub(crate) fn failed(&mut self, reason: &'static str) {
        self.end_attempt();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.error.get_or_insert(reason);
        }
    }
}

fn id() -> u64 {
    rand::random::<u64>().max(1)
}

/// A completed traced request, with owned data.
pub(super) struct Finished {
    pub(super) span: Box<Span>,
    pub(super) method: String,
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) route: String,
    pub(super) protocol: &'static str,
    pub(super) request_id: String,
    pub(super) client: String,
    pub(super) failure: Option<&'static str>,
    began: Instant,
    ended: Instant,
    clock: (Instant, SystemTime),
}

impl Finished {
    pub(super) fn new(
        span: Box<Span>,
        record: &AccessRecord<'_>,
        secure: bool,
        client: String,
        failure: Option<&'static str>,
    ) -> Self {
        Self {
            span,
            method: cut(record.method, bounded::METHOD).into_owned(),
            secure,
            host: cut(record.host, bounded::HOST).into_owned(),
            path: cut(record.path.split('?').next().unwrap_or_default(), bounded::PATH)
                .into_owned(),
            status: record.status,
            route: record.route.to_owned(),
            protocol: if record.protocol == "HTTP/2" { "2" } else { "1.1" },
            request_id: cut(record.request_id, bounded::REQUEST_ID).into_owned(),
            client,
            failure,
            began: record.began,
            ended: record.ended,
            clock: (Instant::now(), SystemTime::now()),
        }
    }

    /// Number of spans.
    pub(super) fn spans(&self) -> u64 {
        1 + self.span.attempts.len() as u64
    }

    /// Start and end of the request, in nanoseconds of Unix time.
    pub(super) fn times(&self) -> (u64, u64) {
        (self.unix(self.began), self.unix(self.ended))
    }

    /// Start and end of an attempt, within those of the request.
    pub(super) fn times_of(&self, attempt: &Attempt) -> (u64, u64) {
        (self.unix(attempt.began), self.unix(attempt.ended.unwrap_or(self.ended).min(self.ended)))
    }

    /// All times of a request derive from one reading of both clocks, so that they keep their
    /// order.
    fn unix(&self, moment: Instant) -> u64 {
        let (now, wall) = self.clock;
        nanoseconds(wall.checked_sub(now.saturating_duration_since(moment)))
    }
}

fn nanoseconds(time: Option<SystemTime>) -> u64 {
    let since =
        time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn record<'r>(began: Instant, ended: Instant, text: &'r str) -> AccessRecord<'r> {
        AccessRecord {
            method: text,
            host: text,
            path: text,
            status: 200,
            bytes: 0,
            began,
            ended,
            route: "r",
            upstream: "",
            protocol: "HTTP/2",
            request_id: text,
            client: Ipv4Addr::LOCALHOST.into(),
            refused: None,
        }
    }

    #[test]
    fn times_of_a_request_keep_their_intervals_if_the_clocks_are_read_late() {
        let began = Instant::now();
        let ended = began + Duration::from_millis(3);
        let asked = began + Duration::from_micros(1);
        // The thread can be preempted between the end of the request and the reading of the clocks.
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let finished =
            Finished::new(Span::root(1), &record(began, ended, "/"), true, String::new(), None);
        let (start, end) = finished.times();
        assert_eq!((finished.unix(asked) - start, end - start), (1_000, 3_000_000));
    }

    #[test]
    fn client_supplied_values_are_truncated() {
        let (now, long) = (Instant::now(), "x".repeat(10_000) + "?secret");
        let finished =
            Finished::new(Span::root(1), &record(now, now, &long), true, String::new(), None);
        let lengths = [&finished.method, &finished.host, &finished.path, &finished.request_id]
            .map(String::len);
        assert_eq!(lengths, [bounded::METHOD, bounded::HOST, bounded::PATH, bounded::REQUEST_ID]);
    }
}
