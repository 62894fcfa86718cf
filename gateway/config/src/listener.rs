//! Where the gateway listens, and what it speaks there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use crate::Name;

/// One `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, unique among listeners.
    pub name: Name,
    /// Where to bind.
    pub address: ListenAddress,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Peers that must begin with a PROXY protocol header; empty: nobody does, and the header is
    /// refused.
    pub proxy_protocol: Vec<IpNet>,
    /// Most connections open at once on this listener.
    pub max_connections: u32,
}

/// What a listener speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TLS with HTTP/1.1 and h2 by ALPN.
    Https {
        /// Names of the certificates offered here, the first one being the default when no SNI
        /// matches; never empty.
        certificates: Vec<Name>,
        /// Whether clients show certificates of their own; `None`: they are not asked.
        client_certificates: Option<ClientCertificates>,
    },
    /// Plain HTTP that serves ACME challenges and redirects everything else to https.
    HttpRedirect {
        /// The port to redirect to; `None`: the port that the first https listener really got.
        https_port: Option<u16>,
    },
    /// Plain HTTP served like https: for development, or behind another TLS terminator.
    HttpPlain,
}

/// Which certificates clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// A PEM file with the authorities that may have issued them.
    pub authorities: PathBuf,
    /// Whether a client without one is refused.
    pub required: bool,
}

/// An address to bind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// One IP address and port; port 0 takes any free one.
    Socket(SocketAddr),
    /// Both loopback families on one port, as browsers try both for `localhost`.
    Localhost(u16),
}

impl ListenAddress {
    /// Every socket address that has to be bound.
    pub fn socket_addrs(&self) -> Vec<SocketAddr> {
        match self {
            Self::Socket(address) => vec![*address],
            Self::Localhost(port) => {
                [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
                    .map(|ip| SocketAddr::new(ip, *port))
                    .to_vec()
            }
        }
    }

    /// The port as configured; 0 means any free one.
    pub fn port(&self) -> u16 {
        match self {
            Self::Socket(address) => address.port(),
            Self::Localhost(port) => *port,
        }
    }

    /// Whether both cannot be listened on at once: `[::]` takes every address, `0.0.0.0` every IPv4
    /// address.
    pub fn overlaps(&self, other: &Self) -> bool {
        let takes = |one: IpAddr, other: IpAddr| {
            one == other || (one.is_unspecified() && (one.is_ipv6() || other.is_ipv4()))
        };
        let clash = |one: IpAddr, other: IpAddr| takes(one, other) || takes(other, one);
        let others = other.socket_addrs();
        self.port() != 0
            && self.port() == other.port()
            && self
                .socket_addrs()
                .iter()
                .any(|one| others.iter().any(|other| clash(one.ip(), other.ip())))
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Socket(address) => address.ip().is_loopback(),
            Self::Localhost(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix("localhost:") {
            return port
                .parse()
                .map(Self::Localhost)
                .map_err(|_| format!("`{port}` is not a port (0 to 65535)"));
        }
        text.parse().map(Self::Socket).map_err(|_| {
            "expected an address such as `[::]:443`, `127.0.0.1:8443` or `localhost:8443`"
                .to_owned()
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Localhost(port) => write!(f, "localhost:{port}"),
        }
    }
}
