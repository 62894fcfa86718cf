//! Bound sockets, and the part of the configuration they belong to.

use std::net::{SocketAddr, TcpListener};
use std::{fmt, io};

use gateway_config::Name;

/// Bound sockets of one configured address.
#[derive(Debug)]
pub(crate) struct Bound {
    /// One per address family.
    pub(crate) sockets: Vec<TcpListener>,
    /// Addresses that are bound; differs from the configuration for port 0.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What a socket belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The listener with this name.
    Listener(Name),
    /// The admin address.
    Admin,
}

impl Bound {
    /// Duplicates the sockets; the duplicates share the accept queues.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let sockets = self.sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { sockets, addresses: self.addresses.clone() })
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.sockets.extend(other.sockets);
        self.addresses.extend(other.addresses);
        self
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "listener `{name}`"),
            Self::Admin => f.write_str("`[admin]`"),
        }
    }
}
