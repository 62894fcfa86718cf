//! Exports spans from the queue to the collector: in batches, with a few retries, and a final flush
//! at shutdown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, Verdict};
use super::otlp;
use super::span::Finished;
use crate::metrics::TraceMetrics;

/// Maximum number of requests whose spans are sent together.
const BATCH: usize = 256;
/// Maximum time a span waits for a batch to fill.
const LINGER: Duration = Duration::from_secs(1);
/// Maximum attempts for one batch.
const TRIES: u32 = 4;
/// Delay before the first retry; it doubles with each retry unless the collector sends a delay.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum delay, even if the collector requests more.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Time for the final flush at shutdown.
const FAREWELL: Duration = Duration::from_secs(3);

/// The task that exports spans from the queue.
pub(super) struct Exporter {
    queue: mpsc::Receiver<Finished>,
    collector: Collector,
    service: String,
    metrics: Arc<TraceMetrics>,
    /// Spans in the current batch.
    held: u64,
    /// Whether the last export succeeded.
    well: Option<bool>,
}

impl Exporter {
    pub(super) fn new(
        queue: mpsc::Receiver<Finished>,
        collector: Collector,
        service: &str,
        metrics: Arc<TraceMetrics>,
    ) -> Self {
        Self { queue, collector, service: service.to_owned(), metrics, held: 0, well: None }
    }

    /// Runs until all senders are dropped, or until the flush time after `end`.
    pub(super) async fn run(mut self, end: CancellationToken) {
        let last_moment = async {
            end.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            () = self.work(&end) => {}
            () = last_moment => {}
        }
        self.queue.close();
        let mut left = self.held;
        while let Ok(finished) = self.queue.try_recv() {
            left += finished.spans();
        }
        self.metrics.failed.inc_by(left);
    }

    async fn work(&mut self, end: &CancellationToken) {
        let mut batch = Vec::new();
        while end
            .run_until_cancelled(self.queue.recv_many(&mut batch, BATCH))
            .await
            .is_some_and(|got| got > 0)
        {
            let until = Instant::now() + LINGER;
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                let more = timeout_at(until, self.queue.recv_many(&mut batch, room));
                if !matches!(end.run_until_cancelled(more).await, Some(Ok(1..))) {
                    break;
                }
            }
            self.deliver(std::mem::take(&mut batch), end).await;
        }
        self.queue.close();
        while self.queue.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(std::mem::take(&mut batch), end).await;
        }
    }

    async fn deliver(&mut self, batch: Vec<Finished>, end: &CancellationToken) {
        self.held = batch.iter().map(Finished::spans).sum();
        let body = Bytes::from(otlp::encode(&self.service, &batch));
        drop(batch);
        let mut pause = PAUSE;
        for tries in 1..=TRIES {
            match self.collector.send(body.clone()).await {
                Verdict::Taken { rejected: 0, .. } => {
                    self.note_success();
                    return self.settle(0);
                }
                Verdict::Taken { rejected, message } => {
                    self.note_failure(&format!("the collector rejects spans: {message}"));
                    return self.settle(rejected);
                }
                Verdict::Refused(reason) => {
                    self.note_failure(&reason);
                    break;
                }
                Verdict::Later { reason, after } => {
                    self.note_failure(&reason);
                    // At shutdown there is one attempt and no delay.
                    let wait = sleep(after.unwrap_or(pause).clamp(PAUSE, PAUSE_MAX));
                    if tries == TRIES || end.run_until_cancelled(wait).await.is_none() {
                        break;
                    }
                    pause *= 2;
                }
            }
        }
        self.settle(self.held);
    }

    /// Counts the batch, of which `failed` spans were not accepted.
    fn settle(&mut self, failed: u64) {
        let failed = failed.min(self.held);
        self.metrics.failed.inc_by(failed);
        self.metrics.exported.inc_by(self.held - failed);
        self.held = 0;
    }

    fn note_success(&mut self) {
        if self.well.replace(true) == Some(false) {
            tracing::info!(
                endpoint = self.collector.endpoint(),
                "the collector accepts traces again"
            );
        }
    }

    fn note_failure(&mut self, reason: &str) {
        if self.well.replace(false) != Some(false) {
            let endpoint = self.collector.endpoint();
            tracing::warn!(
                endpoint,
                reason,
                "the collector does not accept traces; spans are lost"
            );
        }
    }
}
