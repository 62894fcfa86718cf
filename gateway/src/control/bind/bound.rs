//! Sockets that are bound, and the part of the configuration that they are for.

use std::net::{SocketAddr, TcpListener};
use std::{fmt, io};

use gateway_config::Name;

/// Sockets bound for one address of the configuration.
#[derive(Debug)]
pub(crate) struct Bound {
    /// One for each address family.
    pub(crate) sockets: Vec<TcpListener>,
    /// The addresses really bound: another port when the configuration has port 0.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This listener.
    Listener(Name),
    /// The admin address.
    Admin,
}

impl Bound {
    /// The same sockets once more, sharing their queues of connections.
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
