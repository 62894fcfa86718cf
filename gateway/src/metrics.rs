//! Every metric of the gateway, declared here with help text and bounded labels: names from the
//! configuration, and enums.
//!
//! Hot paths take their counters once: [`Metrics::route`], [`Metrics::upstream`],
//! [`Metrics::listener`].

mod parts;

pub(crate) use parts::{
    ConnectionRefusal, HandshakeResult, HttpVersion, ListenerMetrics, RouteMetrics, TraceMetrics,
    UpgradeResult, UpstreamMetrics,
};

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Seconds: from a cached file to a slow model.
const DURATIONS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];

/// All metrics of one gateway, with a registry of their own. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

struct Families {
    registry: Registry,
    declared: Vec<Declared>,
    routes: Mutex<HashMap<String, Arc<RouteMetrics>>>,
    upstreams: Mutex<HashMap<String, Arc<UpstreamMetrics>>>,
    listeners: Mutex<HashMap<String, Arc<ListenerMetrics>>>,

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

    connections_open: IntGaugeVec,
    connections: IntCounterVec,
    connections_refused: IntCounterVec,
    handshakes: IntCounterVec,
    handshake_duration: HistogramVec,

    upstream_healthy: IntGaugeVec,
    upstream_in_flight: IntGaugeVec,
    upstream_failures: IntCounterVec,
    upstream_retries: IntCounterVec,
    upstream_ejections: IntCounterVec,
    upstream_refused: IntCounterVec,

    traces: Arc<TraceMetrics>,

    certificate_expiry: IntGaugeVec,
    certificate_renewals: IntCounterVec,
    certificate_failures: IntCounterVec,
    certificate_source: IntGaugeVec,

    reloads: IntCounterVec,
    last_reload_successful: IntGauge,
    last_reload_success: Gauge,
    config_info: IntGaugeVec,
    upgrades: IntCounterVec,
    ready: IntGauge,
    draining: IntGauge,
}

