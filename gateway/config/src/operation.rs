//! Running the gateway: admin address, logs, drain, upgrade, trusted networks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::HostPattern;

/// `[admin]`: where metrics, health and reload are served, with plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address; must not be reachable from the internet.
    pub address: SocketAddr,
    /// Names by which it may be asked, besides IP addresses and `localhost`.
    pub hosts: Vec<HostPattern>,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whether each request is logged.
    pub access: bool,
    /// How much is logged.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
    /// Whether client addresses are replaced by a keyed hash of their network.
    pub pseudonymise: bool,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures that someone must look at.
    Error,
    /// And what was odd.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The level as tracing and the configuration spell it.
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

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// Short lines, for people.
    Text,
}

/// `[drain]`: how the gateway stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Time between "not ready" and the end of accepting, for load balancers to notice.
    pub delay: Duration,
    /// Time after that in which requests finish and WebSockets go elsewhere, before they are cut.
    pub deadline: Duration,
}

/// `[upgrade]`: how a new process takes over from the running one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The Unix socket at which a new process asks for the listening sockets.
    pub socket: PathBuf,
}

/// `[trust]`: who is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Networks of proxies whose `X-Forwarded-*`, `X-Request-Id` and `traceparent` are believed;
    /// from others they are overwritten.
    pub forwarded: Vec<IpNet>,
    /// Whether fields whose names have an underscore go to services.
    pub underscores_in_headers: bool,
}
