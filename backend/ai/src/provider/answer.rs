//! The model's answer in pieces, with a deadline between pieces.

use std::collections::VecDeque;
use std::time::Duration;

use async_openai::types::stream::StreamResponse;
use backend_protocol::api::Usage;
use futures::StreamExt;
use tokio::time::timeout;

use super::failure::{Failure, FailureKind};
use super::wire::Chunk;

/// A piece of a model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text of the answer.
    Text(String),
    /// Text of the model's reasoning.
    Reasoning(String),
    /// Token counts, usually last.
    Usage(Usage),
}

/// An answer in progress. Dropping it cancels the request at the provider.
///
/// async-openai reads the provider into an unbounded channel, so the owner must keep reading.
pub struct Answer {
    chunks: StreamResponse<Chunk>,
    ready: VecDeque<Piece>,
    idle_deadline: Duration,
    finished: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl Answer {
    /// Waits for the first piece: until then the request can be retried.
    pub(super) async fn begin(
        chunks: StreamResponse<Chunk>,
        idle_deadline: Duration,
    ) -> Result<Self, Failure> {
        let mut answer = Self { chunks, ready: VecDeque::new(), idle_deadline, finished: false };
        while answer.ready.is_empty() {
            match answer.chunks.next().await {
                Some(chunk) => answer.take(chunk.map_err(Failure::from)?)?,
                None => break,
            }
        }
        if answer.ready.is_empty() && !answer.finished { Err(cut()) } else { Ok(answer) }
    }

    /// The next piece; `None` once the model has finished.
    pub async fn next(&mut self) -> Option<Result<Piece, Failure>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            let taken = match timeout(self.idle_deadline, self.chunks.next()).await {
                Ok(Some(Ok(chunk))) => self.take(chunk),
                // After the finish reason only the usage is missing: the answer counts without it.
                Ok(None) | Err(_) | Ok(Some(Err(_))) if self.finished => return None,
                Ok(Some(Err(error))) => Err(Failure::from(error)),
                Ok(None) => Err(cut()),
                Err(_elapsed) => Err(Failure::silent(self.idle_deadline)),
            };
            if let Err(failure) = taken {
                return Some(Err(failure));
            }
        }
    }

    fn take(&mut self, chunk: Chunk) -> Result<(), Failure> {
        if let Some(error) = &chunk.error {
            return Err(Failure::in_stream(error));
        }
        for choice in chunk.choices {
            let delta = choice.delta.unwrap_or_default();
            let reasoning = delta.reasoning_content.filter(|text| !text.is_empty());
            self.ready.extend(reasoning.map(Piece::Reasoning));
            let text = [delta.content, delta.refusal]
                .into_iter()
                .flatten()
                .filter(|text| !text.is_empty());
            self.ready.extend(text.map(Piece::Text));
            match choice.finish_reason.as_deref() {
                Some("content_filter") => {
                    return Err(Failure::new(
                        FailureKind::ContentFiltered,
                        "the provider's content filter ended the answer",
                    ));
                }
                Some(reason) if !reason.is_empty() => self.finished = true,
                _ => {}
            }
        }
        if let Some(usage) = chunk.usage {
            let usage = Usage {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
            };
            self.ready.push_back(Piece::Usage(usage));
        }
        Ok(())
    }
}

fn cut() -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        "the provider closed the stream before the end of the answer",
    )
}