/// What is known of a metric before anything was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its full name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// What it counts.
    pub help: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Declares every metric in a registry of its own.
    pub fn new() -> Self {
        let registry = Registry::new();
        let declare = Declare { registry: &registry, declared: RefCell::default() };
        let build_info = declare.gauge("build_info", "1, by version of the gateway.", &["version"]);
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self(Arc::new(Families {
            routes: Mutex::default(),
            upstreams: Mutex::default(),
            listeners: Mutex::default(),

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

            connections_open: declare.gauge("connections_open", "Client connections open now.", &["listener"]),
            connections: declare.counter("connections_total", "Client connections accepted.", &["listener"]),
            connections_refused: declare.counter(
                "connections_refused_total",
                "Client connections closed at once, by reason.",
                &["listener", "reason"],
            ),
            handshakes: declare.counter(
                "tls_handshakes_total",
                "TLS handshakes by version, result and whether a session was resumed.",
                &["version", "result", "resumed"],
            ),
            handshake_duration: declare.histogram("tls_handshake_duration_seconds", "Time of a TLS handshake.", &[]),

            upstream_healthy: declare.gauge(
                "upstream_target_healthy",
                "1: the target gets requests; 0: unhealthy or ejected.",
                &["upstream", "target"],
            ),
            upstream_in_flight: declare.gauge(
                "upstream_requests_in_flight",
                "Requests at an upstream now.",
                &["upstream"],
            ),
            upstream_failures: declare.counter(
                "upstream_failures_total",
                "Attempts that failed: connect, write, first_byte, idle, reset, status or websocket.",
                &["upstream", "reason"],
            ),
            upstream_retries: declare.counter("upstream_retries_total", "Attempts after the first.", &["upstream"]),
            upstream_ejections: declare.counter(
                "upstream_ejections_total",
                "Targets ejected after failures.",
                &["upstream"],
            ),
            upstream_refused: declare.counter(
                "upstream_refused_total",
                "Requests refused with 503 because the circuit breaker was open or no target was left.",
                &["upstream"],
            ),

            traces: Arc::new(TraceMetrics::new(&declare.counter(
                "trace_spans_total",
                "Spans that the collector took, that found the queue full, or that could not be sent, by result.",
                &["result"],
            ))),

            certificate_expiry: declare.gauge(
                "certificate_not_after_seconds",
                "When the certificate in use ends, in Unix time.",
                &["name"],
            ),
            certificate_renewals: declare.counter(
                "certificate_renewals_total",
                "Certificates renewed or read again, by result.",
                &["name", "result"],
            ),
            certificate_failures: declare.counter(
                "certificate_failures_total",
                "Attempts to obtain or renew a certificate that failed, by reason.",
                &["name", "reason"],
            ),
            certificate_source: declare.gauge(
                "certificate_source",
                "1 for where the certificate in use is from: self_signed, files, ordered, stored, kept (from before a reload, not in the storage in use now), or stand_in until one is ordered.",
                &["name", "source"],
            ),

            reloads: declare.counter("config_reloads_total", "Reloads of the configuration, by result.", &["result"]),
            last_reload_successful: declare.single_gauge(
                "config_last_reload_successful",
                "1: the last reload took effect; 0: it failed and the configuration before it is in use.",
            ),
            last_reload_success: declare.seconds(
                "config_last_reload_success_timestamp_seconds",
                "When a configuration last took effect, in Unix time.",
            ),
            config_info: declare.gauge(
                "config_info",
                "1 for the configuration in use, by SHA-256 of its text.",
                &["hash"],
            ),
            upgrades: declare.counter(
                "upgrades_total",
                "Processes that took over: taken_over by this one, handed_over from this one; or that began to and failed, or were refused.",
                &["result"],
            ),
            ready: declare.single_gauge("ready", "1: /readyz says ready."),
            draining: declare.single_gauge("draining", "1: the gateway is stopping."),
            declared: declare.declared.take(),
            registry: registry.clone(),
        }));
        for result in ["success", "failure"] {
            metrics.0.reloads.with_label_values(&[result]);
        }
        for result in UpgradeResult::ALL {
            metrics.0.upgrades.with_label_values(&[result.as_str()]);
        }
        metrics
    }

    /// The registry, to be encoded on the admin address.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Every metric, counted or not: what the operators' documentation lists.
    pub fn declared(&self) -> &[Declared] {
        &self.0.declared
    }

    /// The counters of a route, made on first use; keep the result.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        kept(&self.0.routes, name, |name| RouteMetrics::new(&self.0, name))
    }

    /// The counters of an upstream, made on first use; keep the result.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        kept(&self.0.upstreams, name, |name| UpstreamMetrics::new(&self.0, name))
    }

    /// The counters of a listener, made on first use; keep the result.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        kept(&self.0.listeners, name, |name| ListenerMetrics::new(&self.0, name))
    }

    /// What requests in progress hold; keep the result.
    pub(crate) fn held_bytes(&self) -> IntGauge {
        self.0.held_bytes.clone()
    }

    /// The counters of spans; keep the result.
    pub fn traces(&self) -> Arc<TraceMetrics> {
        Arc::clone(&self.0.traces)
    }

    /// Counts a request refused by a filter or by the head reader; `reason` must be a literal.
    pub fn request_refused(&self, reason: &'static str) {
        self.0.requests_refused.with_label_values(&[reason]).inc();
    }

    /// Counts a finished TLS handshake. `version` is `1.2`, `1.3` or, when it did not get that far,
    /// `none`.
    pub fn handshake(
        &self,
        version: &'static str,
        result: HandshakeResult,
        resumed: bool,
        seconds: f64,
    ) {
        let resumed = if resumed { "yes" } else { "no" };
        self.0.handshakes.with_label_values(&[version, result.as_str(), resumed]).inc();
        self.0.handshake_duration.with_label_values::<&str>(&[]).observe(seconds);
    }

    /// Notes until when a certificate is valid, in Unix time.
    pub fn certificate_expiry(&self, certificate: &str, not_after: i64) {
        self.0.certificate_expiry.with_label_values(&[certificate]).set(not_after);
    }

    /// Counts an attempt to renew a certificate or to read its files again.
    pub fn certificate_renewed(&self, certificate: &str, success: bool) {
        self.0.certificate_renewals.with_label_values(&[certificate, result(success)]).inc();
    }

    /// Counts a failed attempt to obtain a certificate; `reason` is one of a fixed list.
    pub fn certificate_failed(&self, certificate: &str, reason: &'static str) {
        self.0.certificate_failures.with_label_values(&[certificate, reason]).inc();
    }

    /// Notes where the certificate in use is from.
    pub fn certificate_source(&self, certificate: &str, source: &'static str) {
        parts::drop_series(&self.0.certificate_source, "name", &|name| name != certificate);
        self.0.certificate_source.with_label_values(&[certificate, source]).set(1);
    }

    /// Notes that a configuration took effect: at start (not counted as a reload) or by a reload.
    pub fn config_in_use(&self, hash: &str, unix_seconds: f64) {
        self.0.config_info.reset();
        self.0.config_info.with_label_values(&[hash]).set(1);
        self.0.last_reload_successful.set(1);
        self.0.last_reload_success.set(unix_seconds);
    }

    /// Counts a reload.
    pub fn reloaded(&self, success: bool) {
        self.0.reloads.with_label_values(&[result(success)]).inc();
        self.0.last_reload_successful.set(i64::from(success));
    }

    /// Counts a process that took over or tried to.
    pub fn upgrade(&self, result: UpgradeResult) {
        self.0.upgrades.with_label_values(&[result.as_str()]).inc();
    }

    /// Notes what `/readyz` says.
    pub fn ready(&self, ready: bool) {
        self.0.ready.set(i64::from(ready));
    }

    /// Notes that the gateway is stopping.
    pub fn draining(&self) {
        self.0.draining.set(1);
    }

    /// Connections open on all listeners, and WebSockets among them.
    pub fn open(&self) -> (i64, i64) {
        let sum = |family: &IntGaugeVec| -> i64 {
            let families = family.collect();
            families
                .iter()
                .flat_map(|f| f.get_metric())
                .map(|metric| metric.get_gauge().get_value() as i64)
                .sum()
        };
        (sum(&self.0.connections_open), sum(&self.0.websockets_open))
    }

    /// Drops the series of parts that a reload removed. Whoever still holds their counters may go
    /// on counting, unseen.
    pub fn retain(
        &self,
        route: impl Fn(&str) -> bool,
        upstream: impl Fn(&str) -> bool,
        certificate: impl Fn(&str) -> bool,
    ) {
        parts::retain(&self.0, route, upstream);
        for name in parts::label_values(&self.0.certificate_expiry, "name") {
            if !certificate(&name) {
                parts::forget(&self.0.certificate_expiry.remove_label_values(&[&name]));
            }
        }
        parts::drop_series(&self.0.certificate_source, "name", &certificate);
        for family in [&self.0.certificate_renewals, &self.0.certificate_failures] {
            parts::drop_series(family, "name", &certificate);
        }
    }
}

