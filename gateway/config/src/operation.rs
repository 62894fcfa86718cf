//! Operation: admin address, logs, drain, upgrade, trusted networks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::HostPattern;

/// `[admin]`: address of metrics, health and reload, over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address to bind; must not be reachable from the internet.
    pub address: SocketAddr,
    /// Host names accepted in requests, besides IP addresses and `localhost`.
    pub hosts: Vec<HostPattern>,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whether to log every request.
    pub access: bool,
    /// Minimum level of log lines.
    pub level: LogLevel,
    /// Format of log lines.
    pub format: LogFormat,
    /// Whether to replace client addresses by a keyed hash of their network.
    pub pseudonymise: bool,
}

/// Minimum level of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures that need attention.
    Error,
    /// Also unexpected conditions.
    Warn,
    /// Also normal events.
    Info,
    /// Also details for debugging.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level as written in the configuration and by `tracing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// Short lines, for people.
    Text,
}

/// `[drain]`: graceful shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Time to keep accepting connections after readiness turns off, so that load balancers notice.
    pub delay: Duration,
    /// Time after that for requests to finish and WebSockets to reconnect elsewhere; then they are
    /// closed.
    pub deadline: Duration,
}

/// `[upgrade]`: replacing the running process by a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Unix socket on which the predecessor hands over its listening sockets.
    pub socket: PathBuf,
}

/// `[trust]`: trusted proxies and request header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Networks of proxies whose `X-Forwarded-*`, `X-Request-Id` and `traceparent` are trusted;
    /// from other peers they are overwritten.
    pub forwarded: Vec<IpNet>,
    /// Whether header fields with an underscore in their name are forwarded.
    pub underscores_in_headers: bool,
}
