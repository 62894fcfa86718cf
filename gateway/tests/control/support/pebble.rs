//! Pebble, the test authority of Let's Encrypt, validating against a gateway on this machine.

pub(crate) use test_ports::free_port;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::install_provider;

/// Pebble and its DNS server, which resolves every name to this machine.
pub(crate) struct Pebble {
    pub(crate) port: u16,
    directory: TempDir,
    /// Stopped when dropped.
    processes: Vec<Process>,
}

pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pebble {
    /// Starts an authority that validates on these ports of the gateway.
    pub(crate) async fn start(tls: u16, http: u16) -> Self {
        Self::refusing(tls, http, &[]).await
    }

    /// Starts an authority that refuses to issue for these names.
    pub(crate) async fn refusing(tls: u16, http: u16, names: &[&str]) -> Self {
        let refused = names;
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        let (port, names) = (free_port(), free_port());
        let path = |name: &str| directory.path().join(name).display().to_string();
        https_certificate(&directory);
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{}", free_port()),
            "certificate": path("cert.pem"), "privateKey": path("key.pem"),
            "httpPort": http, "tlsPort": tls,
            "ocspResponderURL": "", "externalAccountBindingRequired": false, "domainBlocklist": refused,
        }});
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let processes = vec![resolver(names), server(names, &path("config.json"), log)];
        let pebble = Self { port, directory, processes };
        for port in [names, port] {
            let open = || async move {
                tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
            };
            super::eventually(true, open).await;
        }
        pebble
    }

    /// Stops the authority; its files remain.
    pub(crate) fn down(&mut self) {
        self.processes.clear();
    }

    /// The keys of a `[[certificate]]` that is ordered from it.
    pub(crate) fn keys(&self) -> String {
        format!(
            "directory = \"https://localhost:{}/dir\"\nca_file = \"{}\"\n",
            self.port,
            self.root().display()
        )
    }

    /// The root certificate of its HTTPS server.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// Number of certificates issued, according to its log.
    pub(crate) fn issued(&self) -> usize {
        fs::read_to_string(self.directory.path().join("log"))
            .unwrap()
            .matches("Issued certificate serial")
            .count()
    }
}

/// The DNS server that Pebble queries.
fn resolver(port: u16) -> Process {
    let (names, management) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", free_port()));
    let mut command = Command::new("pebble-challtestsrv");
    command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
    command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
    command.args(["-dns01", &names, "-management", &management]);
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Process(started.expect("pebble-challtestsrv must be installed"))
}

fn server(names: u16, config: &str, log: fs::File) -> Process {
    let mut command = Command::new("pebble");
    command.args(["-strict", "-dnsserver", &format!("127.0.0.1:{names}"), "-config", config]);
    command.env("PEBBLE_VA_NOSLEEP", "1");
    command.env("PEBBLE_WFE_NONCEREJECT", "0");
    command.env("PEBBLE_AUTHZREUSE", "0");
    let started = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
    Process(started.expect("pebble must be installed"))
}

/// Writes a root and a certificate for localhost issued by it.
pub(super) fn https_certificate(directory: &TempDir) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(vec!["Test root".to_owned()]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap();
    for (name, text) in [
        ("root.pem", certificate.pem()),
        ("cert.pem", leaf.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
}
