//! Generates the configuration of a single machine as TOML text that an operator can start from.

use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::{DirectoryUrl, HostPattern, ListenAddress, ServerName, SiteRoot, Target};

/// Settings of a gateway in front of one chat backend.
#[derive(Clone, Debug)]
pub struct Standalone {
    /// Addresses of the https listeners; at least one.
    pub https: Vec<ListenAddress>,
    /// Addresses that redirect http to https.
    pub http: Vec<ListenAddress>,
    /// The admin address.
    pub admin: Option<SocketAddr>,
    /// Host names of the admin address, besides IP addresses and `localhost`.
    pub admin_hosts: Vec<HostPattern>,
    /// Upstream of `/api`.
    pub api: Target,
    /// Upstream of `/ws`.
    pub live: Target,
    /// Name of the cookie that identifies an account.
    pub account_cookie: String,
    /// Directory of the local certificate authority.
    pub certificates: PathBuf,
    /// Names in the certificate; empty: the names of localhost.
    pub names: Vec<ServerName>,
    /// Certificates from a public authority; `None`: only the local authority.
    pub acme: Option<StandaloneAcme>,
    /// Location of the user interface.
    pub ui: SiteRoot,
    /// Whether to log text for people instead of JSON.
    pub text_log: bool,
}

/// Certificates that a single machine orders by ACME.
#[derive(Clone, Debug)]
pub struct StandaloneAcme {
    /// Names in the certificate; empty: no certificate is ordered.
    pub names: Vec<ServerName>,
    /// Directory for certificates and accounts.
    pub storage: PathBuf,
    /// URL of the authority's directory; `None`: Let's Encrypt.
    pub directory: Option<DirectoryUrl>,
    /// Roots trusted for HTTPS to the authority; `None`: the system's roots.
    pub ca_file: Option<PathBuf>,
}

impl Standalone {
    /// The configuration as TOML text.
    pub fn to_toml(&self) -> String {
        let mut text =
            String::from("# Gatehouse on one machine. `gateway schema` describes every key.\n");
        for (index, address) in self.https.iter().enumerate() {
            listener(&mut text, "https", index, address);
        }
        for (index, address) in self.http.iter().enumerate() {
            listener(&mut text, "http", index, address);
        }
        let directory = quoted(&self.certificates.display().to_string());
        if let Some(acme) = self.acme.as_ref().filter(|acme| !acme.names.is_empty()) {
            acme.write(&mut text, &directory);
        }
        let _ = write!(
            text,
            "\n[[certificate]]\nname = \"local\"\nsource = \"self-signed\"\ndirectory = {directory}\n"
        );
        if !self.names.is_empty() {
            let _ = writeln!(text, "names = [{}]", listed(&self.names));
        }
        let root = match &self.ui {
            SiteRoot::Embedded => "embedded".to_owned(),
            SiteRoot::Directory(path) => path.display().to_string(),
        };
        let _ = write!(
            text,
            include_str!("standalone.toml.in"),
            api = quoted(&self.api.to_string()),
            live = quoted(&self.live.to_string()),
            cookie = quoted(&self.account_cookie),
            root = quoted(&root),
            format = if self.text_log { "text" } else { "json" },
        );
        if let Some(admin) = self.admin {
            let _ = write!(text, "\n[admin]\naddress = {}\n", quoted(&admin.to_string()));
            if !self.admin_hosts.is_empty() {
                let _ = writeln!(text, "hosts = [{}]", listed(&self.admin_hosts));
            }
        }
        text
    }
}

fn listener(text: &mut String, protocol: &str, index: usize, address: &ListenAddress) {
    let name = if index == 0 { protocol.to_owned() } else { format!("{protocol}-{}", index + 1) };
    let address = quoted(&address.to_string());
    let _ = write!(
        text,
        "\n[[listener]]\nname = \"{name}\"\naddress = {address}\nprotocol = \"{protocol}\"\n"
    );
}

impl StandaloneAcme {
    fn write(&self, text: &mut String, stand_in: &str) {
        let _ = write!(
            text,
            "\n[[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [{}]\n",
            listed(&self.names)
        );
        let _ = writeln!(text, "stand_in_directory = {stand_in}");
        if let Some(directory) = &self.directory {
            let _ = writeln!(text, "directory = {}", quoted(directory.as_str()));
        }
        if let Some(path) = &self.ca_file {
            let _ = writeln!(text, "ca_file = {}", quoted(&path.display().to_string()));
        }
        let storage = quoted(&self.storage.display().to_string());
        let _ = write!(text, "\n[certificate_storage]\ndirectory = {storage}\n");
    }
}

fn listed(names: &[impl Display]) -> String {
    names.iter().map(|name| quoted(&name.to_string())).collect::<Vec<_>>().join(", ")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
