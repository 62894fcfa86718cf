//! Errors of `/api`: problem details (RFC 9457) with stable types.

use serde::{Deserialize, Serialize};

/// `application/problem+json`: what went wrong and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Stable, machine-readable type.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// Human-readable summary of the type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Human-readable: what was expected and what was found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub detail: Option<String>,
    /// Seconds after which a retry makes sense.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub retry_after: Option<u32>,
}

macro_rules! problem_types {
    ($($(#[$doc:meta])* $name:ident = $status:literal $title:literal),+ $(,)?) => {
        /// The stable types of problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "kebab-case")]
        pub enum ProblemType { $($(#[$doc])* $name),+ }

        impl ProblemType {
            /// The HTTP status of this type.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }

            /// The human-readable title of this type.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

problem_types! {
    /// The request is malformed.
    BadRequest = 400 "The request is malformed",
    /// No account, or signed out.
    Unauthenticated = 401 "No account",
    /// The device was removed from its account: 401 for its credential, 410 when it registers
    /// again.
    DeviceRemoved = 401 "This device was removed",
    /// A write from another origin.
    CrossOrigin = 403 "Writes from another origin are refused",
    /// It does not exist, or belongs to another account.
    NotFound = 404 "Not found",
    /// The path exists, the method does not.
    MethodNotAllowed = 405 "Method not allowed",
    /// The stored state is not the one that the request expects.
    Conflict = 409 "The state has changed",
    /// Another account has this username.
    UsernameTaken = 409 "This username is taken",
    /// An answer is still being written in this session.
    RunActive = 409 "An answer is still being written",
    /// A limit of the account is reached.
    LimitReached = 409 "A limit is reached",
    /// The run's events are no longer kept.
    RunExpired = 410 "The run has expired",
    /// The request body exceeds the limit.
    TooLarge = 413 "The body is too large",
    /// Unsupported content type.
    UnsupportedMediaType = 415 "Unsupported media type",
    /// Well-formed, but a value is invalid.
    InvalidValue = 422 "A value is invalid",
    /// The idempotency key was used with another body.
    IdempotencyConflict = 422 "The idempotency key was used with another body",
    /// The chat session no longer fits into the model's context.
    ContextTooLong = 422 "The chat is too long for the model",
    /// The model provider refused the content.
    ContentFiltered = 422 "The model provider refused the content",
    /// Too many requests at once.
    RateLimited = 429 "Too many requests",
    /// The token budget is exhausted.
    QuotaExhausted = 429 "The token budget is exhausted",
    /// An internal error of the server.
    Internal = 500 "Internal error",
    /// The model provider is unavailable.
    UpstreamUnavailable = 502 "The model provider is unavailable",
    /// The store is unavailable; nothing was lost.
    StoreUnavailable = 503 "The store is unavailable",
}

impl Problem {
    /// A problem of this type, with its title and status.
    pub fn new(kind: ProblemType) -> Self {
        Self {
            kind,
            title: kind.title().into(),
            status: kind.status(),
            detail: None,
            retry_after: None,
        }
    }

    /// Sets the detail: what was expected and what was found.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets another status than the type's default.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets the seconds after which a retry makes sense.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
