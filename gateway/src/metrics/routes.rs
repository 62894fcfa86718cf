//! Requests, WebSockets and event streams, by route.

use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Metrics;
use super::declare::{ByName, Declare, drop_series};

/// The families of every route.
pub(super) struct Routes {
    requests: IntCounterVec,
    requests_in_flight: IntGaugeVec,
    request_duration: HistogramVec,
    request_bytes: IntCounterVec,
    response_bytes: IntCounterVec,
    requests_refused: IntCounterVec,
    rate_limited: IntCounterVec,
    held_bytes: IntGauge,
    websockets_open: IntGaugeVec,
    websockets: IntCounterVec,
    websocket_bytes: IntCounterVec,
    event_streams_open: IntGaugeVec,
    event_stream_first_event: HistogramVec,
    event_stream_longest_gap: HistogramVec,
    event_stream_stalls: IntCounterVec,
    by_name: ByName<RouteMetrics>,
}

/// An HTTP version, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0 or HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
}

impl HttpVersion {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
        }
    }
}

/// Status codes that have a series of their own; others are counted as `other`.
const CODES: std::ops::Range<u16> = 100..600;

/// Counters of one route.
pub struct RouteMetrics {
    name: String,
    requests: IntCounterVec,
    answered: [Box<[OnceLock<IntCounter>]>; 2],
    /// Requests being answered now: inc at the head, dec at the end.
    pub in_flight: IntGauge,
    /// Seconds from the head of a request to the last byte of its answer.
    pub duration: Histogram,
    /// Bytes of request bodies.
    pub request_bytes: IntCounter,
    /// Bytes of response bodies.
    pub response_bytes: IntCounter,
    /// Requests refused with 429.
    pub rate_limited: IntCounter,
    /// WebSockets open now.
    pub websockets_open: IntGauge,
    /// WebSockets opened.
    pub websockets: IntCounter,
    /// Bytes from clients in WebSockets.
    pub websocket_bytes_in: IntCounter,
    /// Bytes to clients in WebSockets.
    pub websocket_bytes_out: IntCounter,
    /// Event streams open now.
    pub event_streams_open: IntGauge,
    /// Seconds from the head of a request to the first byte of its event stream.
    pub event_stream_first_event: Histogram,
    /// Longest silence, in seconds, observed once per event stream.
    pub event_stream_longest_gap: Histogram,
    /// Event streams that the upstream broke off or left silent.
    pub event_stream_stalls: IntCounter,
}

impl RouteMetrics {
    fn new(all: &Routes, name: &str) -> Self {
        let slots = || CODES.map(|_| OnceLock::new()).collect();
        Self {
            name: name.to_owned(),
            requests: all.requests.clone(),
            answered: [slots(), slots()],
            in_flight: all.requests_in_flight.with_label_values(&[name]),
            duration: all.request_duration.with_label_values(&[name]),
            request_bytes: all.request_bytes.with_label_values(&[name]),
            response_bytes: all.response_bytes.with_label_values(&[name]),
            rate_limited: all.rate_limited.with_label_values(&[name]),
            websockets_open: all.websockets_open.with_label_values(&[name]),
            websockets: all.websockets.with_label_values(&[name]),
            websocket_bytes_in: all.websocket_bytes.with_label_values(&[name, "in"]),
            websocket_bytes_out: all.websocket_bytes.with_label_values(&[name, "out"]),
            event_streams_open: all.event_streams_open.with_label_values(&[name]),
            event_stream_first_event: all.event_stream_first_event.with_label_values(&[name]),
            event_stream_longest_gap: all.event_stream_longest_gap.with_label_values(&[name]),
            event_stream_stalls: all.event_stream_stalls.with_label_values(&[name]),
        }
    }

    /// Counts one answered request.
    pub fn answered(&self, code: u16, version: HttpVersion) {
        let [h1, h2] = &self.answered;
        let slots = if version == HttpVersion::H1 { h1 } else { h2 };
        match code.checked_sub(CODES.start).and_then(|index| slots.get(usize::from(index))) {
            Some(slot) => slot
                .get_or_init(|| {
                    self.requests.with_label_values(&[
                        &self.name,
                        code.to_string().as_str(),
                        version.as_str(),
                    ])
                })
                .inc(),
            None => self
                .requests
                .with_label_values(&[self.name.as_str(), "other", version.as_str()])
                .inc(),
        }
    }
}

