//! Errors in OpenAI's format: `{"error": {message, type, param, code}}`.

use axum::Json;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug)]
pub(super) struct DemoError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
}

impl DemoError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status: StatusCode::BAD_REQUEST, kind: "invalid_request_error", code: None, message }
    }

    pub(super) fn no_such_path() -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid("The demo model has no such path.") }
    }

    pub(super) fn no_such_model(model: &str) -> Self {
        let message =
            format!("The model `{model}` does not exist: this is the demo endpoint of Gatehouse.");
        Self {
            status: StatusCode::NOT_FOUND,
            code: Some("model_not_found"),
            ..Self::invalid(message)
        }
    }

    pub(super) fn context_too_long(tokens: u64, limit: u64) -> Self {
        let message = format!(
            "This model's maximum context length is {limit} tokens; the messages have {tokens}."
        );
        Self { code: Some("context_length_exceeded"), ..Self::invalid(message) }
    }

    pub(super) fn rate_limited() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "requests",
            code: Some("rate_limit_exceeded"),
            message: "The demo model simulates a rate limit: try again.".into(),
        }
    }

    pub(super) fn quota() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "insufficient_quota",
            code: Some("insufficient_quota"),
            message: "The demo model simulates an exhausted quota.".into(),
        }
    }

    pub(super) fn internal() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "server_error",
            code: None,
            message: "The demo model simulates an internal error.".into(),
        }
    }
}

impl IntoResponse for DemoError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": {"message": self.message, "type": self.kind, "param": null, "code": self.code}
        });
        let mut response = (self.status, Json(body)).into_response();
        if self.code == Some("rate_limit_exceeded") {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, 1.into());
            headers.insert(HeaderName::from_static("retry-after-ms"), 20.into());
        }
        response
    }
}
