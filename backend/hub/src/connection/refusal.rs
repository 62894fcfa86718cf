//! Rejected requests and their error frames.

use std::borrow::Cow;
use std::time::Duration;

use backend_protocol::live::{ErrorCode, ServerFrame};
use backend_store::StoreError;

/// Retry delay when the store needs an operator first.
const CORRUPT_RETRY: Duration = Duration::from_secs(60);

/// A rejected request.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    message: Cow<'static, str>,
    retry: Option<Duration>,
}

impl Refusal {
    /// The client has to send another request.
    pub(super) fn of(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry: None }
    }

    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorCode::Invalid, message)
    }

    pub(super) fn rate_limited(wait: Duration) -> Self {
        Self {
            code: ErrorCode::RateLimited,
            message: "too many requests at once".into(),
            retry: Some(wait),
        }
    }

    /// How long the client waits before it retries; `None` when a retry makes no sense.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The metric label.
    pub(super) fn label(&self) -> &'static str {
        match self.code {
            ErrorCode::Invalid => "invalid",
            ErrorCode::OutOfOrder => "out-of-order",
            ErrorCode::NotFound => "not-found",
            ErrorCode::UnknownDevice => "unknown-device",
            ErrorCode::CidReused => "cid-reused",
            ErrorCode::UsernameRequired => "username-required",
            ErrorCode::RateLimited => "rate-limited",
            ErrorCode::StoreUnavailable => "store-unavailable",
        }
    }

    /// The response to request `id`.
    pub(super) fn frame(self, id: u64) -> ServerFrame {
        let retry_after = self
            .retry
            .map(|wait| u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1));
        let temporary = self.retry.is_some();
        ServerFrame::Err {
            id,
            code: self.code,
            message: self.message.into(),
            temporary,
            retry_after,
        }
    }
}

/// Nothing is lost: the client keeps the request and retries.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let retry = match &error {
            StoreError::Unavailable { retry_after, .. } => {
                tracing::debug!(%error, "request rejected");
                *retry_after
            }
            StoreError::Corrupt { .. } | StoreError::Setup(_) => {
                tracing::error!(%error, "request rejected");
                CORRUPT_RETRY
            }
        };
        Self {
            code: ErrorCode::StoreUnavailable,
            message: "the store is unavailable".into(),
            retry: Some(retry),
        }
    }
}
