//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use gateway_config::{DirectoryUrl, HostPattern, ListenAddress, ServerName};

/// A self-hosted chat with its own gateway, in one process.
///
/// Without options it serves https://localhost:8443, stores its data in ./data, uses a certificate
/// from a local authority in ./certs, and answers with a demo model. Environment variables select
/// another model, Redis instead of ./data, and other settings: `backend --help` lists them.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Address for https; repeatable [default: localhost:8443, with --domain [::]:443]
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Vec<ListenAddress>,
    /// Address for http, redirected to https; repeatable [default: localhost:8080, with --domain
    /// [::]:80]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Vec<ListenAddress>,
    /// Address for metrics, health and reload; never a public one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub(crate) admin: SocketAddr,
    /// Host name accepted at the admin address, besides IP addresses and localhost; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) admin_host: Vec<HostPattern>,
    /// Directory for all data
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
    /// Directory of the local certificate authority and its certificates
    #[arg(long, value_name = "DIR", default_value = "certs", global = true)]
    pub(crate) certs: PathBuf,
    /// Name of this server; repeatable. Public names get a certificate from Let's Encrypt (using
    /// this option accepts its terms). Until it arrives, and for other names, the local authority's
    /// certificate is served
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Vec<ServerName>,
    /// ACME directory to use instead of Let's Encrypt, for every name of --domain except wildcards
    #[arg(long, value_name = "URL", requires = "domain")]
    pub(crate) acme_directory: Option<DirectoryUrl>,
    /// Root certificates to trust for the https of that directory
    #[arg(long, value_name = "FILE", requires = "acme_directory")]
    pub(crate) acme_ca: Option<PathBuf>,
    /// Gateway configuration file; the services listen at unix:DATA/backend.sock
    #[arg(long, value_name = "FILE", conflicts_with_all = ["https", "http", "domain", "admin_host"])]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Make this machine and its browsers trust the local certificate authority
    Trust {
        /// Offer its certificate to a phone instead: by URL and QR code, on the local network, for
        /// ten minutes. ADDR is IP or IP:PORT; by default it is detected
        #[arg(long, value_name = "ADDR", num_args = 0..=1, value_parser = phone_address)]
        phone: Option<Option<SocketAddr>>,
    },
    /// Undo `trust`
    Untrust,
    /// Check over the network that a site serves the same page as this program, byte for byte
    ///
    /// Fetches every file of the manifest in every encoding, and the documents, and compares bytes
    /// and security headers. Exit code: 0 the site serves this page, 1 it serves something else,
    /// 2 it could not be checked.
    VerifyUi(VerifyUi),
}

/// What to verify, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyUi {
    /// Site to check, such as https://chat.example.org
    #[arg(value_name = "URL", value_parser = site)]
    pub(crate) site: reqwest::Url,
    /// Manifest with the expected hashes: a file, or an https URL [default: the one built into this
    /// program]
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) manifest: Option<String>,
    /// Root certificates to trust besides the system's, in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Deadline for the whole check, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// An https origin: the page is always at the root of a site.
fn site(text: &str) -> Result<reqwest::Url, String> {
    const EXPECTED: &str = "expected an https address without a path, such as \
                            https://chat.example.org";
    let expected = |found: &str| format!("{EXPECTED}, found {found}");
    let url: reqwest::Url = text.parse().map_err(|_| expected(&format!("`{text}`")))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "https" if bare && url.username().is_empty() && url.password().is_none() => Ok(url),
        "https" => Err(expected("more than a host and a port")),
        other => Err(expected(&format!("the scheme `{other}`"))),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected a number of seconds from 1 to 3600".to_owned()),
    }
}

fn phone_address(text: &str) -> Result<SocketAddr, String> {
    let alone = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| "expected an address such as 192.168.1.5 or 192.168.1.5:8088".to_owned())
}
