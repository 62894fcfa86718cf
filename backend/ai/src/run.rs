//! One run: the task that reads the model and appends to the run's log until the answer is
//! complete.
//!
//! ```text
//! provider ── read ──> buffer.rs ── write, about 30 times a second ──> the run's log
//!    stop, deleted session, shutdown: reading ends, the buffer is written, the log is closed
//! ```
//!
//! Reading never waits for the store: async-openai's channel is unbounded, the buffer is bounded.

mod prompt;
mod buffer;

pub(crate) use prompt::title;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backend_protocol::api::{ChatAnswer, Message, Role, Session};
use backend_protocol::id::RunId;
use backend_protocol::problem::{Problem, ProblemType};
use backend_protocol::run::{RunEvent, RunStarted, Title};
use backend_store::StoreError;
use backend_store::broker::{Subscription, Topic};
use backend_store::runs::NewRun;
use tokio::time::{Instant, sleep, timeout};

use crate::ids;
use crate::provider::Failure;
use crate::settings::AssistantSettings;
use crate::shared::Shared;
use crate::slots::Slot;
use buffer::Buffer;

/// An open run and the data of its task.
pub(crate) struct Run {
    shared: Arc<Shared>,
    opened: NewRun,
    session: Session,
    history: Vec<Message>,
    _slot: Slot,
}

/// The result of a run that waited too long for the store.
const LOST_STORE: &str = "store";

/// How reading the model ended.
enum Ending {
    Completed,
    Stopped,
    Failed(Problem, &'static str),
    /// The run is no longer open: reaped, or its session was deleted.
    Lost,
}

impl Run {
    pub(crate) fn new(
        shared: Arc<Shared>,
        opened: NewRun,
        session: Session,
        history: Vec<Message>,
        slot: Slot,
    ) -> Self {
        Self { shared, opened, session, history, _slot: slot }
    }

    /// Runs the task to its end.
    pub(crate) async fn drive(self) {
        let metrics = &self.shared.metrics;
        metrics.active.inc();
        let buffer = Buffer::new(self.first_events(), self.shared.settings.max_output_bytes);
        let ending = self.read_and_write(&buffer).await;
        let result = self.close(ending, &buffer).await;
        let usage = buffer.usage();
        let model = self.opened.model.as_str();
        metrics.active.dec();
        metrics.runs.with_label_values(&[model, result]).inc();
        metrics.tokens.with_label_values(&[model, "prompt"]).inc_by(usage.prompt_tokens);
        metrics.tokens.with_label_values(&[model, "completion"]).inc_by(usage.completion_tokens);
        tracing::info!(
            run = %self.run(), session = %self.session.id, model, result, usage.prompt_tokens, usage.completion_tokens,
            "run ended"
        );
    }

    fn run(&self) -> &RunId {
        &self.opened.run
    }

    fn first_events(&self) -> Vec<RunEvent> {
        let started =
            RunStarted { run_id: self.run().clone(), session_id: self.session.id.clone() };
        let mut events = vec![RunEvent::Started(started)];
        if self.history.len() == 1 && self.session.title == self.opened.title {
            events.push(RunEvent::Title(Title { title: self.session.title.clone() }));
        }
        events
    }

    async fn read_and_write(&self, buffer: &Buffer) -> Ending {
        let mut write = pin!(self.write(buffer));
        let ending = tokio::select! {
            ending = self.read(buffer) => ending,
            ending = self.wait_for_stop() => ending,
            () = self.shared.abort.cancelled() => Ending::Failed(restarting(), "restarting"),
            lost = &mut write => return lost,
        };
        // The request at the provider is cancelled by now. The buffer is written before the log is
        // closed.
        buffer.close();
        match write.await {
            Ending::Completed => ending,
            lost => lost,
        }
    }

    async fn read(&self, buffer: &Buffer) -> Ending {
        let settings = &self.shared.settings;
        let system = self.session.system_prompt.as_deref().or(settings.system_prompt.as_deref());
        let messages = prompt::messages(system, &self.history);
        let begun = Instant::now();
        let mut answer = match self
            .shared
            .provider
            .request(&self.opened.model, &messages, settings.max_output_tokens)
            .await
        {
            Ok(answer) => answer,
            Err(failure) => return failed(&failure),
        };
        self.shared.metrics.first_token.observe(begun.elapsed().as_secs_f64());
        while let Some(piece) = answer.next().await {
            match piece {
                Ok(piece) => {
                    if !buffer.push(piece) {
                        break;
                    }
                }
                Err(failure) => return failed(&failure),
            }
        }
        Ending::Completed
    }

    /// Writes the buffer to the log, and renews the lease while there is nothing to write. Returns
    /// `Completed` after the buffer was closed.
    async fn write(&self, buffer: &Buffer) -> Ending {
        let settings = &self.shared.settings;
        let mut written = Instant::now();
        loop {
            let (events, closed) = buffer.take();
            let nothing_new = events.is_empty();
            if !nothing_new || (!closed && written.elapsed() >= settings.renew_every) {
                if let Err(lost) = self.append(&events).await {
                    return lost;
                }
                written = Instant::now();
            }
            if closed {
                return Ending::Completed;
            }
            // The first event after a pause is written at once; the following ones are batched.
            if !nothing_new {
                let _closed_or_elapsed = timeout(settings.flush_every, buffer.closed()).await;
            }
            let _changed_or_elapsed = timeout(settings.renew_every, buffer.changed()).await;
        }
    }

