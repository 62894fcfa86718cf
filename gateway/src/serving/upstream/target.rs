//! A target: one instance of an upstream, with its address, load, health and idle connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use arc_swap::ArcSwap;
use pingora::protocols::TcpKeepalive;
use pingora::protocols::l4::ext::set_tcp_keepalive;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};

use super::health::Health;
use super::idle::Idle;
use super::target_connection::TargetConnection;
use super::{Address, UpstreamStream};

/// TCP keepalive: detects a target's machine that disappeared.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(10),
    count: 3,
    user_timeout: Duration::from_secs(90),
};

/// A target.
pub(crate) struct Target {
    pub(crate) address: Address,
    /// The address, for metrics and logs.
    pub(crate) label: String,
    pub(crate) in_flight: AtomicU32,
    pub(super) idle: Idle,
    connect_timeout: Duration,
    peer: HttpPeer,
    health: Mutex<Health>,
}

impl Target {
    /// A target with a socket address or path in the configuration; `None` for a name.
    pub(super) fn fixed(
        target: &gateway_config::Target,
        upstream: &gateway_config::Upstream,
    ) -> Option<Arc<Self>> {
        match target {
            gateway_config::Target::Socket(address) => Some(Self::tcp(*address, upstream)),
            gateway_config::Target::Unix(path) => Self::unix(path, upstream),
            gateway_config::Target::Host { .. } | gateway_config::Target::Dns { .. } => None,
        }
    }

    pub(super) fn tcp(address: SocketAddr, upstream: &gateway_config::Upstream) -> Arc<Self> {
        Self::new(Address::Tcp(address), address.to_string(), upstream)
    }

    /// A name as one target: `label` is how the configuration writes it.
    pub(super) fn named(
        label: String,
        means: Vec<SocketAddr>,
        upstream: &gateway_config::Upstream,
    ) -> Arc<Self> {
        Self::new(Address::Name(ArcSwap::from_pointee(means)), label, upstream)
    }

    fn unix(path: &Path, upstream: &gateway_config::Upstream) -> Option<Arc<Self>> {
        let text = path.to_str()?;
        Some(Self::new(Address::Unix(path.to_owned()), format!("unix:{text}"), upstream))
    }

    fn new(address: Address, label: String, upstream: &gateway_config::Upstream) -> Arc<Self> {
        // `Call` connects and enforces the timeouts, so Pingora needs no address.
        let mut peer =
            HttpPeer::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), false, String::new());
        // WebSockets go through the tunnel: no request that Pingora forwards may switch protocols.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        let health = Mutex::new(Health::new(upstream.slow_start));
        let (in_flight, idle) = (AtomicU32::new(0), Idle::new(upstream));
        Arc::new(Self {
            address,
            label,
            in_flight,
            idle,
            connect_timeout: upstream.connect_timeout,
            peer,
            health,
        })
    }

    /// The target as a Pingora peer.
    pub(super) fn peer(&self) -> Box<HttpPeer> {
        Box::new(self.peer.clone())
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> io::Result<TargetConnection> {
        let stream = self.address.connect(self.connect_timeout).await?;
        if let UpstreamStream::Tcp(tcp) = &stream {
            set_tcp_keepalive(tcp, &KEEPALIVE).map_err(io::Error::other)?;
        }
        Ok(TargetConnection::new(stream))
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}
