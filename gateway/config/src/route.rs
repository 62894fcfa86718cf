//! Which request goes where.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::Name;
use crate::certificate::is_dns_name;

/// One `[[route]]`. The most specific one wins, whatever the order in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, unique among routes; the `route` label of metrics and logs.
    pub name: Name,
    /// Hosts it answers for; empty: any host.
    pub hosts: Vec<HostPattern>,
    /// Paths it answers for.
    pub path: PathMatch,
    /// Methods it answers for; empty: any. Another method on a matching path is answered 405.
    pub methods: Vec<Method>,
    /// What it does.
    pub action: Action,
    /// Whether WebSocket upgrades are let through (upstream routes only).
    pub websocket: bool,
    /// Whether an upgrade must carry an `Origin` that names the request's own host.
    pub require_origin: bool,
    /// Longest request body accepted, in bytes; a longer one is answered 413.
    pub body_limit: u64,
    /// Deadlines of this route.
    pub timeouts: RouteTimeouts,
    /// Rate of requests that one client address may have on this route; `None`: only the general
    /// limit.
    pub rate_limit: Option<RateLimit>,
}

/// What a route does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Forward it to the upstream of this name.
    Upstream(Name),
    /// Answer from the site of this name.
    Static(Name),
    /// Redirect.
    Redirect {
        /// The `Location`; a trailing `*` is replaced by path and query of the request.
        location: String,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// Answer at once.
    Respond {
        /// The status code.
        status: StatusCode,
        /// The body, as text/plain.
        body: String,
    },
}

/// How a path is matched. Paths are compared after normalisation, octet by octet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathMatch {
    /// This path only.
    Exact(String),
    /// This path and everything below it, by whole segments: `/api` matches `/api` and `/api/x`,
    /// not `/apix`.
    Prefix(String),
}

impl PathMatch {
    /// The path as configured.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path,
        }
    }
}

/// A host pattern, in lower case and without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host only (a DNS name or an IP address as it stands in `Host`, IPv6 in brackets).
    Exact(String),
    /// Every name below this one (`*.example.org` is stored as `example.org`), the name itself
    /// excluded.
    Wildcard(String),
}

impl HostPattern {
    /// Whether a host, in lower case and without port, is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Wildcard(parent) => host
                .strip_suffix(parent.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let ipv6 = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = ipv6.and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok()) {
            return Ok(Self::Exact(format!("[{inner}]")));
        }
        match lower.strip_prefix("*.") {
            Some(rest) if is_dns_name(rest) => Ok(Self::Wildcard(rest.to_owned())),
            None if is_dns_name(&lower) => Ok(Self::Exact(lower)),
            _ => Err("expected a host without port, such as `chat.example.org` or `*.example.org`"
                .to_owned()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(host) => write!(f, "*.{host}"),
        }
    }
}

/// Deadlines of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// From the last byte of the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two reads of an answer's body; event streams need more than the backend's keep-alive
    /// comment.
    pub idle: Duration,
    /// Silence in both directions after which a WebSocket is closed; must exceed the heartbeat.
    pub websocket_idle: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Tokens that come back every second; above zero.
    pub per_second: f64,
    /// Most tokens that can be saved up; at least 1.
    pub burst: u32,
}

impl Eq for RateLimit {}
