//! Traces of requests: sampling, spans in progress, and export to an OpenTelemetry collector.
//!
//! A request creates only a [`Span`]; at its end, [`Tracer::finish`] puts it into a bounded queue
//! or drops it. One task owns everything after the queue, so that requests never wait for the
//! collector.

mod collector;
mod export;
mod otlp;
mod parent;
mod span;

pub(crate) use collector::{Collector, Verdict};
pub(crate) use parent::{TRACEPARENT, TRACESTATE, TraceParent};
pub(crate) use span::Span;

use std::sync::{Arc, Mutex, PoisonError};

use gateway_config::Tracing;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::{Metrics, TraceMetrics};
use crate::serving::access_log::AccessRecord;
use collector::Settings;
use export::Exporter;
use span::Finished;

/// Maximum number of requests in the queue, to limit memory.
const QUEUE: usize = 2048;

/// Makes sampling decisions and receives completed spans. Kept across reloads that do not change
/// it.
pub(crate) struct Tracer {
    settings: Settings,
    queue: mpsc::Sender<Finished>,
    metrics: Arc<TraceMetrics>,
    /// `None` once started.
    exporter: Mutex<Option<Exporter>>,
}

impl Tracer {
    /// Reads the inputs that the configuration names; the exporter waits for
    /// [`start`](Self::start).
    pub(crate) fn build(
        config: &Tracing,
        previous: Option<&Arc<Self>>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        let settings = Settings::read(config)?;
        if let Some(kept) = previous.filter(|previous| previous.settings == settings) {
            return Ok(Arc::clone(kept));
        }
        let collector = Collector::new(&settings)?;
        let (queue, finished) = mpsc::channel(QUEUE);
        let metrics = metrics.traces();
        let exporter =
            Exporter::new(finished, collector, config.service_name.as_str(), Arc::clone(&metrics));
        Ok(Arc::new(Self { settings, queue, metrics, exporter: Mutex::new(Some(exporter)) }))
    }

    /// Starts the exporter unless it is already running. It runs until `end` or until this tracer
    /// is dropped.
    pub(crate) fn start(&self, tasks: &TaskTracker, end: &CancellationToken) {
        let exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(exporter) = exporter {
            tasks.spawn(exporter.run(end.clone()));
        }
    }

    /// Sampling decision for a request without one from its caller.
    pub(crate) fn samples(&self) -> bool {
        rand::random::<f64>() < self.settings.config.sample
    }

    /// Receives the spans of a completed request. `client` is the client as written in logs;
    /// `failure` is why the response is incomplete.
    pub(crate) fn finish(
        &self,
        span: Box<Span>,
        record: &AccessRecord<'_>,
        secure: bool,
        client: String,
        failure: Option<&'static str>,
    ) {
        let finished = Finished::new(span, record, secure, client, failure);
        let spans = finished.spans();
        if self.queue.try_send(finished).is_err() {
            self.metrics.dropped.inc_by(spans);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;
    use std::time::Instant;

    use gateway_config::Config;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_spans_without_waiting() {
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let text = "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\nmode = \"plain\"\n\
                    [[route]]\nname = \"r\"\npath = \"/\"\nrespond = { status = 200, body = \"\" }\n\
                    [tracing]\nendpoint = \"http://127.0.0.1:1/v1/traces\"\n";
        let config = Config::parse(text, "test.toml", Path::new("/"))
            .unwrap_or_else(|problems| panic!("{problems}"));
        let metrics = Metrics::new();
        let tracing = config.tracing.expect("it is there");
        let tracer = Tracer::build(&tracing, None, &metrics).expect("nothing is read");
        let record = AccessRecord {
            method: "GET",
            host: "localhost",
            path: "/",
            status: 200,
            bytes: 0,
            began: Instant::now(),
            ended: Instant::now(),
            route: "r",
            upstream: "",
            protocol: "HTTP/2",
            request_id: "id",
            client: Ipv4Addr::LOCALHOST.into(),
            refused: None,
        };
        // The queue has no reader because the exporter was not started.
        for _ in 0..QUEUE + 3 {
            tracer.finish(Span::root(1), &record, true, String::new(), None);
        }
        let spans = metrics.traces();
        assert_eq!((spans.dropped.get(), spans.exported.get(), spans.failed.get()), (3, 0, 0));
        // Spans that remain in the queue are counted as dropped too.
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        end.cancel();
        tracer.start(&tasks, &end);
        tasks.close();
        tasks.wait().await;
        assert_eq!(spans.failed.get(), QUEUE as u64);
    }
}
