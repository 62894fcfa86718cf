//! Upstreams: the internal services that requests are forwarded to.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::Name;
use crate::certificate::is_dns_name;

/// One `[[upstream]]`: one name for a group of equivalent targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Unique among upstreams; the `upstream` label of metrics and logs.
    pub name: Name,
    /// Instances of the service; never empty, no duplicates.
    pub targets: Vec<Target>,
    /// Load balancing algorithm.
    pub balance: Balance,
    /// Timeout for connecting to a target.
    pub connect_timeout: Duration,
    /// Maximum idle connections kept for reuse, per target.
    pub keepalive_connections: u32,
    /// How long an idle connection is kept for reuse.
    pub keepalive_timeout: Duration,
    /// Active health checks; `None`: off.
    pub health_check: Option<HealthCheck>,
    /// Retries of requests that received no byte of a response.
    pub retries: Retries,
    /// Passive ejection of failing targets.
    pub ejection: Ejection,
    /// Load above which requests get 503 instead of being queued.
    pub circuit_breaker: CircuitBreaker,
    /// Time over which a recovered target ramps up to its full share; zero: immediately.
    pub slow_start: Duration,
}

/// An address of an upstream, always reached over plain HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `127.0.0.1:9000`: one address.
    Socket(SocketAddr),
    /// `backend:9000`: one target; the addresses of the name are tried in order and resolved again
    /// every few seconds.
    Host {
        /// Host name.
        host: String,
        /// Port.
        port: u16,
    },
    /// `dns:backend-headless:9000`: every address of the name is a target; resolved again every few
    /// seconds.
    Dns {
        /// Host name.
        host: String,
        /// Port.
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
            // `sun_path` has 108 bytes, including the trailing NUL: unix(7).
            return match path.len() {
                2..=107 if path.starts_with('/') && !path.contains('\0') => {
                    Ok(Self::Unix(path.into()))
                }
                108.. => Err("expected a Unix socket path of at most 107 bytes".to_owned()),
                _ => Err(EXPECTED.to_owned()),
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err("expected a port from 1 to 65535".into())
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

/// Load balancing algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Of two random targets, the one with fewer requests in flight.
    LeastRequest,
    /// Rendezvous hashing: a key keeps its target as long as that target is healthy.
    Rendezvous {
        /// Cookie whose value is the key; a request without it is keyed by client address.
        cookie: String,
    },
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path for GET requests; any 2xx is healthy. `None`: a TCP connection is enough.
    pub path: Option<String>,
    /// Time between two checks of one target.
    pub interval: Duration,
    /// Timeout of one check.
    pub timeout: Duration,
    /// Consecutive successes that mark a target healthy; at least 1.
    pub healthy_after: u32,
    /// Consecutive failures that mark a target unhealthy; at least 1.
    pub unhealthy_after: u32,
}

/// Retries, only before the first byte of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Maximum retries of one request; zero: none.
    pub per_request: u32,
    /// Maximum share of requests that are retries, in percent.
    pub budget_percent: u32,
}

/// Passive ejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Consecutive failures (no connection, no response, 502, 503, 504) that eject a target; zero:
    /// never.
    pub consecutive_failures: u32,
    /// Time of the first ejection; doubles with each consecutive one, up to ten times this.
    pub duration: Duration,
    /// Maximum share of targets ejected at once, in percent, so that some always remain.
    pub max_percent: u32,
}

/// Load limits of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Maximum requests in flight over all targets; WebSockets are not counted.
    pub max_requests: u32,
    /// Maximum open WebSockets over all targets.
    pub max_websockets: u32,
}
