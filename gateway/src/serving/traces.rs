//! Traces of requests: who is traced, the spans while they are made, and their way to an
//! OpenTelemetry collector.
//!
//! A request makes no more than a [`Span`]; when it has ended, [`Tracer::finish`] puts it into a
//! bounded queue or drops it. Everything after the queue belongs to one task, so that no request
//! waits for a collector.

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

/// Most requests that wait for the collector. A trace is worth some memory, not any.
const QUEUE: usize = 2048;

/// Decides who is traced and takes spans that have ended. Kept over reloads that change nothing
/// about it.
pub(crate) struct Tracer {
    settings: Settings,
    queue: mpsc::Sender<Finished>,
    metrics: Arc<TraceMetrics>,
    /// There until it is started.
    exporter: Mutex<Option<Exporter>>,
}

impl Tracer {
    /// Reads what the configuration names; its exporter waits for [`start`](Self::start).
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

    /// Exports from now on, if that is not done already: until `end` or until this tracer is gone.
    pub(crate) fn start(&self, tasks: &TaskTracker, end: &CancellationToken) {
        let exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(exporter) = exporter {
            tasks.spawn(exporter.run(end.clone()));
        }
    }

    /// Whether a request is traced about which nobody has decided yet.
    pub(crate) fn samples(&self) -> bool {
        rand::random::<f64>() < self.settings.config.sample
    }

    /// Takes the spans of a request that has ended. `client` is how logs name it; `failure` says
    /// why the answer did not come to its end.
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
    async fn a_full_queue_drops_and_counts_and_does_not_wait() {
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
        // Nobody reads: the exporter was not started.
        for _ in 0..QUEUE + 3 {
            tracer.finish(Span::root(1), &record, true, String::new(), None);
        }
        let spans = metrics.traces();
        assert_eq!((spans.dropped.get(), spans.exported.get(), spans.failed.get()), (3, 0, 0));
        // What waits when nobody will ever send is counted too.
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        end.cancel();
        tracer.start(&tasks, &end);
        tasks.close();
        tasks.wait().await;
        assert_eq!(spans.failed.get(), QUEUE as u64);
    }
}
