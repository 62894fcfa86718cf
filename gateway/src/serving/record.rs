//! What is known about a request from its head to the end of its answer, and the one place that
//! counts, logs and traces it when it has ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::metrics::HttpVersion;
use crate::serving::access_log::AccessRecord;
use crate::serving::router::Host;
use crate::serving::snapshot::{Route, Snapshot};
use crate::serving::stream::Facts;
use crate::serving::traces::Span;

/// A request, with the snapshot that it began with.
pub(crate) struct Record {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) about: About,
    pub(crate) started: Instant,
    finished: bool,
}

/// What the filters find out about a request.
pub(crate) struct About {
    pub(crate) client: IpAddr,
    pub(crate) secure: bool,
    pub(crate) host: Option<Host>,
    /// Normalised, without query.
    pub(crate) path: String,
    pub(crate) request_id: String,
    /// There when it is traced.
    pub(crate) span: Option<Box<Span>>,
    pub(crate) route: Option<Arc<Route>>,
    /// The filter that refused it.
    pub(crate) refused: Option<&'static str>,
}

/// How a request ended.
pub(crate) struct End<'e> {
    pub(crate) method: &'e str,
    pub(crate) protocol: Protocol,
    /// 0 when the client left before an answer was sent.
    pub(crate) status: u16,
    /// Bytes of the request's body.
    pub(crate) received: u64,
    /// Bytes of the answer's body.
    pub(crate) sent: u64,
    /// The target that answered; empty when the gateway did.
    pub(crate) upstream: &'e str,
    /// Why the answer did not come to its end.
    pub(crate) failure: Option<&'static str>,
}

/// What carried a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
    /// A WebSocket request, refused or answered with a tunnel.
    WebSocket,
}

impl Protocol {
    /// The name in the access log.
    fn as_str(self) -> &'static str {
        match self {
            Self::H1 => "HTTP/1.1",
            Self::H2 => "HTTP/2",
            Self::WebSocket => "websocket",
        }
    }

    fn version(self) -> HttpVersion {
        match self {
            Self::H1 | Self::WebSocket => HttpVersion::H1,
            Self::H2 => HttpVersion::H2,
        }
    }
}

impl About {
    fn new(facts: &Facts) -> Self {
        Self {
            client: facts.client.ip().to_canonical(),
            secure: facts.secure,
            host: None,
            path: String::new(),
            request_id: String::new(),
            span: None,
            route: None,
            refused: None,
        }
    }

    /// The host without port; empty when the request named none that is valid.
    pub(crate) fn host_name(&self) -> &str {
        self.host.as_ref().map(Host::as_str).unwrap_or_default()
    }
}

impl Record {
    /// A request of a connection with these facts, before the first filter.
    pub(crate) fn new(snapshot: Arc<Snapshot>, facts: &Facts, started: Instant) -> Self {
        Self { snapshot, about: About::new(facts), started, finished: false }
    }

    /// Counts and logs the request and ends its trace; what comes later is ignored.
    pub(crate) fn finish(&mut self, end: &End<'_>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let ended = Instant::now();
        self.count(end, ended);
        let span = self.about.span.take();
        let access_log = &self.snapshot.access_log;
        if !access_log.enabled() && span.is_none() {
            return;
        }
        let about = &self.about;
        let record = AccessRecord {
            method: end.method,
            host: about.host_name(),
            path: &about.path,
            status: end.status,
            bytes: end.sent,
            began: self.started,
            ended,
            route: about.route.as_ref().map_or("", |route| route.config.name.as_str()),
            upstream: end.upstream,
            protocol: end.protocol.as_str(),
            request_id: &about.request_id,
            client: about.client,
            refused: about.refused,
        };
        access_log.record(&record);
        if let (Some(tracer), Some(span)) = (&self.snapshot.tracer, span) {
            let client = access_log.named(about.client);
            tracer.finish(span, &record, about.secure, client, end.failure);
        }
    }

    /// A tunnel is counted by its handshake; its time and bytes have metrics of their own.
    fn count(&self, end: &End<'_>, ended: Instant) {
        let Some(route) = &self.about.route else { return };
        route.metrics.answered(end.status, end.protocol.version());
        if end.protocol == Protocol::WebSocket {
            return;
        }
        let duration = ended.saturating_duration_since(self.started);
        route.metrics.duration.observe(duration.as_secs_f64());
        route.metrics.request_bytes.inc_by(end.received);
        route.metrics.response_bytes.inc_by(end.sent);
    }
}
