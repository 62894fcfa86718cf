//! The internal services that requests are forwarded to.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::Name;
use crate::certificate::is_dns_name;

/// One `[[upstream]]`: equal targets behind one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name, unique among upstreams; the `upstream` label of metrics and logs.
    pub name: Name,
    /// Where its instances are; never empty, no doubles.
    pub targets: Vec<Target>,
    /// How a target is chosen.
    pub balance: Balance,
    /// Deadline for connecting to a target.
    pub connect_timeout: Duration,
    /// Idle connections kept for reuse, per target.
    pub keepalive_connections: u32,
    /// How long an idle connection is kept for reuse.
    pub keepalive_timeout: Duration,
    /// Active health checks; `None`: none.
    pub health_check: Option<HealthCheck>,
    /// Retries of requests that got no byte of an answer.
    pub retries: Retries,
    /// Passive ejection of targets that fail.
    pub ejection: Ejection,
    /// Load above which requests are refused with 503 instead of queued.
    pub circuit_breaker: CircuitBreaker,
    /// Time over which a target that came back gets its full share; zero: at once.
    pub slow_start: Duration,
}

/// One place where an upstream may be reached, always with plain HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `127.0.0.1:9000`: one address.
    Socket(SocketAddr),
    /// `backend:9000`: a name as one target; its addresses are tried in order, and re-resolved as
    /// those of `Dns` are.
    Host {
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
    /// `dns:backend-headless:9000`: every address of the name is a target of its own, re-resolved
    /// every few seconds.
    Dns {
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:/run/backend.sock`: a Unix domain socket.
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected `host:port`, `unix:/absolute/path` or `dns:name:port`";
        if let Some(path) = text.strip_prefix("unix:") {
            // sun_path holds 108 bytes, the closing NUL included: unix(7).
            return match path.len() {
                2..=107 if path.starts_with('/') && !path.contains('\0') => {
                    Ok(Self::Unix(path.into()))
                }
                108.. => Err("a Unix socket path has at most 107 bytes".to_owned()),
                _ => Err(EXPECTED.to_owned()),
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err("port 0 cannot be connected to".into())
            } else {
                Ok(Self::Socket(address))
            };
        }
        let (all, rest) = match text.strip_prefix("dns:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = rest.rsplit_once(':').ok_or(EXPECTED)?;
        let port =
            port.parse().ok().filter(|port| *port != 0).ok_or("expected a port from 1 to 65535")?;
        let host = host.to_ascii_lowercase();
        if !is_dns_name(host.strip_suffix('.').unwrap_or(&host)) {
            return Err(EXPECTED.to_owned());
        }
        Ok(if all { Self::Dns { host, port } } else { Self::Host { host, port } })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Dns { host, port } => write!(f, "dns:{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a target is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The one with fewer requests in flight of two chosen at random.
    LeastRequest,
    /// Rendezvous hashing: the same key keeps its target while that is healthy.
    Rendezvous {
        /// The cookie whose value is the key; a request without it is keyed by client address.
        cookie: String,
    },
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path to GET, any 2xx being healthy; `None`: a connection is enough.
    pub path: Option<String>,
    /// Time between two checks of one target.
    pub interval: Duration,
    /// Deadline of one check.
    pub timeout: Duration,
    /// Good checks in a row that make a target healthy; at least 1.
    pub healthy_after: u32,
    /// Bad checks in a row that make a target unhealthy; at least 1.
    pub unhealthy_after: u32,
}

/// Retries, only before the first byte of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Most further attempts for one request; zero: none.
    pub per_request: u32,
    /// Retries may be at most this share of requests, in percent.
    pub budget_percent: u32,
}

/// Passive ejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row (no connection, no answer, 502, 503, 504) that eject a target; zero:
    /// never.
    pub consecutive_failures: u32,
    /// How long it stays out; doubles each time in a row, up to ten times this.
    pub duration: Duration,
    /// Most targets out at once, in percent, so that a bad hour does not leave none.
    pub max_percent: u32,
}

/// Load limits of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Most requests in flight at once over all targets; WebSockets are not counted.
    pub max_requests: u32,
    /// Most WebSockets open at once over all targets.
    pub max_websockets: u32,
}
