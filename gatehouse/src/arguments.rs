//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use gateway_config::{DirectoryUrl, HostPattern, ListenAddress, ServerName};

/// A self-hosted chat with its own front door.
///
/// Without any option: https://localhost:8443, everything kept in ./data, a certificate from a
/// local authority in ./certs, and a demo model. Which model answers, Redis instead of ./data and
/// the rest of the services' settings come from the environment: `backend --help` lists them.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Where https is served; may be repeated [default: localhost:8443, with --domain [::]:443]
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Vec<ListenAddress>,
    /// Where http is redirected to https; may be repeated [default: localhost:8080, with --domain
    /// [::]:80]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Vec<ListenAddress>,
    /// Where metrics, health and reload are served; never a public address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub(crate) admin: SocketAddr,
    /// A name by which the admin address is asked, besides IP addresses and localhost; may be
    /// repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) admin_host: Vec<HostPattern>,
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
    /// Where the local certificate authority is, and what it issued
    #[arg(long, value_name = "DIR", default_value = "certs", global = true)]
    pub(crate) certs: PathBuf,
    /// A name under which this machine is reached; may be repeated. A certificate for public names
    /// is ordered from Let's Encrypt, whose terms this accepts; until it is there, and for other
    /// names, the local authority's is served
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Vec<ServerName>,
    /// The ACME directory to order from instead of Let's Encrypt; then every name of --domain is
    /// ordered there
    #[arg(long, value_name = "URL", requires = "domain")]
    pub(crate) acme_directory: Option<DirectoryUrl>,
    /// The root certificates to trust for that directory's own https
    #[arg(long, value_name = "FILE", requires = "acme_directory")]
    pub(crate) acme_ca: Option<PathBuf>,
    /// A gateway configuration of one's own; the services are at unix:DATA/backend.sock
    #[arg(long, value_name = "FILE", conflicts_with_all = ["https", "http", "domain", "admin_host"])]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Command {
    /// Make this machine and its browsers accept the local certificate authority
    Trust {
        /// Offer its certificate to a phone instead: by URL and QR code, in this machine's network,
        /// for ten minutes. The address is found by itself, or named: IP or IP:PORT
        #[arg(long, value_name = "ADDR", num_args = 0..=1, value_parser = phone_address)]
        phone: Option<Option<SocketAddr>>,
    },
    /// Take that back
    Untrust,
}

fn phone_address(text: &str) -> Result<SocketAddr, String> {
    let alone = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| "expected an address such as 192.168.1.5 or 192.168.1.5:8088".to_owned())
}
