//! Routes: which requests go where.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::Name;
use crate::certificate::is_dns_name;

/// One `[[route]]`. The most specific route wins, regardless of the order in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique among routes; the `route` label of metrics and logs.
    pub name: Name,
    /// Hosts that match; empty: any host.
    pub hosts: Vec<HostPattern>,
    /// Paths that match.
    pub path: PathMatch,
    /// Methods that match; empty: any method. Another method on a matching path gets 405.
    pub methods: Vec<Method>,
    /// What to do with a matching request.
    pub action: Action,
    /// Whether WebSocket requests are accepted (upstream routes only).
    pub websocket: bool,
    /// Whether a WebSocket request needs an `Origin` that equals its own host.
    pub require_origin: bool,
    /// Maximum size of a request body, in bytes; a larger one gets 413.
    pub body_limit: u64,
    /// Timeouts of this route.
    pub timeouts: RouteTimeouts,
    /// Request rate of one client address on this route; `None`: only the general limit applies.
    pub rate_limit: Option<RateLimit>,
}

/// What to do with a matching request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Forward it to the upstream with this name.
    Upstream(Name),
    /// Serve a file of the site with this name.
    Static(Name),
    /// Redirect.
    Redirect {
        /// Value of `Location`; a trailing `*` is replaced by the path and query of the request.
        location: String,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// Send a fixed response.
    Respond {
        /// The status code.
        status: StatusCode,
        /// The body, as text/plain.
        body: String,
    },
}

/// How a path is matched. Paths are normalised, then compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathMatch {
    /// This path only.
    Exact(String),
    /// This path and everything below it, by whole segments: `/api` matches `/api` and `/api/x`,
    /// but not `/apix`.
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

/// A host pattern in lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One host: a DNS name or an IP address as written in `Host` (IPv6 in brackets).
    Exact(String),
    /// Every name below this one, but not the name itself; `*.example.org` is stored as
    /// `example.org`.
    Wildcard(String),
}

impl HostPattern {
    /// Whether the pattern matches a host, given in lower case and without a port.
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

/// Timeouts of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// From the last byte of the request to the head of the response.
    pub first_byte: Duration,
    /// Between two reads of a response body; for event streams, longer than the backend's
    /// keep-alive interval.
    pub idle: Duration,
    /// Closes a WebSocket without traffic in either direction; must exceed the heartbeat interval.
    pub websocket_idle: Duration,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Tokens added per second; above zero.
    pub per_second: f64,
    /// Maximum number of tokens; at least 1.
    pub burst: u32,
}

impl Eq for RateLimit {}
