//! Events of a run: the model's answer as it is written. Sent as server-sent events; `id:` is the
//! position in the run's log.

use serde::{Deserialize, Serialize};

use crate::api::{ChatAnswer, Usage};
use crate::id::{RunId, SessionId};
use crate::problem::Problem;

/// One entry of a run's log. On the wire the tag is the SSE `event:` and the content its `data:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", content = "data")]
pub enum RunEvent {
    /// The run exists; sent at once.
    #[serde(rename = "run.started")]
    Started(RunStarted),
    /// More of the answer.
    #[serde(rename = "text.delta")]
    Text(Delta),
    /// More of the model's reasoning.
    #[serde(rename = "reasoning.delta")]
    Reasoning(Delta),
    /// Tokens used.
    #[serde(rename = "usage")]
    Usage(Usage),
    /// The chat session has a title now.
    #[serde(rename = "title")]
    Title(Title),
    /// Last event: the whole answer.
    #[serde(rename = "run.completed")]
    Completed(ChatAnswer),
    /// Last event: stopped on request; the answer so far is kept.
    #[serde(rename = "run.stopped")]
    Stopped(ChatAnswer),
    /// Last event: no answer, and the reason.
    #[serde(rename = "run.failed")]
    Failed(Problem),
}

impl RunEvent {
    /// The SSE event name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "run.started",
            Self::Text(_) => "text.delta",
            Self::Reasoning(_) => "reasoning.delta",
            Self::Usage(_) => "usage",
            Self::Title(_) => "title",
            Self::Completed(_) => "run.completed",
            Self::Stopped(_) => "run.stopped",
            Self::Failed(_) => "run.failed",
        }
    }

    /// True for the last event of a run.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Stopped(_) | Self::Failed(_))
    }
}

/// Data of `run.started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStarted {
    /// The run, to resume or stop it.
    pub run_id: RunId,
    /// The chat session.
    pub session_id: SessionId,
}

/// Data of `text.delta` and `reasoning.delta`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delta {
    /// Text to append.
    pub text: String,
}

/// Data of `title`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Title {
    /// The title of the chat session.
    pub title: String,
}