fn result(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}

fn kept<T>(
    map: &Mutex<HashMap<String, Arc<T>>>,
    name: &str,
    make: impl FnOnce(&str) -> T,
) -> Arc<T> {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = map.get(name) {
        return Arc::clone(found);
    }
    let made = Arc::new(make(name));
    map.insert(name.to_owned(), Arc::clone(&made));
    made
}

/// Declares metrics under the prefix `gateway_`. All names are literals of this file and distinct,
/// which the tests show.
struct Declare<'r> {
    registry: &'r Registry,
    declared: RefCell<Vec<Declared>>,
}

const DISTINCT: &str = "names and labels are valid, distinct literals, as a test shows";

impl Declare<'_> {
    fn add<C: Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        made: prometheus::Result<C>,
    ) -> C {
        let collector = made.expect(DISTINCT);
        self.declared.borrow_mut().extend(collector.desc().into_iter().map(|desc| Declared {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        }));
        self.registry.register(Box::new(collector.clone())).expect(DISTINCT);
        collector
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add("counter", IntCounterVec::new(Opts::new(name, help).namespace("gateway"), labels))
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help).namespace("gateway"), labels))
    }

    fn single_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add("gauge", IntGauge::with_opts(Opts::new(name, help).namespace("gateway")))
    }

    fn seconds(&self, name: &str, help: &str) -> Gauge {
        self.add("gauge", Gauge::with_opts(Opts::new(name, help).namespace("gateway")))
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).namespace("gateway").buckets(DURATIONS.to_vec());
        self.add("histogram", HistogramVec::new(opts, labels))
    }
}
