//! Deadline of all requests except streams.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backend_protocol::problem::ProblemType;

use crate::error::ApiError;

/// Longer than several store calls, which have their own deadlines.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            let detail = format!("The request took longer than {} seconds.", DEADLINE.as_secs());
            ApiError::new(ProblemType::StoreUnavailable, detail).retry_after(5).into_response()
        }
    }
}
