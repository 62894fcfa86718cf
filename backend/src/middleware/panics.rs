//! A handler's panic is answered with 500, and logged.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use backend_protocol::problem::ProblemType;

use crate::error::ApiError;

#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer asks for")]
pub(super) fn answer(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("of an unknown type"), "a handler panicked");
    ApiError::new(ProblemType::Internal, "This is a fault of the server; its log says more.")
        .into_response()
}
