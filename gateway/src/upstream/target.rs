//! One instance of an upstream: its address, its load, its health.

use super::health::Health;
use pingora::{
    protocols::TcpKeepalive,
    upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy},
};
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
    time::Duration,
};

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A target.
pub(crate) struct Target {
    pub(crate) address: Address,
    /// The address as a label and for logs.
    pub(crate) label: String,
    pub(crate) in_flight: AtomicU32,
    peer: HttpPeer,
    health: Mutex<Health>,
}

impl Target {
    /// A target whose address is in the configuration; `None` when it is a name.
    pub(super) fn fixed(target: &gateway_config::Target, upstream: &gateway_config::Upstream) -> Option<Arc<Self>> {
        match target {
            gateway_config::Target::Socket(address) => Some(Self::tcp(*address, upstream)),
            gateway_config::Target::Unix(path) => Self::unix(path, upstream),
            gateway_config::Target::Host { .. } | gateway_config::Target::Dns { .. } => None,
        }
    }

    pub(super) fn tcp(address: SocketAddr, upstream: &gateway_config::Upstream) -> Arc<Self> {
        let peer = HttpPeer::new(address, false, String::new());
        Self::new(Address::Tcp(address), address.to_string(), peer, upstream)
    }

    fn unix(path: &Path, upstream: &gateway_config::Upstream) -> Option<Arc<Self>> {
        let text = path.to_str()?;
        let peer = HttpPeer::new_uds(text, false, String::new()).ok()?;
        Some(Self::new(Address::Unix(path.to_owned()), format!("unix:{text}"), peer, upstream))
    }

    fn new(address: Address, label: String, mut peer: HttpPeer, upstream: &gateway_config::Upstream) -> Arc<Self> {
        peer.options.connection_timeout = Some(upstream.connect_timeout);
        peer.options.total_connection_timeout = Some(upstream.connect_timeout);
        peer.options.idle_timeout = Some(upstream.keepalive_timeout);
        peer.options.write_timeout = Some(Duration::from_secs(30));
        peer.options.tcp_keepalive = Some(TcpKeepalive {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            count: 3,
            user_timeout: Duration::from_secs(90),
        });
        // WebSockets go through the tunnel: nothing that Pingora forwards may change its protocol.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        let health = Mutex::new(Health::new(upstream.slow_start));
        Arc::new(Self { address, label, in_flight: AtomicU32::new(0), peer, health })
    }

    /// The target as Pingora wants it, with the route's deadline for reads.
    pub(crate) fn peer(&self, read_timeout: Duration) -> Box<HttpPeer> {
        let mut peer = Box::new(self.peer.clone());
        peer.options.read_timeout = Some(read_timeout);
        peer
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