impl Routes {
    pub(super) fn declare(declare: &Declare<'_>) -> Self {
        Self {
            requests: declare.counter(
                "requests_total",
                "Requests answered, WebSocket handshakes included, by route, status code and HTTP version.",
                &["route", "code", "protocol"],
            ),
            requests_in_flight: declare.gauge("requests_in_flight", "Requests being answered now.", &["route"]),
            request_duration: declare.histogram(
                "request_duration_seconds",
                "Time from the head of a request to the last byte of its answer.",
                &["route"],
            ),
            request_bytes: declare.counter("request_body_bytes_total", "Bytes of request bodies.", &["route"]),
            response_bytes: declare.counter("response_body_bytes_total", "Bytes of response bodies.", &["route"]),
            requests_refused: declare.counter(
                "requests_refused_total",
                "Requests refused before or by a filter, by filter.",
                &["reason"],
            ),
            rate_limited: declare.counter(
                "requests_rate_limited_total",
                "Requests refused with 429, by route.",
                &["route"],
            ),
            held_bytes: declare.single_gauge(
                "held_bytes",
                "Bytes held for requests in progress: answers not yet taken by clients, and what each request costs.",
            ),
            websockets_open: declare.gauge("websockets_open", "WebSockets open now.", &["route"]),
            websockets: declare.counter("websockets_total", "WebSockets opened.", &["route"]),
            websocket_bytes: declare.counter(
                "websocket_bytes_total",
                "Bytes relayed in WebSockets; `in` is from the client.",
                &["route", "direction"],
            ),
            event_streams_open: declare.gauge(
                "event_streams_open",
                "Answers of text/event-stream open now.",
                &["route"],
            ),
            event_stream_first_event: declare.histogram(
                "event_stream_first_event_seconds",
                "Time from the head of a request to the first byte of its event stream.",
                &["route"],
            ),
            event_stream_longest_gap: declare.histogram(
                "event_stream_longest_gap_seconds",
                "Longest silence between two pieces of one event stream.",
                &["route"],
            ),
            event_stream_stalls: declare.counter(
                "event_stream_stalls_total",
                "Event streams that the upstream ended or left silent before their end.",
                &["route"],
            ),
            by_name: ByName::default(),
        }
    }

    /// Drops every series of routes that are gone.
    pub(super) fn retain(&self, route: &impl Fn(&str) -> bool) {
        self.by_name.retain(route);
        for family in [
            &self.requests,
            &self.request_bytes,
            &self.response_bytes,
            &self.rate_limited,
            &self.websockets,
            &self.websocket_bytes,
            &self.event_stream_stalls,
        ] {
            drop_series(family, "route", route);
        }
        // What is open outlives its route, and is counted until it ends; a later reload drops the
        // series.
        for family in [&self.requests_in_flight, &self.websockets_open, &self.event_streams_open] {
            drop_series(family, "route", &|name| {
                route(name) || family.with_label_values(&[name]).get() != 0
            });
        }
        for family in
            [&self.request_duration, &self.event_stream_first_event, &self.event_stream_longest_gap]
        {
            drop_series(family, "route", route);
        }
    }

    /// The WebSockets that are open now.
    pub(super) fn websockets_open(&self) -> &IntGaugeVec {
        &self.websockets_open
    }
}

impl Metrics {
    /// The counters of a route, made on first use; keep the result.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        let routes = &self.0.routes;
        routes.by_name.get_or_make(name, |name| RouteMetrics::new(routes, name))
    }

    /// What requests in progress hold; keep the result.
    pub(crate) fn held_bytes(&self) -> IntGauge {
        self.0.routes.held_bytes.clone()
    }

    /// Counts a request refused by a filter or by the head reader; `reason` must be a literal.
    pub fn request_refused(&self, reason: &'static str) {
        self.0.routes.requests_refused.with_label_values(&[reason]).inc();
    }
}
