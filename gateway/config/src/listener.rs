//! Listeners: addresses and protocols.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use crate::Name;

/// One `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique among listeners.
    pub name: Name,
    /// Address to bind.
    pub address: ListenAddress,
    /// Protocol of its connections.
    pub protocol: Protocol,
    /// Networks whose connections must begin with a PROXY protocol header. From any other peer the
    /// header is rejected.
    pub proxy_protocol: Vec<IpNet>,
    /// Maximum open connections on this listener.
    pub max_connections: u32,
}

/// Protocol of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TLS with HTTP/1.1 and HTTP/2, selected by ALPN.
    Https {
        /// Certificates offered here; never empty. The first is the default when no SNI matches.
        certificates: Vec<Name>,
        /// Client certificates (mutual TLS); `None`: not requested.
        client_certificates: Option<ClientCertificates>,
    },
    /// Plain HTTP that answers ACME challenges and redirects all other requests to https.
    HttpRedirect {
        /// Port to redirect to; `None`: the port the first https listener is bound to.
        https_port: Option<u16>,
    },
    /// Plain HTTP that serves the routes: for development, or behind another TLS terminator.
    HttpPlain,
}

/// Verification of client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file with the authorities that may issue them.
    pub authorities: PathBuf,
    /// Whether a client without a certificate is rejected.
    pub required: bool,
}

/// An address to bind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// One IP address and port; port 0 binds any free port.
    Socket(SocketAddr),
    /// Both loopback addresses on one port, because browsers try both for `localhost`.
    Localhost(u16),
}

impl ListenAddress {
    /// Every socket address to bind.
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

    /// The configured port; 0 means any free port.
    pub fn port(&self) -> u16 {
        match self {
            Self::Socket(address) => address.port(),
            Self::Localhost(port) => *port,
        }
    }

    /// Whether the two addresses cannot be bound together: `[::]` covers every address, `0.0.0.0`
    /// every IPv4 address.
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

    /// Whether only this machine can connect to it.
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
                .map_err(|_| "expected a port from 0 to 65535".to_owned());
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
