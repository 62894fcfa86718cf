//! `[[route]]` and `[[site]]`.

use std::path::PathBuf;
use std::time::Duration;

use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{HostPattern, Name};

/// Which requests, and what happens to them: exactly one of `path` and `path_prefix`, and exactly
/// one of `upstream`, `static`, `redirect` and `respond`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(crate) struct RouteText {
    /// A name for logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// Hosts without port; `*.example.org` is every name below. Default: any host.
    pub(crate) hosts: Option<Vec<Text<HostPattern>>>,
    /// Exactly this path. Default: none.
    pub(crate) path: Option<Text<String>>,
    /// This path and everything below it, by whole segments. Default: none.
    pub(crate) path_prefix: Option<Text<String>>,
    /// Methods; another one on this path is answered 405. Default: any.
    pub(crate) methods: Option<Vec<Text<Method>>>,
    /// Forward to the upstream of this name. Default: none.
    pub(crate) upstream: Option<Text<Name>>,
    /// Answer from the site of this name. Default: none.
    #[serde(rename = "static")]
    pub(crate) site: Option<Text<Name>>,
    /// Redirect. Default: none.
    pub(crate) redirect: Option<RedirectText>,
    /// Answer at once. Default: none.
    pub(crate) respond: Option<RespondText>,
    /// Whether WebSocket upgrades are let through, to an upstream. Default: false.
    pub(crate) websocket: Option<bool>,
    /// Whether an upgrade must carry an `Origin` that is the host it is sent to, so that no other
    /// site's page can use a visitor's cookies. Default: the value of `websocket`.
    pub(crate) require_origin: Option<bool>,
    /// Longest request body, such as `1MiB`. Default: `limits.body_bytes`.
    pub(crate) body_limit: Option<Text<u64>>,
    /// Time from the last byte of a request to the head of its answer; 504 after that. Default:
    /// `60s`.
    pub(crate) first_byte_timeout: Option<Text<Duration>>,
    /// Silence within an answer after which it is cut. Default: `90s`.
    pub(crate) idle_timeout: Option<Text<Duration>>,
    /// Silence after which a WebSocket is closed; more than its heartbeat. Default: `120s`.
    pub(crate) websocket_idle_timeout: Option<Text<Duration>>,
    /// Requests that one client address may make on this route. Default: only `limits.rate_limit`.
    pub(crate) rate_limit: Option<RateLimitText>,
}

/// A redirect.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Redirect")]
pub(crate) struct RedirectText {
    /// Where to: a URL or an absolute path. A trailing `*` stands for path and query of the
    /// request. Required.
    pub(crate) location: Text<String>,
    /// 301, 302, 303, 307 or 308. Default: 308.
    pub(crate) status: Option<Text<StatusCode>>,
}

/// An answer by the gateway itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Respond")]
pub(crate) struct RespondText {
    /// The status code. Required.
    pub(crate) status: Text<StatusCode>,
    /// The body, as plain text. Default: empty.
    pub(crate) body: Option<Text<String>>,
}

/// A token bucket.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RateLimit")]
pub(crate) struct RateLimitText {
    /// Requests a second, in the long run; may be a fraction. Required.
    pub(crate) per_second: Text<f64>,
    /// Requests that may come at once after a pause. Required.
    pub(crate) burst: Text<u32>,
}

/// A static site.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Site")]
pub(crate) struct SiteText {
    /// A name for routes. Required, unique.
    pub(crate) name: Text<Name>,
    /// A directory, or `embedded` for the user interface inside the binary. Required.
    pub(crate) root: Text<PathBuf>,
    /// The file that answers a navigation to a path that is no file, such as `index.html`; never in
    /// the place of something that a page loads. Default: none, answer 404.
    pub(crate) spa_fallback: Option<Text<String>>,
    /// `Content-Security-Policy` of its pages. Default: the strict one of the chat's own page.
    pub(crate) content_security_policy: Option<Text<String>>,
}
