//! Provider failures, and the problem reported to the client for each.
//!
//! | provider's error | kind | problem | retried |
//! |---|---|---|---|
//! | 429 | `RateLimited` | `rate-limited` | yes |
//! | 429 `insufficient_quota` | `QuotaExhausted` | `quota-exhausted` | no |
//! | `context_length_exceeded` | `ContextTooLong` | `context-too-long` | no |
//! | `content_filter` | `ContentFiltered` | `content-filtered` | no |
//! | 408, 5xx, no connection, timeout, a cut stream | `Unavailable` | `upstream-unavailable` | yes |
//! | other 4xx | `Misconfigured` | `upstream-unavailable` | no: the operator has to fix the settings |

use std::fmt;
use std::time::Duration;

use async_openai::error::OpenAIError;
use backend_protocol::problem::{Problem, ProblemType};

use super::wire::{ProviderError, Refusal};

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Too many requests at the provider.
    RateLimited,
    /// The provider account's budget is exhausted.
    QuotaExhausted,
    /// The chat does not fit into the model's context.
    ContextTooLong,
    /// The provider's filter blocked the content.
    ContentFiltered,
    /// The provider does not answer, or its stream broke off.
    Unavailable,
    /// The provider rejects this server's settings: key, model or address.
    Misconfigured,
}

impl FailureKind {
    /// The metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate-limited",
            Self::QuotaExhausted => "quota-exhausted",
            Self::ContextTooLong => "context-too-long",
            Self::ContentFiltered => "content-filtered",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// Why an answer is missing or incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Details for the log; may quote the provider.
    pub reason: String,
    /// The provider's `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(super) fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), retry_after: None }
    }

    pub(super) fn silent(deadline: Duration) -> Self {
        Self::new(FailureKind::Unavailable, format!("the provider sent nothing for {deadline:?}"))
    }

    /// The provider responded with this status instead of a stream.
    pub(super) fn refused(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let refusal = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
        let message = refusal.as_ref().map_or("no reason given", ProviderError::message);
        let kind = refusal.as_ref().and_then(kind_of).unwrap_or(match status {
            429 => FailureKind::RateLimited,
            408 | 500.. => FailureKind::Unavailable,
            _ => FailureKind::Misconfigured,
        });
        Self { kind, reason: format!("the provider answered {status}: {message}"), retry_after }
    }

    /// The provider ended the stream with an error event.
    pub(super) fn in_stream(error: &ProviderError) -> Self {
        let kind = kind_of(error).unwrap_or(FailureKind::Unavailable);
        Self::new(kind, format!("the provider ended the stream with an error: {}", error.message()))
    }

    /// The problem reported to the client. The provider's own text stays in the log: it may contain
    /// keys and deployments.
    pub fn to_problem(&self) -> Problem {
        let (kind, detail) = match self.kind {
            FailureKind::RateLimited => {
                (ProblemType::RateLimited, "The model provider has too many requests.")
            }
            FailureKind::QuotaExhausted => (
                ProblemType::QuotaExhausted,
                "This server's budget at the model provider is exhausted.",
            ),
            FailureKind::ContextTooLong => {
                (ProblemType::ContextTooLong, "Start a new chat, or send a shorter message.")
            }
            FailureKind::ContentFiltered => (
                ProblemType::ContentFiltered,
                "The model provider's content filter blocked this answer.",
            ),
            FailureKind::Unavailable => (
                ProblemType::UpstreamUnavailable,
                "The model provider does not respond, or stopped responding. Try again.",
            ),
            FailureKind::Misconfigured => (
                ProblemType::UpstreamUnavailable,
                "The model provider rejects this server's settings. Contact the operator.",
            ),
        };
        let problem = Problem::new(kind).detail(detail);
        match (self.kind, self.retry_after) {
            (_, Some(after)) => problem.retry_after(whole_seconds(after)),
            (FailureKind::RateLimited, None) => problem.retry_after(20),
            (FailureKind::Unavailable, None) => problem.retry_after(5),
            _ => problem,
        }
    }
}

fn kind_of(error: &ProviderError) -> Option<FailureKind> {
    if error.is(&["insufficient_quota"]) {
        Some(FailureKind::QuotaExhausted)
    } else if error.is(&["context_length_exceeded"])
        || error.message().contains("maximum context length")
    {
        Some(FailureKind::ContextTooLong)
    } else if error.is(&["content_filter", "content_policy_violation"]) {
        Some(FailureKind::ContentFiltered)
    } else if error.is(&["rate_limit_exceeded"]) {
        Some(FailureKind::RateLimited)
    } else {
        None
    }
}

impl From<OpenAIError> for Failure {
    /// Our own failures pass through async-openai boxed; its own errors are failed connections and
    /// malformed events.
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<Failure>() {
                Ok(failure) => *failure,
                Err(other) => Self::new(FailureKind::Unavailable, other.to_string()),
            },
            OpenAIError::JSONDeserialize(error, _content) => Self::new(
                FailureKind::Unavailable,
                format!("the provider sent a malformed event: {error}"),
            ),
            other => Self::new(FailureKind::Unavailable, other.to_string()),
        }
    }
}

/// Whole seconds, rounded up, for `retry_after` of a problem.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
