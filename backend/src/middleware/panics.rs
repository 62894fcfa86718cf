//! Turns a handler's panic into a logged 500.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use backend_protocol::problem::ProblemType;

use crate::error::ApiError;

#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer requires")]
pub(super) fn answer(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("unknown type"), "a handler panicked");
    ApiError::new(ProblemType::Internal, "Internal error of the server; see its log.")
        .into_response()
}
