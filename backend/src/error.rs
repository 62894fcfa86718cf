//! Errors of `/api`, as problem details (RFC 9457).
//!
//! - A handler returns [`ApiError`]: a stable type with a human-readable detail.
//! - `StoreError::Unavailable` becomes `store-unavailable` (503, `Retry-After`); other store errors
//!   become `internal` (500) and are logged only here.
//! - The extractors of `extract.rs` reject invalid bodies and paths.
//! - The router's fallbacks handle unknown paths and methods; the `panics` middleware handles
//!   panics.
//! - An error after the start of a stream is sent in `run.failed`, as the same object.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backend_ai::assistant::{StartError, TailError};
use backend_protocol::limits::MAX_DEVICES;
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::StoreError;
use backend_store::accounts::MAX_DEVICES_REMOVED;
use backend_store::allowance::Wait;

/// A problem to respond with.
#[derive(Debug)]
pub(crate) struct ApiError(Problem);

impl ApiError {
    pub(crate) fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self(Problem::new(kind).detail(detail))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            ProblemType::NotFound,
            format!("No such {what}, or it belongs to another account."),
        )
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::InvalidValue, detail)
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self(self.0.with_status(status))
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self(self.0.retry_after(seconds))
    }
}

/// Errors with one text for several handlers.
impl ApiError {
    /// A request without an account.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "This request has no account: create one with POST /api/me.";
        Self::new(ProblemType::Unauthenticated, detail)
    }

    /// A request that needs the token of a link.
    pub(crate) fn no_link_token() -> Self {
        let detail = "Expected `Authorization: Bearer` with the token of the link.";
        Self::new(ProblemType::Unauthenticated, detail)
    }

    /// The account's state is not the one that the request expects.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::Conflict, detail)
    }

    /// A device that was removed can be neither registered nor linked again.
    pub(crate) fn device_gone() -> Self {
        let detail = "This device was removed from the account and cannot be registered or linked again. Register a new device.";
        Self::new(ProblemType::DeviceRemoved, detail).with_status(410)
    }

    /// The account may have no further device.
    pub(crate) fn too_many_devices() -> Self {
        let detail = format!(
            "An account has at most {MAX_DEVICES} devices, and at most {MAX_DEVICES_REMOVED} removed ones. Remove a device first."
        );
        Self::new(ProblemType::LimitReached, detail)
    }

    /// A request with the credential of a removed device.
    pub(crate) fn device_removed() -> Self {
        let detail =
            "This device was removed from its account. POST /api/logout clears its cookie.";
        Self::new(ProblemType::DeviceRemoved, detail)
    }

    /// The client's network has used up an allowance.
    pub(crate) fn over_allowance(wait: Wait, detail: impl Into<String>) -> Self {
        Self::new(ProblemType::RateLimited, detail).retry_after(whole_seconds(wait))
    }

    /// Another account has the username.
    pub(crate) fn username_taken() -> Self {
        let detail =
            "Another account has this name, or one that looks the same. Choose another name.";
        Self::new(ProblemType::UsernameTaken, detail)
    }

    /// Another account gave the username up recently.
    pub(crate) fn username_reserved() -> Self {
        let detail = "This name, or one that looks the same, was given up recently. It is reserved for 90 days for the \
                      account that had it. Choose another name.";
        Self::new(ProblemType::UsernameTaken, detail)
    }
}

/// Rounded up, at least one.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { reason, retry_after } => {
                tracing::warn!(reason, "the store is unavailable");
                Self::new(ProblemType::StoreUnavailable, "Nothing was lost. Try again.")
                    .retry_after(whole_seconds(retry_after))
            }
            error @ (StoreError::Corrupt { .. } | StoreError::Setup(_)) => {
                tracing::error!(%error, "the store needs an operator");
                Self::new(ProblemType::Internal, "Internal error. Contact the operator.")
            }
        }
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        let kind = match error {
            StartError::Store(error) => return error.into(),
            StartError::Message(_) | StartError::Model(_) => ProblemType::InvalidValue,
            StartError::Active { .. } => ProblemType::RunActive,
            StartError::TooMany(_) => ProblemType::RateLimited,
            StartError::IdempotencyConflict => ProblemType::IdempotencyConflict,
            StartError::Draining => ProblemType::UpstreamUnavailable,
        };
        let retry_after = match kind {
            ProblemType::RateLimited => Some(5),
            ProblemType::UpstreamUnavailable => Some(1),
            _ => None,
        };
        let answer = Self::new(kind, error.to_string());
        match retry_after {
            Some(seconds) => answer.retry_after(seconds),
            None => answer,
        }
    }
}

impl From<TailError> for ApiError {
    fn from(error: TailError) -> Self {
        match error {
            TailError::Store(error) => error.into(),
            TailError::NotFound => Self::not_found("run"),
            TailError::Expired => Self::new(
                ProblemType::RunExpired,
                "The run's events are no longer kept. Read the answer in the chat session's messages.",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = problem.retry_after;
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
