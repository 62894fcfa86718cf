//! `[[route]]` and `[[site]]`.

use std::path::PathBuf;
use std::time::Duration;

use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{HostPattern, Name};

/// Which requests match, and what to do with them. Set exactly one of `path` and `path_prefix`, and
/// exactly one of `upstream`, `static`, `redirect` and `respond`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(crate) struct RouteText {
    /// Name for logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// Hosts without a port; `*.example.org` is every name below `example.org`. Default: any host.
    pub(crate) hosts: Option<Vec<Text<HostPattern>>>,
    /// Matches exactly this path. Default: none.
    pub(crate) path: Option<Text<String>>,
    /// Matches this path and everything below it, by whole segments. Default: none.
    pub(crate) path_prefix: Option<Text<String>>,
    /// Methods; another method on this path gets 405. Default: any method.
    pub(crate) methods: Option<Vec<Text<Method>>>,
    /// Forward to the upstream with this name. Default: none.
    pub(crate) upstream: Option<Text<Name>>,
    /// Serve a file of the site with this name. Default: none.
    #[serde(rename = "static")]
    pub(crate) site: Option<Text<Name>>,
    /// Send a redirect. Default: none.
    pub(crate) redirect: Option<RedirectText>,
    /// Send a fixed response. Default: none.
    pub(crate) respond: Option<RespondText>,
    /// Whether to accept WebSocket requests; only with `upstream`. Default: false.
    pub(crate) websocket: Option<bool>,
    /// Whether a WebSocket request needs an `Origin` that equals its own host, so that pages of
    /// other sites cannot use a visitor's cookies. Default: the value of `websocket`.
    pub(crate) require_origin: Option<bool>,
    /// Maximum size of a request body, such as `1MiB`. Default: `limits.body_bytes`.
    pub(crate) body_limit: Option<Text<u64>>,
    /// Timeout from the last byte of a request to the head of its response; then 504. Default:
    /// `60s`.
    pub(crate) first_byte_timeout: Option<Text<Duration>>,
    /// Timeout between two reads of a response body; then the response is cut off. Default: `90s`.
    pub(crate) idle_timeout: Option<Text<Duration>>,
    /// Closes a WebSocket without traffic; must exceed its heartbeat interval. Default: `120s`.
    pub(crate) websocket_idle_timeout: Option<Text<Duration>>,
    /// Request rate of one client address on this route. Default: only `limits.rate_limit` applies.
    pub(crate) rate_limit: Option<RateLimitText>,
}

/// A redirect.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Redirect")]
pub(crate) struct RedirectText {
    /// Target: a URL or an absolute path. A trailing `*` is replaced by the path and query of the
    /// request. Required.
    pub(crate) location: Text<String>,
    /// 301, 302, 303, 307 or 308. Default: 308.
    pub(crate) status: Option<Text<StatusCode>>,
}

/// A fixed response.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Respond")]
pub(crate) struct RespondText {
    /// Status code. Required.
    pub(crate) status: Text<StatusCode>,
    /// Body, sent as plain text. Default: empty.
    pub(crate) body: Option<Text<String>>,
}

/// A token bucket.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RateLimit")]
pub(crate) struct RateLimitText {
    /// Requests per second in the long run; fractions are allowed. Required.
    pub(crate) per_second: Text<f64>,
    /// Requests allowed at once after a pause. Required.
    pub(crate) burst: Text<u32>,
}

/// A static site.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Site")]
pub(crate) struct SiteText {
    /// Name for routes. Required, unique.
    pub(crate) name: Text<Name>,
    /// A directory, or `embedded` for the user interface built into the binary. Required.
    pub(crate) root: Text<PathBuf>,
    /// File to serve when a navigation requests a path that is not a file, such as `index.html`.
    /// Requests for scripts, styles and images still get 404. Default: none, such navigations get
    /// 404.
    pub(crate) spa_fallback: Option<Text<String>>,
    /// `Content-Security-Policy` of its pages. Without this key, pages also get an
    /// `Integrity-Policy`: browsers load no script without a hash. Default: the strict policies of
    /// the chat page.
    pub(crate) content_security_policy: Option<Text<String>>,
}
