//! Pebble, Let's Encrypt's test authority, validating against a gateway of this machine.

pub(crate) use test_ports::free_port;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::install_provider;

/// The authority, and the name server it asks: every name is this machine.
pub(crate) struct Pebble {
    pub(crate) port: u16,
    directory: TempDir,
    /// Ends with it.
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
    /// One that comes to these ports of the gateway.
    pub(crate) async fn start(tls: u16, http: u16) -> Self {
        Self::refusing(tls, http, &[]).await
    }

    /// The same, which does not issue for these names.
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
        let resolver = Command::new("pebble-challtestsrv")
            .args([
                "-defaultIPv4",
                "127.0.0.1",
                "-defaultIPv6",
                "",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
            ])
            .args([
                "-dns01",
                &format!("127.0.0.1:{names}"),
                "-management",
                &format!("127.0.0.1:{}", free_port()),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble-challtestsrv is installed");
        let server = Command::new("pebble")
            .args([
                "-strict",
                "-dnsserver",
                &format!("127.0.0.1:{names}"),
                "-config",
                &path("config.json"),
            ])
            .envs([
                ("PEBBLE_VA_NOSLEEP", "1"),
                ("PEBBLE_WFE_NONCEREJECT", "0"),
                ("PEBBLE_AUTHZREUSE", "0"),
            ])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("pebble is installed");
        let pebble = Self { port, directory, processes: vec![Process(resolver), Process(server)] };
        for port in [names, port] {
            let open = || async move {
                tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
            };
            super::eventually(true, open).await;
        }
        pebble
    }

    /// Ends it; what it wrote stays.
    pub(crate) fn down(&mut self) {
        self.processes.clear();
    }

    /// The keys of a `[[certificate]]` that is ordered here.
    pub(crate) fn keys(&self) -> String {
        format!(
            "directory = \"https://localhost:{}/dir\"\nca_file = \"{}\"\n",
            self.port,
            self.root().display()
        )
    }

    /// The root of its own HTTPS.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// Certificates issued, by its own account.
    pub(crate) fn issued(&self) -> usize {
        fs::read_to_string(self.directory.path().join("log"))
            .unwrap()
            .matches("Issued certificate serial")
            .count()
    }
}

/// Makes a root and, below it, a certificate for localhost.
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