    async fn append(&self, events: &[RunEvent]) -> Result<(), Ending> {
        let lease = self.shared.settings.lease;
        let store = &self.shared.store;
        let open = self
            .insist(|| store.append_run_events(&self.opened.account, self.run(), events, lease))
            .await;
        match open {
            Ok(true) => Ok(()),
            Ok(false) => Err(Ending::Lost),
            Err(error) => Err(Ending::Failed(lost_store(&error), LOST_STORE)),
        }
    }

    /// Retries a store call while the store is unavailable, for at most `longest_outage`. The
    /// lease may expire meanwhile: the reapers wait for the owner after an outage.
    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let Shared { settings, abort, .. } = &*self.shared;
        let deadline = Instant::now() + settings.longest_outage;
        loop {
            match call().await {
                Err(StoreError::Unavailable { reason, retry_after })
                    if Instant::now() < deadline && !abort.is_cancelled() =>
                {
                    tracing::warn!(run = %self.run(), reason, "the store is unavailable, retrying");
                    let pause =
                        retry_after.clamp(Duration::from_millis(50), longest_pause(settings));
                    abort.run_until_cancelled(sleep(pause)).await;
                }
                result => return result,
            }
        }
    }

    async fn wait_for_stop(&self) -> Ending {
        let Shared { store, settings, .. } = &*self.shared;
        let mut wake = store.subscribe(&Topic::RunStop(self.run().clone())).await.ok();
        loop {
            match store.stop_requested(&self.opened.account, self.run()).await {
                Ok(true) => return Ending::Stopped,
                Ok(false) => {
                    // Deleting a session deletes its run: nothing is left to write to.
                    let log = store.run_log(&self.opened.account, self.run(), 0, 1).await;
                    if matches!(log, Ok(None)) {
                        return Ending::Lost;
                    }
                }
                Err(error) => tracing::debug!(%error, "cannot check for a stop request"),
            }
            let _woken_or_elapsed = timeout(settings.poll_every, woken(&mut wake)).await;
        }
    }

    /// Writes the last event; returns the result as a metric label.
    async fn close(&self, ending: Ending, buffer: &Buffer) -> &'static str {
        let text = buffer.text();
        let (last, answer, result) = match ending {
            Ending::Lost => return "lost",
            Ending::Completed if text.is_empty() => {
                (RunEvent::Failed(empty_answer()), None, "empty")
            }
            Ending::Failed(problem, result) => {
                let kept = result == LOST_STORE && !text.is_empty();
                let answer = kept.then(|| self.answer(text, buffer).message);
                (RunEvent::Failed(problem), answer, result)
            }
            Ending::Completed => {
                let answer = self.answer(text, buffer);
                (RunEvent::Completed(answer.clone()), Some(answer.message), "completed")
            }
            Ending::Stopped => {
                let answer = self.answer(text, buffer);
                let kept =
                    Some(answer.message.clone()).filter(|message| !message.content.is_empty());
                (RunEvent::Stopped(answer), kept, "stopped")
            }
        };
        let store = &self.shared.store;
        let close = || store.close_run(&self.opened.account, self.run(), &last, answer.as_ref());
        match self.insist(close).await {
            Ok(true) => result,
            Ok(false) => "lost",
            Err(error) => {
                tracing::error!(run = %self.run(), %error, "cannot close the run; it will be reaped");
                "lost"
            }
        }
    }

    fn answer(&self, text: String, buffer: &Buffer) -> ChatAnswer {
        ChatAnswer {
            session_id: self.session.id.clone(),
            run_id: self.run().clone(),
            message: ids::message(Role::Assistant, text),
            usage: buffer.usage(),
        }
    }
}

/// Several attempts fit into a lease, so that the first renewal after an outage is in time.
fn longest_pause(settings: &AssistantSettings) -> Duration {
    (settings.lease / 4).max(Duration::from_millis(50))
}

async fn woken(wake: &mut Option<Subscription>) {
    match wake {
        Some(subscription) => {
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = subscription.recv().await
            {
                *wake = None;
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}

fn failed(failure: &Failure) -> Ending {
    tracing::warn!(%failure, "the model's answer is missing or incomplete");
    Ending::Failed(failure.to_problem(), failure.kind.name())
}

fn restarting() -> Problem {
    Problem::new(ProblemType::UpstreamUnavailable)
        .detail("The server is restarting. Send the message again.")
        .retry_after(1)
}

fn empty_answer() -> Problem {
    Problem::new(ProblemType::UpstreamUnavailable)
        .detail("The model returned an empty answer. Send the message again.")
        .retry_after(1)
}

fn lost_store(error: &StoreError) -> Problem {
    tracing::error!(%error, "cannot write a run");
    Problem::new(ProblemType::StoreUnavailable)
        .detail("The store was unavailable for too long. The answer up to this point is kept.")
        .retry_after(5)
}
