//! Pebble, Let's Encrypt's test authority, in strict mode: it rejects one valid nonce in twenty and
//! resolves every name to this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::Version;
use serde_json::json;
use tempfile::TempDir;

use crate::free_port;
use crate::load::client;
use crate::process::{Process, eventually};

/// The authority and its name server. Dropping it stops both.
pub struct Pebble {
    port: u16,
    management: u16,
    name_server: u16,
    _names: Process,
    server: Option<Process>,
    folder: TempDir,
}

impl Pebble {
    /// Starts Pebble. It validates challenges at these ports and issues certificates with this
    /// lifetime.
    pub fn start(tls: u16, http: u16, lifetime: Duration) -> Self {
        let mut pebble = Self::down(tls, http, lifetime);
        pebble.up();
        pebble
    }

    /// Prepares Pebble without starting the authority.
    pub fn down(tls: u16, http: u16, lifetime: Duration) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let [port, management, name_server, name_management] =
            [free_port(), free_port(), free_port(), free_port()];
        https_certificate(folder.path());
        let path = |name: &str| folder.path().join(name);
        let settings = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("cert.pem"), "privateKey": path("key.pem"),
            "tlsPort": tls, "httpPort": http,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "certificateValidityPeriod": lifetime.as_secs(),
        }});
        fs::write(path("config.json"), settings.to_string()).expect("write the settings");
        let names = Process::start(
            "pebble-challtestsrv",
            Command::new("pebble-challtestsrv")
                .args([
                    "-defaultIPv4",
                    "127.0.0.1",
                    "-defaultIPv6",
                    "",
                    "-http01",
                    "",
                    "-https01",
                    "",
                ])
                .args(["-tlsalpn01", "", "-dns01", &format!("127.0.0.1:{name_server}")])
                .args(["-management", &format!("127.0.0.1:{name_management}")]),
        );
        listening(name_server);
        Self { port, management, name_server, _names: names, server: None, folder }
    }

    /// Starts the authority, without earlier state and with a new root.
    pub fn up(&mut self) {
        let server = Process::start(
            "pebble",
            Command::new("pebble")
                .args([
                    "-strict",
                    "-dnsserver",
                    &format!("127.0.0.1:{}", self.name_server),
                    "-config",
                ])
                .arg(self.folder.path().join("config.json"))
                .envs([
                    ("PEBBLE_VA_NOSLEEP", "1"),
                    ("PEBBLE_WFE_NONCEREJECT", "5"),
                    ("PEBBLE_AUTHZREUSE", "0"),
                ]),
        );
        self.server = Some(server);
        listening(self.port);
        listening(self.management);
    }

    /// The keys of a `[[certificate]]` to order from this authority.
    pub fn keys(&self) -> String {
        self.keys_through(self.port)
    }

    /// Like `keys`, through another port that leads to Pebble. All URLs in its answers use the
    /// request's host.
    pub fn keys_through(&self, port: u16) -> String {
        let (directory, root) = (self.directory_through(port), self.https_root());
        format!("directory = \"{directory}\"\nca_file = \"{}\"\n", root.display())
    }

    /// The ACME port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        self.directory_through(self.port)
    }

    /// Like `directory`, through another port that leads to Pebble.
    pub fn directory_through(&self, port: u16) -> String {
        format!("https://localhost:{port}/dir")
    }

    /// The root certificate of its own HTTPS.
    pub fn https_root(&self) -> PathBuf {
        self.folder.path().join("https-root.pem")
    }

    /// The root certificate of issued certificates, as a file.
    pub async fn root(&self) -> PathBuf {
        let client = client(&self.https_root(), Version::HTTP_11);
        let answer =
            client.get(format!("https://localhost:{}/roots/0", self.management)).send().await;
        let pem = answer
            .expect("the management address answers")
            .text()
            .await
            .expect("read the whole answer");
        let path = self.folder.path().join("root.pem");
        fs::write(&path, pem).expect("write the root");
        path
    }

    /// The number of orders, from its log.
    pub fn orders(&self) -> usize {
        self.log().matches(" orders in the db").count()
    }

    /// The number of issued certificates, from its log.
    pub fn issued(&self) -> usize {
        self.log().matches("Issued certificate serial").count()
    }

    fn log(&self) -> String {
        self.server.as_ref().map(Process::log).unwrap_or_default()
    }
}

/// Creates a root and the certificate that Pebble presents.
fn https_certificate(folder: &Path) {
    let root_key = KeyPair::generate().expect("generate a key");
    let mut root = CertificateParams::new(vec!["Test root".to_owned()]).expect("the name is valid");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key).expect("sign the root");
    let key = KeyPair::generate().expect("generate a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("the name is valid");
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&root, &root_key)).expect("sign the leaf");
    let files = [
        ("https-root.pem", certificate.pem()),
        ("cert.pem", leaf.pem()),
        ("key.pem", key.serialize_pem()),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("write the certificate");
    }
}

fn listening(port: u16) {
    eventually("Pebble to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
}
