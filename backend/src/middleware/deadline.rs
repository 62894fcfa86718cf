//! A deadline for everything but streams.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backend_protocol::problem::ProblemType;

use crate::error::ApiError;

/// Store calls have shorter deadlines of their own; several of them fit.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            let detail = format!("There was no answer within {} seconds.", DEADLINE.as_secs());
            ApiError::new(ProblemType::StoreUnavailable, detail).retry_after(5).into_response()
        }
    }
}
