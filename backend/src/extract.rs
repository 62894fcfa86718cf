//! Extractors: a JSON body, an id in the path, a query. They reject invalid input with a problem
//! that says where it is wrong.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use backend_protocol::limits::MAX_BODY;
use backend_protocol::problem::ProblemType;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// Deadline for receiving a body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match tokio::time::timeout(BODY_DEADLINE, Json::<T>::from_request(request, state)).await {
            Ok(Ok(Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(refuse(&rejection)),
            Err(_elapsed) => {
                let detail =
                    format!("The body did not arrive within {} seconds.", BODY_DEADLINE.as_secs());
                Err(ApiError::new(ProblemType::BadRequest, detail))
            }
        }
    }
}

/// axum's texts name the field (`serde_path_to_error`), the line and the column.
fn refuse(rejection: &JsonRejection) -> ApiError {
    let kind = match rejection {
        JsonRejection::MissingJsonContentType(_) => ProblemType::UnsupportedMediaType,
        JsonRejection::JsonDataError(_) => ProblemType::InvalidValue,
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return ApiError::new(
                ProblemType::TooLarge,
                format!("A body has at most {MAX_BODY} bytes."),
            );
        }
        _ => ProblemType::BadRequest,
    };
    ApiError::new(kind, rejection.body_text())
}

/// An id in the path. An invalid id gets 404.
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_rejection) => Err(ApiError::not_found("resource: the path has no valid id")),
        }
    }
}

/// The query of the URL.
pub(crate) struct UrlQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for UrlQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::new(ProblemType::BadRequest, rejection.body_text())),
        }
    }
}
